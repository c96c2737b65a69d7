/* SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2), and POP3's opening of INBOX. */
#include "ipc/words.h"
#include "store/mailbox/indexer.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/outline.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"

enum { RANGES_BYTES = 32 * 1024 };

static void say_ranges(struct request *r, uint32_t request, struct span ranges)
{
	for (; ranges.len; ranges = span_skip(ranges, RANGES_BYTES))
		request_say(r, uid_rows, .session = r->view->session, .request = request, .ranges = span_slice(ranges, 0, RANGES_BYTES));
}

static void list_uids(const struct mailbox *m, struct buf *ranges)
{
	for (size_t i = 0; i < m->index.count; i++)
		ranges_add(ranges, m->index.rows[i].uid);
}

static uint32_t first_unseen(struct mailbox *m, uint64_t reader)
{
	for (size_t i = 0; (reader || m->unseen) && i < m->index.count; i++)
		if (!(seen_flags(m, reader, &m->index.rows[i]) & FLAG_SEEN))
			return m->index.rows[i].uid;
	return 0;
}

void mailbox_open_asked(void *context, const struct msg_mailbox_open *msg)
{
	struct request *r = context;
	struct view *v = r->view;
	view_close_mailbox(v);
	struct mailbox *m = request_find(r, msg->request, msg->name, RIGHT_READ);
	if (!m)
		return;
	v->mailbox = m;
	v->next = m->views;
	m->views = v;
	v->is_read_only = msg->is_read_only;
	v->is_told = false;
	v->heard_modseq = m->highestmodseq;
	/* where the outline says all that a client is told, the index is read with the first command that needs it */
	struct outline outline = {0};
	bool has_outline = !v->reader && outline_get(m, &outline); /* of what its owner has seen */
	if (!has_outline && !request_mailbox(r, msg->request)) {
		view_leave_mailbox(v);
		return;
	}
	if (!has_outline) {
		outline.first_unseen_uid = first_unseen(m, v->reader);
		list_uids(m, &outline.uids);
		outline_put(m);
		indexer_wake(m);
	}
	BUF_AUTO keywords = {0};
	mailbox_pack_keywords(m, &keywords);
	request_say(r, mailbox_opened, .session = msg->session, .request = msg->request, .id = m->id, .owner = v->reader ? m->account->id : 0, .uidvalidity = m->uidvalidity,
	            .uidnext = m->uidnext, .highestmodseq = m->highestmodseq, .messages = m->messages,
	            .first_unseen_uid = outline.first_unseen_uid, .first_recent_uid = m->recent_uid, .keywords = buf_span(&keywords),
	            .rights = (uint16_t)acl_rights(m, v->reader, v->is_near));
	say_ranges(r, msg->request, buf_span(&outline.uids));
	buf_free(&outline.uids);
	request_done(r, msg->request, REQUEST_OK, "");
	/* RFC 3501 §2.3.2: \Recent is for the first session that is told, which EXAMINE is not (§6.3.2) */
	if (!msg->is_read_only && m->recent_uid != m->uidnext) {
		account_say(r->account, v->peer, &r->out);
		m->recent_uid = m->uidnext;
		mailbox_put_recent(m);
	}
}

void mailbox_close_asked(void *context, const struct msg_mailbox_close *msg)
{
	struct request *r = context;
	(void)msg;
	view_close_mailbox(r->view);
}
