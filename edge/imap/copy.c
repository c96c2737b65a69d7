/* COPY, MOVE, EXPUNGE and UID EXPUNGE: RFC 3501 §6.4.3 and §6.4.7, RFC 6851, RFC 4315. */
#include "edge/imap/session.h"

#include "ipc/words.h"

void imap_add_set(struct buf *out, struct span ranges)
{
	for (size_t i = 0; i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		buf_printf(out, first == last ? "%s%u" : "%s%u:%u", i ? "," : "", first, last);
	}
}

/* RFC 4315 §3: COPYUID; RFC 6851 §4.3: of MOVE in an untagged OK, before the EXPUNGEs. */
static void on_copied(struct imap_session *s, const struct msg_copy_done *m)
{
	BUF_AUTO text = {0};
	bool is_move = s->running->run == imap_move;
	if (m->from.len) {
		buf_printf(&text, "[COPYUID %u ", m->uidvalidity);
		imap_add_set(&text, m->from);
		buf_add_char(&text, ' ');
		imap_add_set(&text, m->to);
		buf_add_cstr(&text, "] ");
	}
	if (is_move && m->from.len) {
		buf_add_cstr(&s->out, "* OK ");
		buf_add(&s->out, buf_span(&text));
		buf_add_cstr(&s->out, "Moved\r\n");
		buf_clear(&text);
	}
	buf_printf(&text, "%s done", s->running->name);
	if (is_move)
		imap_ok_with_modseq(s, buf_cstr(&text)); /* RFC 7162 §3.2 */
	else
		imap_ok_span(s, buf_span(&text));
}

static void on_not_copied(struct imap_session *s, const struct msg_request_done *m)
{
	imap_no_outcome(s, m, true);
}

static void copy(struct imap_session *s, struct imap_parser *p, bool is_move)
{
	static const struct imap_answers answers = {.copied = on_copied, .done = on_not_copied};
	struct imap_sequence_set set;
	struct span name;
	BUF_AUTO ranges = {0};
	uint32_t count;
	if (!imap_take_space(p) || !imap_take_sequence_set(p, &set) || !imap_take_space(p) || !imap_take_mailbox(p, &name) ||
	    !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (!imap_view_resolve(s, &set, s->is_uid, &ranges, &count))
		return;
	if (count == 0)
		imap_ok(s, "%s done: no such messages", s->running->name);
	else
		imap_ask(s, &answers, copy_ask, .ranges = buf_span(&ranges), .mailbox = name, .is_move = is_move);
}

void imap_copy(struct imap_session *s, struct imap_parser *p)
{
	copy(s, p, false);
}

void imap_move(struct imap_session *s, struct imap_parser *p)
{
	copy(s, p, true);
}

static void on_expunged(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome == REQUEST_OK)
		imap_ok_with_modseq(s, "EXPUNGE done");
	else
		imap_no_outcome(s, m, false);
}

static void expunge(struct imap_session *s, struct span ranges)
{
	static const struct imap_answers answers = {.done = on_expunged};
	imap_ask(s, &answers, expunge_ask, .ranges = ranges, .only_deleted = 1);
}

void imap_expunge(struct imap_session *s, struct imap_parser *p)
{
	BUF_AUTO all = {0};
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	ranges_add_range(&all, 1, UINT32_MAX);
	expunge(s, buf_span(&all));
}

void imap_uid_expunge(struct imap_session *s, struct imap_parser *p)
{
	struct imap_sequence_set set;
	BUF_AUTO ranges = {0};
	uint32_t count;
	if (!imap_take_space(p) || !imap_take_sequence_set(p, &set) || !imap_take_end(p))
		imap_bad(s, p);
	else if (imap_view_resolve(s, &set, true, &ranges, &count))
		expunge(s, buf_span(&ranges));
}
