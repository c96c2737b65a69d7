/* IDLE: RFC 2177. What store announces (mailbox_changed) is asked for and written at once.
 *
 * A client in IDLE is not logged out for its silence. Instead it is told every idle_notify that the server is still there: where
 * the client has gone, TCP finds that out. All who idle stand in one queue with one timer, ordered by when they are told next,
 * for there may be ten thousand of them. */
#include "base/clock.h"
#include "base/die.h"
#include "edge/imap/notify.h"

struct imap_idlers {
	struct imap_session *first, *last;
	struct timer *timer;
};

/* ---- still here ---- */

static int64_t notify_ms(const struct imap_session *s)
{
	return (int64_t)child_config(s->connection->edge->self)->idle_notify_s * 1000;
}

static void set_timer(struct imap_idlers *q)
{
	if (q->first)
		timer_set(q->timer, q->first->idle_due_ms - clock_monotonic_ms());
	else
		timer_clear(q->timer);
}

static void stand_last(struct imap_idlers *q, struct imap_session *s)
{
	s->idle_due_ms = clock_monotonic_ms() + notify_ms(s);
	s->idle_before = q->last;
	s->idle_behind = NULL;
	*(q->last ? &q->last->idle_behind : &q->first) = s;
	q->last = s;
}

static void step_out(struct imap_idlers *q, struct imap_session *s)
{
	*(s->idle_before ? &s->idle_before->idle_behind : &q->first) = s->idle_behind;
	*(s->idle_behind ? &s->idle_behind->idle_before : &q->last) = s->idle_before;
	s->idle_before = s->idle_behind = NULL;
	s->idle_due_ms = 0;
}

static void on_due(void *context)
{
	struct imap_idlers *q = context;
	int64_t now_ms = clock_monotonic_ms();
	while (q->first && q->first->idle_due_ms <= now_ms) {
		struct imap_session *s = q->first;
		step_out(q, s);
		stand_last(q, s);
		/* who does not take what is written has its own time-out */
		if (!s->connection->is_closing && connection_backlog(s->connection) == 0)
			connection_write(s->connection, SPAN("* OK Still here\r\n"));
	}
	set_timer(q);
}

static void enter(struct imap_session *s)
{
	struct edge_process *e = s->connection->edge;
	connection_allow_silence(s->connection, imap_silence_ms(s));
	if (notify_ms(s) == 0)
		return;
	if (!e->idlers) {
		e->idlers = xcalloc(1, sizeof *e->idlers);
		e->idlers->timer = timer_new(e->loop, on_due, e->idlers);
	}
	stand_last(e->idlers, s);
	if (e->idlers->first == s)
		set_timer(e->idlers);
}

void imap_idle_leave(struct imap_session *s)
{
	struct imap_idlers *q = s->connection->edge->idlers;
	if (!q || s->idle_due_ms == 0)
		return;
	bool was_first = q->first == s;
	step_out(q, s);
	if (was_first)
		set_timer(q);
}

/* ---- the command ---- */

void imap_idle(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	s->input = IMAP_INPUT_IDLE;
	imap_continuation(s, "idling");
	enter(s);
	imap_view_tell_again(s);
	if (s->view.uids)
		imap_view_refresh(s, true);
	imap_flush(s);
}

void imap_idle_push(struct imap_session *s)
{
	struct connection *c = s->connection;
	bool is_between = s->input == IMAP_INPUT_COMMAND && !s->running && !s->fetching && !s->view.is_asking && imap_notify_pushes(s);
	/* RFC 5465 §5.3: an EXPUNGE that could not be told with the answer to a FETCH does not wait for the next command */
	bool has_unsaid = is_between && imap_view_has_unsaid(&s->view) && !imap_notify_delays_expunge(s);
	/* a client that does not read is told later, in one go */
	if ((s->input != IMAP_INPUT_IDLE && !is_between) || s->reply.len || (!s->view.is_stale && !has_unsaid) || c->is_closing ||
	    connection_backlog(c) >= CONNECTION_BACKLOG_MOST)
		return;
	s->view.is_pushing = imap_view_refresh(s, true) && is_between;
	if (has_unsaid)
		imap_flush(s);
	if (s->view.is_pushing && !c->is_waiting)
		connection_wait(c);
}

void imap_idle_line(struct imap_session *s, struct span line)
{
	imap_idle_leave(s);
	connection_set_timeout(s->connection, imap_silence_ms(s));
	if (span_equal_nocase(line, SPAN("DONE")))
		imap_ok(s, "IDLE done");
	else
		imap_bad_text(s, "Expected DONE");
}
