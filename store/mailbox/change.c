/* What has changed in a mailbox since a MODSEQ: the one source of EXISTS, EXPUNGE and FETCH that nobody asked for
 * (RFC 3501 §7), for IDLE and NOOP alike. */
#include "base/log.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/log.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"

#include <stdlib.h>

enum { CHANGES_BYTES = 64 * 1024 };

/* Where the rows that may have changed begin: at the end, if only new messages have come. */
static size_t first_changed(const struct mailbox *m, uint64_t since)
{
	size_t at = m->index.count;
	if (since < m->last_change_modseq)
		return 0;
	while (at && m->index.rows[at - 1].modseq > since)
		at--;
	return at;
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void pack_expunged(const struct mailbox *m, uint64_t since, struct buf *ranges)
{
	BUF_AUTO uids = {0};
	for (size_t i = m->expunged_count; i && m->expunged[i - 1].modseq > since; i--)
		buf_add(&uids, span_of(&m->expunged[i - 1].uid, sizeof m->expunged[i - 1].uid));
	size_t count = uids.len / sizeof(uint32_t);
	if (count == 0)
		return;
	qsort(uids.ptr, count, sizeof(uint32_t), by_uid);
	for (size_t i = 0; i < count; i++) {
		uint32_t uid;
		memcpy(&uid, uids.ptr + i * sizeof uid, sizeof uid);
		ranges_add(ranges, uid);
	}
}

static void say_changes(struct request *r, uint32_t request, struct buf *rows, struct span expunged, bool is_last)
{
	struct mailbox *m = r->view->mailbox;
	BUF_AUTO keywords = {0};
	mailbox_pack_keywords(m, &keywords);
	request_say(r, changes, .session = r->view->session, .request = request, .rows = buf_span(rows), .expunged = expunged,
	            .highestmodseq = m->highestmodseq, .uidnext = m->uidnext, .first_recent_uid = m->recent_uid,
	            .keywords = buf_span(&keywords), .is_last = is_last);
	buf_clear(rows);
}

void changes_asked(void *context, const struct msg_changes_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = request_mailbox(r, msg->request);
	if (!m)
		return;
	BUF_AUTO rows = {0}, expunged = {0};
	r->view->is_told = false;
	r->view->heard_modseq = msg->since;
	for (size_t at = first_changed(m, msg->since); at < m->index.count; at++) {
		uint64_t modseq = m->index.rows[at].modseq;
		if (modseq <= msg->since || seen_is_of_another(m, r->view->reader, modseq, msg->since))
			continue;
		fetch_pack_row(&rows, r->view, m, &m->index.rows[at]);
		if (rows.len >= CHANGES_BYTES)
			say_changes(r, msg->request, &rows, SPAN(""), false);
	}
	pack_expunged(m, msg->since, &expunged);
	struct span left = buf_span(&expunged);
	enum { EXPUNGED_BYTES = 65536 / 8 * 8 };
	for (; left.len > EXPUNGED_BYTES; left = span_skip(left, EXPUNGED_BYTES))
		say_changes(r, msg->request, &rows, span_slice(left, 0, EXPUNGED_BYTES), false);
	say_changes(r, msg->request, &rows, left, true);
	if (!r->view->is_read_only && m->recent_uid != m->uidnext) {
		/* RFC 3501 §2.3.2: this session is the first that is told. Written with the next change, or when the session leaves */
		m->recent_uid = m->uidnext;
		m->is_record_stale = true;
	}
}

/* ---- what has gone since, for a client that comes back ---- */

static void say_gone(struct cursor *c, struct span ranges)
{
	struct buf out = {0};
	msg_uid_rows_pack(&out, 0, &(struct msg_uid_rows){.session = c->view->session, .request = c->request, .ranges = ranges});
	view_say(c->view, &out);
}

static void read_gone(struct worker *w, struct job *j)
{
	(void)w;
	struct cursor *c = (struct cursor *)((char *)j - offsetof(struct cursor, job));
	struct mailbox *m = c->view->mailbox;
	struct error why = {0};
	BUF_AUTO gone = {0};
	enum request_outcome outcome = !m || m->is_gone ? REQUEST_NO_MAILBOX : REQUEST_OK;
	if (outcome == REQUEST_OK && log_read(m, c->changed_since, buf_span(&c->ranges), &gone, &why)) {
		log_event(LOG_LEVEL_ERROR, "mailbox-damaged", log_c("account", m->account->partition), log_c("why", why.text));
		outcome = REQUEST_FAILED;
	}
	struct span left = buf_span(&gone);
	enum { PIECE_BYTES = 32 * 1024 };
	for (; outcome == REQUEST_OK && left.len; left = span_skip(left, PIECE_BYTES))
		say_gone(c, span_slice(left, 0, PIECE_BYTES));
	view_say_done(c->view, c->request, outcome, "");
	cursor_end(c);
}

void vanished_asked(void *context, const struct msg_vanished_ask *msg)
{
	struct request *r = context;
	struct cursor *c = cursor_begin(r, msg->request, msg->ranges, msg->since, read_gone);
	if (c)
		account_when_durable(r->account, &c->job);
}
