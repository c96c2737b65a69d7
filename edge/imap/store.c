/* STORE: RFC 3501 §6.4.6, RFC 7162 §3.1.3. */
#include "edge/imap/session.h"

#include "base/pack.h"
#include "ipc/words.h"

enum { KEYWORD_BYTES_MOST = 2048 }; /* of one command; those of a mailbox may be more (KEYWORDS_MOST) */

/* UIDs of messages that have changed since, as they came. */
struct failed {
	struct span ranges;
	struct failed *next;
};

struct storing {
	enum flags_mode mode;
	bool is_silent, is_conditional;
	uint64_t unchanged_since;
	struct failed *failed, **last_failed;
};

bool imap_pack_keywords(struct imap_session *s, const struct imap_flags *flags, struct buf *out)
{
	words_pack(out, flags->keywords, flags->keyword_count);
	if (out->len <= KEYWORD_BYTES_MOST)
		return true;
	imap_no(s, "[LIMIT] Too many keywords");
	return false;
}

/* "FLAGS (...)" and MODSEQ of a message; a silent command is told the MODSEQ alone (RFC 7162 §3.1.3). */
static void say_row(struct imap_session *s, uint32_t number, const struct imap_row *row, bool with_flags)
{
	bool with_modseq = s->enabled & IMAP_ENABLED_CONDSTORE;
	imap_begin_fetch(s, number, row->uid, s->is_uid || with_modseq);
	if (with_flags) {
		buf_add_cstr(&s->out, "FLAGS ");
		imap_view_render_flags(&s->view, row, &s->out);
	}
	if (with_flags && with_modseq)
		buf_add_char(&s->out, ' ');
	if (with_modseq)
		imap_view_render_modseq(row, &s->out);
	buf_add_cstr(&s->out, ")\r\n");
}

static void on_row(struct imap_session *s, const struct imap_row *row, uint64_t own_modseq)
{
	const struct storing *w = s->work;
	struct imap_view *v = &s->view;
	uint32_t number = imap_view_sequence(v, row->uid);
	bool has_failed = false;
	for (const struct failed *f = w->failed; f && !has_failed; f = f->next)
		has_failed = ranges_have(f->ranges, row->uid);
	if (number == 0)
		return;
	if (w->is_silent && !has_failed) {
		/* The client knows the flags of what this command has changed, if nobody else has changed anything since it heard last. A conditional
		 * command is told of others too, which may have a newer MODSEQ of somebody else. */
		if (row->modseq == own_modseq && row->modseq == v->modseq + 1)
			imap_view_told(v, row);
		if (s->enabled & IMAP_ENABLED_CONDSTORE)
			say_row(s, number, row, false);
	} else if (imap_view_knows_keywords(v, row)) {
		say_row(s, number, row, true);
		imap_view_told(v, row);
	}
}

static void on_failed(struct imap_session *s, const struct msg_uid_rows *m)
{
	struct storing *w = s->work;
	struct failed *f = arena_alloc(&s->arena, sizeof *f);
	*f = (struct failed){.ranges = arena_dup(&s->arena, m->ranges)};
	*w->last_failed = f;
	w->last_failed = &f->next;
}

/* RFC 7162 §3.1.3 */
static void end_with_failed(struct imap_session *s, const struct storing *w)
{
	BUF_AUTO text = {0}, set = {0};
	for (const struct failed *f = w->failed; f; f = f->next)
		for (size_t i = 0; i < ranges_count(f->ranges); i++) {
			uint32_t first, last;
			ranges_get(f->ranges, i, &first, &last);
			for (uint64_t uid = first; uid <= last; uid++) {
				uint32_t number = imap_view_sequence(&s->view, (uint32_t)uid);
				if (number)
					ranges_add(&set, s->is_uid ? (uint32_t)uid : number);
			}
		}
	buf_add_cstr(&text, "[MODIFIED ");
	imap_add_set(&text, buf_span(&set));
	buf_add_cstr(&text, "] Some have changed since");
	imap_ok_span(s, buf_span(&text));
}

/* Row by row, the flags as they are now. A keyword that is new in the mailbox has no name here yet: such rows are told with
 * the changes, which bring the name. */
static void on_rows(struct imap_session *s, const struct msg_fetch_rows *m)
{
	const struct storing *w = s->work;
	struct unpacker u = {.rest = m->rows};
	while (u.rest.len && !u.bad) {
		struct imap_row row;
		imap_row_unpack(&u, &row);
		if (!u.bad)
			on_row(s, &row, m->own_modseq);
	}
	imap_flush(s);
	if (!m->is_last)
		return;
	if (w->failed)
		end_with_failed(s, w);
	else
		imap_ok(s, "STORE done");
}

static bool take_mode(struct imap_parser *p, struct storing *w)
{
	static const struct {
		const char *name;
		enum flags_mode mode;
		bool is_silent;
	} modes[] = {
		{"FLAGS", FLAGS_SET, false}, {"FLAGS.SILENT", FLAGS_SET, true}, {"+FLAGS", FLAGS_ADD, false},
		{"+FLAGS.SILENT", FLAGS_ADD, true}, {"-FLAGS", FLAGS_REMOVE, false}, {"-FLAGS.SILENT", FLAGS_REMOVE, true},
	};
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (imap_take_word(p, modes[i].name)) {
			w->mode = modes[i].mode;
			w->is_silent = modes[i].is_silent;
			return true;
		}
	return imap_fail(p, "Expected FLAGS, +FLAGS or -FLAGS");
}

void imap_store(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.rows = on_rows, .uids = on_failed};
	struct storing *w = arena_alloc(&s->arena, sizeof *w);
	struct imap_sequence_set set;
	struct imap_flags flags;
	BUF_AUTO ranges = {0};
	BUF_AUTO keywords = {0};
	uint32_t count;
	w->last_failed = &w->failed;
	if (!imap_take_space(p) || !imap_take_sequence_set(p, &set) || !imap_take_space(p) ||
	    !imap_take_store_modifiers(p, &w->is_conditional, &w->unchanged_since) || !take_mode(p, w) ||
	    !imap_take_space(p) || !imap_take_flags(p, true, &flags) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (!imap_view_resolve(s, &set, s->is_uid, &ranges, &count) || !imap_pack_keywords(s, &flags, &keywords))
		return;
	if (s->view.is_read_only) {
		imap_no(s, "[READ-ONLY] The mailbox is open for reading only");
		return;
	}
	if (w->is_conditional)
		imap_enable_now(s, IMAP_ENABLED_CONDSTORE);
	s->work = w;
	if (count == 0)
		imap_ok(s, "STORE done: no such messages");
	else
		imap_ask(s, &answers, flags_ask, .ranges = buf_span(&ranges), .mode = (uint8_t)w->mode, .flags = flags.system,
		         .keywords = buf_span(&keywords), .only_changed = w->is_silent && !w->is_conditional,
		         .is_conditional = w->is_conditional, .unchanged_since = w->unchanged_since);
}
