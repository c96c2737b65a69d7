/* SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2), and POP3's opening of INBOX. */
#include "ipc/words.h"
#include "store/mailbox/indexer.h"
#include "store/mailbox/view.h"

enum { RANGES_BYTES = 32 * 1024 };

static void say_uids(struct request *r, const struct mailbox *m, uint32_t request)
{
	BUF_AUTO ranges = {0};
	for (size_t i = 0; i < m->index.count; i++) {
		ranges_add(&ranges, m->index.rows[i].uid);
		if (ranges.len >= RANGES_BYTES) {
			request_say(r, uid_rows, .session = r->view->session, .request = request, .ranges = buf_span(&ranges));
			buf_clear(&ranges);
		}
	}
	if (ranges.len)
		request_say(r, uid_rows, .session = r->view->session, .request = request, .ranges = buf_span(&ranges));
}

static uint32_t first_unseen(const struct mailbox *m)
{
	for (size_t i = 0; m->unseen && i < m->index.count; i++)
		if (!(m->index.rows[i].flags & FLAG_SEEN))
			return m->index.rows[i].uid;
	return 0;
}

void mailbox_open_asked(void *context, const struct msg_mailbox_open *msg)
{
	struct request *r = context;
	struct view *v = r->view;
	view_close_mailbox(v);
	struct mailbox *m = mailbox_find(r->account, msg->name);
	if (!m) {
		request_done(r, msg->request, REQUEST_NO_MAILBOX, "there is no mailbox of that name");
		return;
	}
	v->mailbox = m;
	v->next = m->views;
	m->views = v;
	v->is_read_only = msg->is_read_only;
	v->is_told = false;
	v->heard_modseq = m->highestmodseq;
	if (!request_mailbox(r, msg->request)) {
		view_leave_mailbox(v);
		return;
	}
	indexer_wake(m);
	BUF_AUTO keywords = {0};
	mailbox_pack_keywords(m, &keywords);
	request_say(r, mailbox_opened, .session = msg->session, .request = msg->request, .id = m->id, .uidvalidity = m->uidvalidity,
	            .uidnext = m->uidnext, .highestmodseq = m->highestmodseq, .messages = (uint32_t)m->index.count,
	            .first_unseen_uid = first_unseen(m), .first_recent_uid = m->recent_uid, .keywords = buf_span(&keywords));
	say_uids(r, m, msg->request);
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
