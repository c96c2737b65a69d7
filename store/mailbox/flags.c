/* STORE (RFC 3501 §6.4.6): flags and keywords of messages. */
#include "ipc/words.h"
#include "store/mailbox/view.h"

enum { ROWS_BYTES = 128 * 1024, SYSTEM_FLAGS = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT };

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

static void change_row(struct mailbox *m, struct row *r, uint8_t was, uint64_t modseq)
{
	struct account *a = m->account;
	m->unseen += !(r->flags & FLAG_SEEN);
	m->unseen -= !(was & FLAG_SEEN);
	r->modseq = modseq;
	index_changed(&m->index, r, &a->batch, account_partition(a), m->id);
}

/* Answers with the rows asked for, or those that this changes, as they are now (fetch_rows), so that edge can show the flags of
 * each. */
void flags_asked(void *context, const struct msg_flags_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = request_mailbox(r, msg->request);
	uint64_t keywords, modseq = 0;
	if (!m || request_is_read_only(r, msg->request))
		return;
	if (!ranges_are_valid(msg->ranges) || (msg->flags & ~SYSTEM_FLAGS)) {
		request_done(r, msg->request, REQUEST_FAILED, "not flags");
		return;
	}
	unsigned keywords_before = m->keyword_count;
	if (mailbox_keywords(m, msg->keywords, msg->mode != FLAGS_REMOVE, &keywords) && msg->mode != FLAGS_REMOVE) {
		request_done(r, msg->request, REQUEST_LIMIT, "no more keywords in this mailbox");
		return;
	}
	BUF_AUTO rows = {0};
	for (size_t i = 0; i < ranges_count(msg->ranges); i++) {
		uint32_t first, last;
		ranges_get(msg->ranges, i, &first, &last);
		for (size_t at = index_lower(&m->index, first); at < m->index.count && m->index.rows[at].uid <= last; at++) {
			struct row *row = &m->index.rows[at];
			uint8_t was = row->flags;
			bool is_change = apply(row, msg->mode, msg->flags, keywords);
			if (is_change) {
				modseq = modseq ? modseq : mailbox_next_modseq(m);
				change_row(m, row, was, modseq);
			}
			if (is_change || !msg->only_changed)
				fetch_pack_row(&rows, row);
			if (rows.len >= ROWS_BYTES) {
				request_say(r, fetch_rows, .session = msg->session, .request = msg->request, .rows = buf_span(&rows));
				buf_clear(&rows);
			}
		}
	}
	if (modseq || m->keyword_count != keywords_before) {
		m->last_change_modseq = m->highestmodseq;
		index_flush(&m->index, &r->account->batch, account_partition(r->account), m->id);
		mailbox_put(m);
	}
	if (modseq)
		mailbox_notify(m);
	request_say(r, fetch_rows, .session = msg->session, .request = msg->request, .rows = buf_span(&rows), .is_last = 1);
}
