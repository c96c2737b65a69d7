/* Connections: see link.h. */
#include "milter/link.h"

#include "base/die.h"
#include "milter/dialogue.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	IDLE_MS = 10 * 1000,
	FULL_MS = 20,
	IDLE_MOST = 64,       /* a thread of the milter's waits at each */
};

static void release(void *context)
{
	free(context);
}

static void unlink_it(struct link *l)
{
	struct milter_process *p = l->milter;
	if (l->next)
		l->next->before = l->before;
	if (l->before)
		l->before->next = l->next;
	else
		p->links = l->next;
	p->link_count--;
	p->idle_count -= !l->dialogue && l->is_ready;
}

void link_close(struct link *l, bool is_polite)
{
	if (l->is_dead)
		return;
	l->is_dead = true;
	unlink_it(l);
	if (l->stream && is_polite && stream_backlog(l->stream) == 0) {
		BUF_AUTO quit = {0};
		milter_packet_add(&quit, MILTER_QUIT, SPAN(""));
		send(l->fd, quit.ptr, quit.len, MSG_NOSIGNAL | MSG_DONTWAIT); /* the stream is closed before it would write */
	}
	watch_free(l->connecting);
	timer_free(l->timer);
	stream_free(l->stream);
	if (!l->stream && l->fd >= 0)
		close(l->fd);
	l->stream = NULL;
	buf_free(&l->client);
	buf_free(&l->packet);
	arena_free(&l->memory);
	milters_leave(l->milters);
	/* whoever is calling may still look at it */
	l->release = (struct later){.fn = release, .context = l};
	loop_later(l->milter->loop, &l->release);
}

static void lose(struct link *l, const char *why)
{
	if (l->dialogue)
		dialogue_lost(l->dialogue, why);
	else
		link_close(l, false);
}

/* ---- what comes ---- */

static void take_options(struct link *l, const struct milter_packet *packet)
{
	struct error why;
	if (packet->kind != MILTER_OPTIONS)
		lose(l, "it does not answer with its options");
	else if (milter_options_parse(arena_dup(&l->memory, packet->data), &l->options, &why))
		lose(l, why.text);
	else {
		l->is_ready = true;
		dialogue_ready(l->dialogue);
	}
}

static bool take_packet(struct link *l)
{
	struct milter_packet packet;
	struct error why;
	ssize_t taken = milter_packet_parse(stream_peek(l->stream, MILTER_PACKET_MAX), &packet, &why);
	if (taken == 0)
		return false;
	if (taken < 0 || !l->dialogue) {
		lose(l, taken < 0 ? why.text : "it talks without being asked");
		return false;
	}
	buf_clear(&l->packet);
	buf_add(&l->packet, packet.data);
	packet.data = buf_span(&l->packet);
	stream_consume(l->stream, (size_t)taken);
	if (l->is_ready)
		dialogue_heard(l->dialogue, &packet);
	else
		take_options(l, &packet);
	return true;
}

static void on_readable(void *context)
{
	struct link *l = context;
	while (!l->is_dead && take_packet(l))
		;
}

static void on_drained(void *context)
{
	struct link *l = context;
	if (!l->is_dead && l->dialogue && l->is_ready)
		dialogue_drained(l->dialogue);
}

static void on_closed(void *context, const char *why)
{
	struct link *l = context;
	(void)why;
	if (!l->is_dead)
		lose(l, "it has closed the connection");
}

static const struct stream_events events = {.readable = on_readable, .drained = on_drained, .closed = on_closed};

/* ---- connecting ---- */

static void offer(struct link *l)
{
	BUF_AUTO out = {0};
	l->stream = stream_new(l->milter->loop, l->fd, &events, l);
	milter_offer_add(&out);
	stream_write(l->stream, buf_span(&out));
}

static void on_connected(void *context)
{
	struct link *l = context;
	int error = 0, on = 1;
	socklen_t len = sizeof error;
	watch_off(l->connecting);
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error) {
		lose(l, strerror(error));
		return;
	}
	if (l->milters->list[l->target].at.address.ss_family != AF_UNIX)
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	offer(l);
}

/* A Unix socket whose queue of connections is full says EAGAIN, and nothing when there is room again; for how long that is tried is the
 * dialogue's business. 0, or an errno. */
static int try_to_connect(struct link *l)
{
	const struct milter_socket *at = &l->milters->list[l->target].at;
	if (connect(l->fd, (const struct sockaddr *)&at->address, at->length) == 0 || errno == EINPROGRESS)
		watch_on(l->connecting);
	else if (errno == EAGAIN)
		timer_set(l->timer, FULL_MS);
	else
		return errno;
	return 0;
}

static void on_timer(void *context)
{
	struct link *l = context;
	int error;
	if (l->is_ready)
		link_close(l, true); /* it was idle for long enough */
	else if ((error = try_to_connect(l)))
		lose(l, strerror(error));
}

static struct link *find_idle(struct milter_process *p, const struct milters *milters, size_t target, struct span client)
{
	struct link *l = p->links;
	while (l && (l->dialogue || !l->is_ready || l->milters != milters || l->target != target || !span_equal(buf_span(&l->client), client)))
		l = l->next;
	return l;
}

struct link *link_open(struct milter_process *p, struct milters *milters, size_t target, struct span client, bool may_be_idle, struct dialogue *d,
                       struct error *why)
{
	struct link *l = may_be_idle ? find_idle(p, milters, target, client) : NULL;
	if (l) {
		p->idle_count--;
		timer_clear(l->timer);
		l->dialogue = d;
		l->is_reused = true;
		return l;
	}
	int fd = socket(milters->list[target].at.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;
	if (fd < 0) {
		error_set(why, errno, "no socket: %s", strerror(errno));
		return NULL;
	}
	l = xcalloc(1, sizeof *l);
	*l = (struct link){.milter = p, .milters = milters_use(milters), .target = target, .dialogue = d, .fd = fd, .next = p->links};
	buf_add(&l->client, client);
	if (l->next)
		l->next->before = l;
	p->links = l;
	p->link_count++;
	l->timer = timer_new(p->loop, on_timer, l);
	l->connecting = watch_new(p->loop, fd, true, on_connected, l);
	if ((error = try_to_connect(l))) {
		error_set(why, error, "cannot connect: %s", strerror(error));
		link_close(l, false);
		return NULL;
	}
	return l;
}

/* ---- use ---- */

void link_send(struct link *l, char kind, struct span data)
{
	BUF_AUTO out = {0};
	milter_packet_add(&out, kind, data);
	stream_write(l->stream, buf_span(&out));
}

size_t link_backlog(const struct link *l)
{
	return stream_backlog(l->stream);
}

void link_keep(struct link *l, bool is_amid)
{
	struct milter_process *p = l->milter;
	if (l->milters != p->milters || p->idle_count >= IDLE_MOST) {
		link_close(l, true);
		return;
	}
	if (is_amid)
		link_send(l, MILTER_ABORT, SPAN(""));
	l->dialogue = NULL;
	p->idle_count++;
	timer_set(l->timer, IDLE_MS);
}

void links_retire(struct milter_process *p)
{
	for (struct link *l = p->links, *next; l; l = next) {
		next = l->next;
		if (!l->dialogue)
			link_close(l, true);
	}
}
