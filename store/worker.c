/* Threads with a queue of jobs each, and the outbox towards the loop. */
#include "store/worker.h"

#include "base/clock.h"
#include "base/die.h"
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	QUIET_MS = 20,   /* without anything new, before what can wait is taken up */
	STARVED_MS = 25, /* between two of those that can wait, where something new comes all the time */
};

struct worker_thread {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last;
	struct job *idle_first, **idle_last; /* run when there is no other */
	int64_t busy_ms;         /* when something came last */
	int64_t idle_ms;         /* when one that can wait was taken up last, or the first of them came */
	struct parcel_list said; /* in this turn */
	bool is_ending;
};

/* Waits for a job, or for the time of one that can wait; true if that is now. */
static bool is_time_for_idle_job(struct worker_thread *t)
{
	if (!t->idle_first) {
		pthread_cond_wait(&t->wake, &t->lock);
		return false;
	}
	int64_t due_ms = t->busy_ms + QUIET_MS;
	if (clock_monotonic_ms() >= due_ms)
		return true;
	struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};
	pthread_cond_clockwait(&t->wake, &t->lock, CLOCK_MONOTONIC, &due);
	return false;
}

/* The first of those that can wait, taken out of their queue. */
static struct job *take_idle_job(struct worker_thread *t)
{
	struct job *j = t->idle_first;
	t->idle_first = j->next;
	if (!t->idle_first)
		t->idle_last = &t->idle_first;
	j->next = NULL;
	t->idle_ms = clock_monotonic_ms();
	return j;
}

static struct job *take_jobs(struct worker_thread *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->first && !t->is_ending && !is_time_for_idle_job(t))
		;
	struct job *jobs = t->first;
	/* where there is always something to do, those that can wait have a turn now and then nevertheless */
	bool is_starved = t->idle_first && clock_monotonic_ms() - t->idle_ms >= STARVED_MS;
	if (jobs && is_starved)
		*t->last = take_idle_job(t);
	t->first = NULL;
	t->last = &t->first;
	if (!jobs && t->idle_first && !t->is_ending)
		jobs = take_idle_job(t);
	pthread_mutex_unlock(&t->lock);
	return jobs;
}

void worker_hand_over(struct worker *w)
{
	if (w->thread->said.first)
		store_outbox_add(w->store, &w->thread->said);
}

static void *run(void *context)
{
	struct worker *w = context;
	struct job *jobs;
	pthread_setname_np(pthread_self(), "worker");
	while ((jobs = take_jobs(w->thread))) {
		while (jobs) {
			struct job *j = jobs;
			jobs = j->next;
			j->run(w, j);
		}
		worker_hand_over(w);
	}
	return NULL;
}

struct worker *worker_new(struct store *s, unsigned index)
{
	struct worker *w = xcalloc(1, sizeof *w);
	struct worker_thread *t = xcalloc(1, sizeof *t);
	*t = (struct worker_thread){.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	t->last = &t->first;
	t->idle_last = &t->idle_first;
	*w = (struct worker){.store = s, .engine = s->engine, .committer = s->committer, .index = index, .thread = t};
	if (pthread_create(&t->thread, NULL, run, w))
		die("store: cannot start a worker's thread");
	return w;
}

void worker_stop(struct worker *w)
{
	struct worker_thread *t = w->thread;
	pthread_mutex_lock(&t->lock);
	t->is_ending = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
}

static void post(struct worker_thread *t, struct job *j, struct job ***last, bool is_new)
{
	j->next = NULL;
	pthread_mutex_lock(&t->lock);
	bool was_empty = !t->first;
	if (last == &t->idle_last && !t->idle_first)
		t->idle_ms = clock_monotonic_ms();
	**last = j;
	*last = &j->next;
	if (is_new)
		t->busy_ms = clock_monotonic_ms();
	if (was_empty)
		pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

void worker_post(struct worker *w, struct job *j)
{
	post(w->thread, j, &w->thread->last, true);
}

void worker_post_answer(struct worker *w, struct job *j)
{
	post(w->thread, j, &w->thread->last, false);
}

void worker_post_idle(struct worker *w, struct job *j)
{
	post(w->thread, j, &w->thread->idle_last, false);
}

void worker_say(struct worker *w, struct parcel *p)
{
	parcel_list_add(&w->thread->said, p);
}
