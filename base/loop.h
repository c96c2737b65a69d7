/* The event loop of a process, over libevent: descriptors, timers, signals, and work put off to the end of a turn.
 * One loop and one thread a process; store's and vault's other threads talk to it through a waker. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch;
struct timer;
struct event_base;

typedef void loop_fn(void *context);

struct loop *loop_new(void);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* returns after loop_stop */
void loop_stop(struct loop *l);
void loop_rearm(struct loop *l); /* so that loop_run can be called again after loop_stop */
struct event_base *loop_base(struct loop *l);

/* Calls `fn` at each turn in which fd can be read (or written) while it is on. Starts off. */
struct watch *watch_new(struct loop *l, int fd, bool for_writing, loop_fn *fn, void *context);
void watch_on(struct watch *w);
void watch_off(struct watch *w);
void watch_free(struct watch *w);

/* One shot; setting it again moves it. */
struct timer *timer_new(struct loop *l, loop_fn *fn, void *context);
void timer_set(struct timer *t, int64_t in_ms);
void timer_clear(struct timer *t);
void timer_free(struct timer *t);

/* Calls fn(context) at each arrival of the signal. */
void loop_on_signal(struct loop *l, int signal_number, loop_fn *fn, void *context);

/* Something to do once at the end of this turn of the loop, however often it is asked for: what makes many small
 * answers go out in one write. Embed a `struct later`, zeroed, and set fn and context. */
struct later {
	loop_fn *fn;
	void *context;
	struct later *next;
	bool is_waiting;
};
void loop_later(struct loop *l, struct later *what);
void loop_later_cancel(struct loop *l, struct later *what);

/* Makes the loop call `fn` soon; may be called from any thread (the only call here that may). */
struct waker;
struct waker *waker_new(struct loop *l, loop_fn *fn, void *context);
void waker_wake(struct waker *w);
void waker_free(struct waker *w);

#endif
