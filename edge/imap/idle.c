/* IDLE: RFC 2177. What store announces (mailbox_changed) is asked for and written at once. */
#include "edge/imap/session.h"

void imap_idle(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	s->input = IMAP_INPUT_IDLE;
	imap_continuation(s, "idling");
	if (s->view.uids)
		imap_view_refresh(s, true);
	imap_flush(s);
}

void imap_idle_push(struct imap_session *s)
{
	struct connection *c = s->connection;
	/* a client that does not read is told later, in one go */
	if (s->input != IMAP_INPUT_IDLE || s->reply.len || !s->view.is_stale || c->is_closing ||
	    connection_backlog(c) >= CONNECTION_BACKLOG_MOST)
		return;
	imap_view_refresh(s, true);
}

void imap_idle_line(struct imap_session *s, struct span line)
{
	if (span_equal_nocase(line, SPAN("DONE")))
		imap_ok(s, "IDLE done");
	else
		imap_bad_text(s, "Expected DONE");
}
