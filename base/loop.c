/* The event loop over libevent. */
#include "base/loop.h"

#include "base/die.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
	struct event_base *base;
	struct later *laters;
	bool is_stopped;
};

struct watch {
	struct event *event;
	loop_fn *fn;
	void *context;
};

struct timer {
	struct event *event;
	loop_fn *fn;
	void *context;
};

struct waker {
	int fd;
	struct watch *watch;
	loop_fn *fn;
	void *context;
};

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof *l);
	struct event_config *config = event_config_new();
	/* no epoll changelist, no eventfd for other threads: what the sandbox does not need, it does not have */
	if (!config || event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV))
		die("loop: cannot configure libevent");
	l->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!l->base)
		die("loop: cannot make an event base");
	return l;
}

void loop_free(struct loop *l)
{
	event_base_free(l->base);
	free(l);
}

enum { LATERS_MOST = 4096 }; /* in one turn: what asks for more and more must not keep the descriptors waiting */

static void run_laters(struct loop *l)
{
	for (int n = 0; l->laters && n < LATERS_MOST; n++) {
		struct later *what = l->laters;
		l->laters = what->next;
		what->next = NULL;
		what->is_waiting = false;
		what->fn(what->context);
	}
}

void loop_run(struct loop *l)
{
	while (!l->is_stopped) {
		run_laters(l);
		if (l->is_stopped)
			break;
		int flags = l->laters ? EVLOOP_NONBLOCK : EVLOOP_ONCE;
		if (event_base_loop(l->base, flags | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			die("loop: libevent failed");
	}
	run_laters(l);
}

void loop_stop(struct loop *l)
{
	l->is_stopped = true;
	event_base_loopbreak(l->base);
}

void loop_rearm(struct loop *l)
{
	l->is_stopped = false;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

static void on_watch(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	struct watch *w = context;
	w->fn(w->context);
}

struct watch *watch_new(struct loop *l, int fd, bool for_writing, loop_fn *fn, void *context)
{
	struct watch *w = xcalloc(1, sizeof *w);
	*w = (struct watch){.fn = fn, .context = context};
	w->event = event_new(l->base, fd, (short)((for_writing ? EV_WRITE : EV_READ) | EV_PERSIST), on_watch, w);
	if (!w->event)
		die("loop: cannot watch descriptor %d", fd);
	return w;
}

void watch_on(struct watch *w)
{
	if (event_add(w->event, NULL))
		die("loop: cannot watch a descriptor");
}

void watch_off(struct watch *w)
{
	event_del(w->event);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	event_free(w->event);
	free(w);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	struct timer *t = context;
	t->fn(t->context);
}

struct timer *timer_new(struct loop *l, loop_fn *fn, void *context)
{
	struct timer *t = xcalloc(1, sizeof *t);
	*t = (struct timer){.fn = fn, .context = context};
	t->event = event_new(l->base, -1, 0, on_timer, t);
	if (!t->event)
		die("loop: cannot make a timer");
	return t;
}

void timer_set(struct timer *t, int64_t in_ms)
{
	if (in_ms < 0)
		in_ms = 0;
	struct timeval in = {.tv_sec = in_ms / 1000, .tv_usec = (in_ms % 1000) * 1000};
	event_add(t->event, &in);
}

void timer_clear(struct timer *t)
{
	event_del(t->event);
}

void timer_free(struct timer *t)
{
	if (!t)
		return;
	event_free(t->event);
	free(t);
}

void loop_on_signal(struct loop *l, int signal_number, loop_fn *fn, void *context)
{
	/* lives as long as the loop */
	struct watch *w = xcalloc(1, sizeof *w);
	*w = (struct watch){.fn = fn, .context = context};
	w->event = event_new(l->base, signal_number, EV_SIGNAL | EV_PERSIST, on_watch, w);
	if (!w->event)
		die("loop: cannot watch signal %d", signal_number);
	watch_on(w);
}

void loop_later(struct loop *l, struct later *what)
{
	if (what->is_waiting)
		return;
	what->is_waiting = true;
	what->next = l->laters;
	l->laters = what;
}

void loop_later_cancel(struct loop *l, struct later *what)
{
	if (!what->is_waiting)
		return;
	for (struct later **at = &l->laters; *at; at = &(*at)->next)
		if (*at == what) {
			*at = what->next;
			break;
		}
	what->is_waiting = false;
	what->next = NULL;
}

static void on_wake(void *context)
{
	struct waker *w = context;
	uint64_t count;
	ssize_t n = read(w->fd, &count, sizeof count);
	(void)n;
	w->fn(w->context);
}

struct waker *waker_new(struct loop *l, loop_fn *fn, void *context)
{
	struct waker *w = xcalloc(1, sizeof *w);
	*w = (struct waker){.fn = fn, .context = context, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (w->fd < 0)
		die("loop: cannot make an eventfd");
	w->watch = watch_new(l, w->fd, false, on_wake, w);
	watch_on(w->watch);
	return w;
}

void waker_wake(struct waker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->fd, &one, sizeof one);
	(void)n;
}

void waker_free(struct waker *w)
{
	if (!w)
		return;
	watch_free(w->watch);
	close(w->fd);
	free(w);
}
