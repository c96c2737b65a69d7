/* STORE (RFC 3501 §6.4.6): flags and keywords of messages. */
#include "ipc/words.h"
#include "store/mailbox/view.h"

enum { ROWS_BYTES = 128 * 1024, FAILED_BYTES = 32 * 1024, SYSTEM_FLAGS = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT };

/* True if that changes the row. */
static bool apply(struct row *r, uint8_t mode, uint8_t flags, uint64_t keywords)
{
	uint8_t new_flags = flags;
	uint64_t new_keywords = keywords;
	if (mode == FLAGS_ADD) {
		new_flags = r->flags | flags;
		new_keywords = r->keywords | keywords;
	} else if (mode == FLAGS_REMOVE) {
		new_flags = (uint8_t)(r->flags & ~flags);
		new_keywords = r->keywords & ~keywords;
	}
	bool is_change = new_flags != r->flags || new_keywords != r->keywords;
	r->flags = new_flags;
	r->keywords = new_keywords;
	return is_change;
}

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
	uint64_t modseq;  /* of all that this changes; 0: nothing yet */
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
	if (!what->is_conditional || row->modseq <= what->unchanged_since)
		return false;
	if (what->mode == FLAGS_SET || (what->unchanged_since == 0 && what->flags))
		return true;
	if (what->mode == FLAGS_ADD || what->unchanged_since == 0)
		return (row->flags & what->flags) || (row->keywords & f->keywords);
	return (row->flags & what->flags) != what->flags || (row->keywords & f->keywords) != f->keywords || f->has_unknown_keyword;
}

static void flag_row(struct flagging *f, struct row *row)
{
	const struct msg_flags_ask *what = f->what;
	bool is_failure = has_failed(f, row), is_change = false;
	mailbox_count(f->mailbox, row, -1);
	if (is_failure)
		ranges_add(&f->failed, row->uid);
	else
		is_change = apply(row, what->mode, what->flags, f->keywords);
	mailbox_count(f->mailbox, row, 1);
	if (is_change) {
		f->modseq = f->modseq ? f->modseq : mailbox_next_modseq(f->mailbox);
		change_row(f->mailbox, row, f->modseq);
	}
	if (is_failure || is_change || !what->only_changed)
		fetch_pack_row(&f->rows, row);
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
	unsigned keywords_before = m->keyword_count;
	f.has_unknown_keyword = mailbox_keywords(m, msg->keywords, msg->mode != FLAGS_REMOVE, &f.keywords);
	if (f.has_unknown_keyword && msg->mode != FLAGS_REMOVE) {
		request_done(r, msg->request, REQUEST_LIMIT, "no more keywords in this mailbox");
		return;
	}
	flag_rows(&f);
	if (f.modseq || m->keyword_count != keywords_before) {
		m->last_change_modseq = m->highestmodseq;
		index_flush(&m->index, &r->account->batch, account_partition(r->account), m->id);
		mailbox_put(m);
	}
	if (f.modseq)
		mailbox_notify(m, CHANGE_FLAGS);
	say_failed(&f);
	say_rows(&f, true);
	buf_free(&f.rows);
	buf_free(&f.failed);
}
