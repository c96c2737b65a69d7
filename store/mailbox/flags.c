/* STORE (RFC 3501 §6.4.6): flags and keywords of messages. */
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"

enum { ROWS_BYTES = 128 * 1024, FAILED_BYTES = 32 * 1024, SYSTEM_FLAGS = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT };

static void change_row(struct mailbox *m, struct row *r, uint64_t modseq)
{
	struct account *a = m->account;
	r->modseq = modseq;
	index_changed(&m->index, r, &a->batch, account_partition(a), m->id);
}

/* One STORE under way. */
struct flagging {
	struct request *request;
	const struct msg_flags_ask *what;
	struct mailbox *mailbox;
	uint64_t keywords;
	bool has_unknown_keyword; /* which none of the messages has */
	uint8_t may_flags; /* RFC 4314 §4, STORE: the others stay as they are */
	uint64_t may_keywords;
	bool has_lost_seen; /* seen.h */
	uint64_t modseq;  /* of all that this changes; 0: nothing yet */
	uint64_t before;  /* the highest MODSEQ of what this has changed */
	bool is_shared;   /* it has changed more than what the reader has seen */
	struct buf rows;
	struct buf failed; /* UIDs of those that have changed since: RFC 7162 §3.1.3 */
};

static void say_rows(struct flagging *f, bool is_last)
{
	const struct msg_flags_ask *what = f->what;
	struct request *r = f->request;
	request_say(r, fetch_rows, .session = what->session, .request = what->request, .rows = buf_span(&f->rows), .own_modseq = f->modseq, .is_last = is_last);
	buf_clear(&f->rows);
}

static void say_failed(struct flagging *f)
{
	if (f->failed.len)
		request_say(f->request, uid_rows, .session = f->what->session, .request = f->what->request, .ranges = buf_span(&f->failed));
	buf_clear(&f->failed);
}

/* RFC 7162 §3.1.12: a row has one MODSEQ for all of its flags, and what has changed may be others than those asked about. Whoever adds
 * flags believes that they are not there, and if none is, nothing of that has changed, whatever else has; so with those to be removed.
 * Of 0, §3.1.3 says that it fails wherever there is such a flag at all: a system flag is always there, a keyword where it is set. */
static bool has_failed(const struct flagging *f, const struct row *row)
{
	const struct msg_flags_ask *what = f->what;
	uint8_t flags = seen_flags(f->mailbox, f->request->view->reader, row);
	if (!what->is_conditional || row->modseq <= what->unchanged_since)
		return false;
	if (what->mode == FLAGS_SET || (what->unchanged_since == 0 && what->flags))
		return true;
	if (what->mode == FLAGS_ADD || what->unchanged_since == 0)
		return (flags & what->flags) || (row->keywords & f->keywords);
	return (flags & what->flags) != what->flags || (row->keywords & f->keywords) != f->keywords || f->has_unknown_keyword;
}

/* True if that changes the row, or what the reader has seen. */
static bool apply(struct flagging *f, struct row *r)
{
	uint64_t reader = f->request->view->reader, keywords = f->keywords & f->may_keywords, new_keywords;
	uint8_t now = seen_flags(f->mailbox, reader, r), flags = f->what->flags & f->may_flags, new_flags;
	switch (f->what->mode) {
	case FLAGS_ADD:
		new_flags = now | flags;
		new_keywords = r->keywords | keywords;
		break;
	case FLAGS_REMOVE:
		new_flags = (uint8_t)(now & ~flags);
		new_keywords = r->keywords & ~keywords;
		break;
	default:
		new_flags = (uint8_t)((now & ~f->may_flags) | flags);
		new_keywords = (r->keywords & ~f->may_keywords) | keywords;
	}
	bool is_seen_changed = reader && (new_flags ^ now) & FLAG_SEEN && seen_set(f->mailbox, reader, r->uid, new_flags & FLAG_SEEN);
	f->is_shared |= (new_flags ^ now) & ~FLAG_SEEN || new_keywords != r->keywords;
	if (reader) {
		f->has_lost_seen |= (new_flags ^ now) & FLAG_SEEN && !is_seen_changed;
		new_flags = (uint8_t)((new_flags & ~FLAG_SEEN) | (r->flags & FLAG_SEEN));
	}
	bool is_change = is_seen_changed || new_flags != r->flags || new_keywords != r->keywords;
	r->flags = new_flags;
	r->keywords = new_keywords;
	return is_change;
}

static void flag_row(struct flagging *f, struct row *row)
{
	const struct msg_flags_ask *what = f->what;
	bool is_failure = has_failed(f, row), is_change = false;
	mailbox_count(f->mailbox, row, -1);
	if (is_failure)
		ranges_add(&f->failed, row->uid);
	else
		is_change = apply(f, row);
	mailbox_count(f->mailbox, row, 1);
	if (is_change) {
		f->before = row->modseq > f->before ? row->modseq : f->before;
		f->modseq = f->modseq ? f->modseq : mailbox_next_modseq(f->mailbox);
		change_row(f->mailbox, row, f->modseq);
	}
	if (is_failure || is_change || !what->only_changed)
		fetch_pack_row(&f->rows, f->request->view, f->mailbox, row);
	if (f->failed.len >= FAILED_BYTES)
		say_failed(f);
	if (f->rows.len >= ROWS_BYTES)
		say_rows(f, false);
}

static void flag_rows(struct flagging *f)
{
	struct index *x = &f->mailbox->index;
	for (size_t i = 0; i < ranges_count(f->what->ranges); i++) {
		uint32_t first, last;
		ranges_get(f->what->ranges, i, &first, &last);
		for (size_t at = index_lower(x, first); at < x->count && x->rows[at].uid <= last; at++)
			flag_row(f, &x->rows[at]);
	}
}

/* Answers with the rows asked for, or those that this changes, as they are now (fetch_rows), so that edge can show the flags of
 * each. */
void flags_asked(void *context, const struct msg_flags_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = request_mailbox(r, msg->request);
	struct flagging f = {.request = r, .what = msg, .mailbox = m};
	if (!m || request_is_read_only(r, msg->request))
		return;
	if (!ranges_are_valid(msg->ranges) || (msg->flags & ~SYSTEM_FLAGS)) {
		request_done(r, msg->request, REQUEST_FAILED, "not flags");
		return;
	}
	unsigned keywords_before = m->keyword_count, rights = acl_rights(m, r->view->reader, r->view->is_near);
	bool may_write = rights & RIGHT_WRITE, may_add = may_write && msg->mode != FLAGS_REMOVE;
	f.may_flags = acl_flags(rights);
	f.may_keywords = may_write ? UINT64_MAX : 0;
	f.has_unknown_keyword = mailbox_keywords(m, msg->keywords, may_add, &f.keywords);
	if (f.has_unknown_keyword && may_add) {
		request_done(r, msg->request, REQUEST_LIMIT, "no more keywords in this mailbox");
		return;
	}
	if (!(rights & RIGHTS_OF_FLAGS) || (msg->flags && !(msg->flags & f.may_flags) && !may_write)) {
		request_done(r, msg->request, REQUEST_NO_PERMISSION, "");
		return;
	}
	flag_rows(&f);
	if (f.modseq || m->keyword_count != keywords_before) {
		m->last_change_modseq = m->highestmodseq;
		index_flush(&m->index, &r->account->batch, account_partition(r->account), m->id);
		mailbox_put(m);
	}
	if (f.modseq && r->view->reader)
		seen_flush(m, r->view->reader);
	bool is_private = f.modseq && !f.is_shared && m->keyword_count == keywords_before && m->acl_count;
	if (is_private)
		seen_note_change(m, r->view->reader, f.modseq, f.before);
	if (f.modseq)
		mailbox_notify(m, is_private && r->view->reader ? 0 : CHANGE_FLAGS); /* those who watch are the owner's sessions */
	say_failed(&f);
	say_rows(&f, !f.has_lost_seen);
	if (f.has_lost_seen)
		request_done(r, msg->request, REQUEST_FAILED, "what you have seen of these messages cannot be read");
	buf_free(&f.rows);
	buf_free(&f.failed);
}
