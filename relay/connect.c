#include "relay/connect.h"

#include "base/die.h"
#include "base/log.h"
#include "relay/process.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEAD_START_MS = 250 }; /* RFC 8305 §5 and §8: Connection Attempt Delay */

struct attempt {
	struct connection_race *race;
	struct target target;
	int fd;               /* -1: not begun, or failed */
	struct watch *watch;
};

struct connection_race {
	struct relay_process *relay;
	struct connect_use use;
	struct attempt attempts[2];
	size_t count, begun;  /* attempts */
	struct timer *head_start;
};

static void attempt_end(struct attempt *a)
{
	watch_free(a->watch);
	a->watch = NULL;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

void connect_free(struct connection_race *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		attempt_end(&r->attempts[i]);
	timer_free(r->head_start);
	free(r);
}

static int open_socket(const struct relay_process *p, const struct target *t, struct error *why)
{
	int fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(why, errno, "socket: %s", strerror(errno));
	if (p->bind_to.ss_family == t->address.ss_family && bind(fd, (const struct sockaddr *)&p->bind_to, t->address_len)) {
		error_set(why, errno, "smtp_out_address: %s", strerror(errno));
		close(fd);
		return -1;
	}
	if (connect(fd, (const struct sockaddr *)&t->address, t->address_len) && errno != EINPROGRESS) {
		error_set(why, errno, "connect: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static void on_writable(void *context);

/* Begins the next attempt that can be begun: what there is no route to costs nothing. -1 with *why if there is none. */
static int begin_next(struct connection_race *r, struct error *why)
{
	while (r->begun < r->count) {
		struct attempt *a = &r->attempts[r->begun++];
		a->fd = open_socket(r->relay, &a->target, why);
		if (a->fd >= 0) {
			a->watch = watch_new(r->relay->loop, a->fd, true, on_writable, a);
			watch_on(a->watch);
			return 0;
		}
		if (r->begun < r->count)
			log_event(LOG_LEVEL_INFO, "connection-failed", log_c("host", a->target.name), log_c("why", why->text));
	}
	return -1;
}

static void on_head_start(void *context)
{
	struct error why = {0};
	begin_next(context, &why); /* the first is still under way */
}

static bool is_any_under_way(const struct connection_race *r)
{
	for (size_t i = 0; i < r->begun; i++)
		if (r->attempts[i].fd >= 0)
			return true;
	return false;
}

static void win(struct attempt *a)
{
	struct connection_race *r = a->race;
	struct connect_use use = r->use;
	struct target target = a->target;
	int fd = a->fd, on = 1;
	a->fd = -1;
	connect_free(r);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* everything is written in whole groups */
	use.connected(use.context, &target, fd);
}

static void lose(struct attempt *a, const char *text)
{
	struct connection_race *r = a->race;
	struct error why = {0};
	attempt_end(a);
	if (is_any_under_way(r) || begin_next(r, &why) == 0) {
		log_event(LOG_LEVEL_INFO, "connection-failed", log_c("host", a->target.name), log_c("why", text));
		return;
	}
	struct connect_use use = r->use;
	struct target target = a->target;
	connect_free(r);
	use.failed(use.context, &target, text);
}

static void on_writable(void *context)
{
	struct attempt *a = context;
	int error = 0;
	socklen_t len = sizeof error;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error)
		lose(a, strerror(error));
	else
		win(a);
}

struct connection_race *connect_begin(struct relay_process *p, const struct target *first, const struct target *second, const struct connect_use *use,
                                      struct error *why)
{
	struct connection_race *r = xcalloc(1, sizeof *r);
	*r = (struct connection_race){.relay = p, .use = *use, .count = second ? 2 : 1, .head_start = timer_new(p->loop, on_head_start, r)};
	for (size_t i = 0; i < r->count; i++)
		r->attempts[i] = (struct attempt){.race = r, .target = i ? *second : *first, .fd = -1};
	if (begin_next(r, why)) {
		connect_free(r);
		return NULL;
	}
	if (r->begun < r->count)
		timer_set(r->head_start, HEAD_START_MS);
	return r;
}
