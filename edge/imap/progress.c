/* INPROGRESS: RFC 9585. Whoever waits for store for long is told after ten seconds, and then every five, that it goes on, so that neither he nor what lies between
 * takes the connection for dead. One timer looks at all sessions of the process. */
#include "base/clock.h"
#include "base/die.h"
#include "edge/imap/session.h"

enum { PROGRESS_MS = 10 * 1000, LOOK_MS = 5 * 1000 };

static void tell(struct imap_session *s, int64_t now_ms)
{
	/* where part of the answer has been written, the line may not be at its end, and the client sees for himself that it goes on */
	if (!s->running || !s->answers || s->has_written || s->connection->is_closing || now_ms - s->asked_ms < PROGRESS_MS)
		return;
	connection_printf(s->connection, "* OK [INPROGRESS (\"%.*s\" NIL NIL)] Still at it\r\n", SPAN_ARG(s->tag));
}

static void on_time(void *context)
{
	struct edge_process *e = context;
	size_t at = 0;
	struct connection *c;
	int64_t now_ms = clock_monotonic_ms();
	while ((c = map_next(&e->connections, &at)))
		if (c->protocol == &imap_protocol && c->state)
			tell(c->state, now_ms);
	timer_set(e->imap_progress, LOOK_MS);
}

void imap_progress_watch(struct edge_process *e)
{
	if (e->imap_progress)
		return;
	e->imap_progress = timer_new(e->loop, on_time, e);
	timer_set(e->imap_progress, LOOK_MS);
}
