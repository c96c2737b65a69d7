/* SELECT, EXAMINE, CLOSE, UNSELECT, CHECK: RFC 3501 §6.3.1, §6.3.2, §6.4.1, §6.4.2, RFC 3691. */
#include "edge/imap/session.h"

#include "ipc/words.h"
#include "wire/rights.h"

enum { MATCHES_MOST = 65536 }; /* pairs of a number and a UID: a small sample, says the RFC */

struct selecting {
	bool is_read_only;
	struct span name;
	uint32_t first_unseen_uid;
	struct imap_select_parameters parameters;
	struct span known; /* ranges (ipc/words.h) */
};

void imap_leave_mailbox(struct imap_session *s)
{
	struct connection *c = s->connection;
	if (s->state != IMAP_SELECTED)
		return;
	if (c->edge->store)
		channel_send(c->edge->store, mailbox_close, .session = c->session);
	imap_view_close(s);
	s->state = IMAP_AUTHENTICATED;
}

static void on_opened(struct imap_session *s, const struct msg_mailbox_opened *m)
{
	struct selecting *w = s->work;
	w->first_unseen_uid = m->first_unseen_uid;
	imap_view_open(s, m, w->is_read_only);
}

static void on_uids(struct imap_session *s, const struct msg_uid_rows *m)
{
	imap_view_add_uids(s, m->ranges);
}

/* RFC 3501 §6.3.1: what is said before the tagged OK. */
static void say_mailbox(struct imap_session *s, const struct selecting *w)
{
	struct imap_view *v = &s->view;
	bool is_rev2 = s->enabled & IMAP_ENABLED_REV2;
	imap_view_say_flags(s);
	imap_view_say_count(s);
	if (!is_rev2 && w->first_unseen_uid && imap_view_sequence(v, w->first_unseen_uid))
		buf_printf(&s->out, "* OK [UNSEEN %u] First unseen\r\n", imap_view_sequence(v, w->first_unseen_uid));
	buf_printf(&s->out, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Next UID\r\n", v->uidvalidity, v->uidnext);
	buf_add_cstr(&s->out, "* OK [MAILBOXID ("); /* RFC 8474 §4.2 */
	imap_add_mailbox_id(v->id, v->owner, &s->out);
	buf_add_cstr(&s->out, ")] Its name for ever\r\n");
	if (is_rev2) {
		buf_add_cstr(&s->out, "* LIST () \"/\" "); /* RFC 9051 §6.3.2 */
		imap_add_mailbox_name(s, w->name);
		buf_add_cstr(&s->out, "\r\n");
	}
	/* RFC 7162 §3.1.2.1 */
	buf_printf(&s->out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)v->modseq);
}

static void end_select(struct imap_session *s)
{
	struct selecting *w = s->work;
	/* RFC 4314 §5.2: \Seen is not shared, so that who may change nothing else is said to read only */
	bool may_write = s->view.rights & (RIGHT_INSERT | RIGHT_EXPUNGE | RIGHT_WRITE | RIGHT_DELETE);
	imap_ok(s, "[%s] %s done", w->is_read_only || !may_write ? "READ-ONLY" : "READ-WRITE", s->running->name);
}

/* What has changed of the messages that the client knows. */
static void say_changed(struct imap_session *s)
{
	struct selecting *w = s->work;
	struct buf ranges = {0};
	buf_add(&ranges, w->known);
	imap_fetch_changed(s, &ranges, w->parameters.modseq, end_select);
}

/* The nth number that a set names, which is in ranges[*at] with *before numbers in front of that, or in one behind it; 0: there are no more. */
static uint32_t nth(const struct imap_sequence_set *set, uint64_t n, size_t *at, uint64_t *before)
{
	for (; *at < set->count; (*at)++) {
		struct imap_range r = set->ranges[*at];
		uint32_t low = r.first < r.last ? r.first : r.last, high = r.first < r.last ? r.last : r.first;
		if (n - *before <= high - low)
			return low + (uint32_t)(n - *before);
		*before += (uint64_t)(high - low) + 1;
	}
	return 0;
}

/* RFC 7162 §3.2.5.2: where a message has the number still that the client knows, the client has heard of all that went up to it. */
static uint32_t last_match(const struct imap_view *v, const struct imap_select_parameters *what)
{
	size_t at_number = 0, at_uid = 0;
	uint64_t before_number = 0, before_uid = 0;
	uint32_t result = 0, number, uid;
	for (uint64_t n = 0; what->has_match && n < MATCHES_MOST; n++) {
		number = nth(&what->match_numbers, n, &at_number, &before_number);
		uid = nth(&what->match_uids, n, &at_uid, &before_uid);
		if (!number || !uid)
			break;
		if (uid > result && imap_view_sequence(v, uid) == number)
			result = uid;
	}
	return result;
}

/* Asks for what has gone of those that the client knows; up to its last match it knows that already. */
static void say_vanished(struct imap_session *s)
{
	struct selecting *w = s->work;
	uint32_t match = last_match(&s->view, &w->parameters);
	BUF_AUTO ranges = {0};
	for (size_t i = 0; i < ranges_count(w->known); i++) {
		uint32_t first, last;
		ranges_get(w->known, i, &first, &last);
		if (last > match)
			ranges_add_range(&ranges, first > match ? first : match + 1, last);
	}
	if (ranges.len)
		imap_say_vanished(s, buf_span(&ranges), w->parameters.modseq, say_changed);
	else
		say_changed(s);
}

/* RFC 7162 §3.2.5: first the mailbox as it is, then what has gone, then what has changed. */
static void resynchronise(struct imap_session *s)
{
	struct selecting *w = s->work;
	BUF_AUTO ranges = {0};
	if (w->parameters.has_known)
		imap_view_uids_of_set(s, &w->parameters.known, &ranges);
	else
		ranges_add_range(&ranges, 1, UINT32_MAX);
	w->known = arena_dup(&s->arena, buf_span(&ranges));
	say_vanished(s);
}

static void on_done(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome != REQUEST_OK) {
		imap_view_close(s);
		imap_no_outcome(s, m, false);
		return;
	}
	struct selecting *w = s->work;
	s->state = IMAP_SELECTED;
	say_mailbox(s, w);
	if (w->parameters.is_qresync && w->parameters.uidvalidity == s->view.uidvalidity)
		resynchronise(s);
	else
		end_select(s);
}

static void open_mailbox(struct imap_session *s, struct imap_parser *p, bool is_read_only)
{
	static const struct imap_answers answers = {.opened = on_opened, .uids = on_uids, .done = on_done};
	struct selecting *w = arena_alloc(&s->arena, sizeof *w);
	w->is_read_only = is_read_only;
	if (!imap_take_space(p) || !imap_take_mailbox(p, &w->name) || !imap_take_select_parameters(p, &w->parameters) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (w->parameters.is_qresync && !(s->enabled & IMAP_ENABLED_QRESYNC)) {
		imap_bad_text(s, "QRESYNC needs ENABLE QRESYNC first");
		return;
	}
	/* RFC 3501 §6.3.1: the mailbox selected before is left, even if this one cannot be opened */
	if (s->state == IMAP_SELECTED)
		buf_add_cstr(&s->out, "* OK [CLOSED] The mailbox before is left\r\n"); /* RFC 7162 §3.2.11 */
	imap_leave_mailbox(s);
	if (w->parameters.is_condstore)
		imap_enable_now(s, IMAP_ENABLED_CONDSTORE);
	s->work = w;
	imap_ask(s, &answers, mailbox_open, .name = w->name, .is_read_only = is_read_only);
}

void imap_select(struct imap_session *s, struct imap_parser *p)
{
	open_mailbox(s, p, false);
}

void imap_examine(struct imap_session *s, struct imap_parser *p)
{
	open_mailbox(s, p, true);
}

static void on_closed(struct imap_session *s, const struct msg_request_done *m)
{
	/* RFC 4314 §4: who may not expunge leaves it as it is */
	if (m->outcome != REQUEST_OK && m->outcome != REQUEST_NO_PERMISSION) {
		imap_no_outcome(s, m, false);
		return;
	}
	imap_leave_mailbox(s);
	imap_ok(s, "CLOSE done");
}

void imap_close(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.done = on_closed};
	BUF_AUTO all = {0};
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (s->view.is_read_only) {
		imap_leave_mailbox(s);
		imap_ok(s, "CLOSE done");
		return;
	}
	ranges_add_range(&all, 1, UINT32_MAX);
	imap_ask(s, &answers, expunge_ask, .ranges = buf_span(&all), .only_deleted = 1);
}

void imap_unselect(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_leave_mailbox(s);
	imap_ok(s, "UNSELECT done");
}

/* Everything that has been answered is on the disk already. */
void imap_check(struct imap_session *s, struct imap_parser *p)
{
	if (imap_take_end(p))
		imap_ok(s, "CHECK done");
	else
		imap_bad(s, p);
}
