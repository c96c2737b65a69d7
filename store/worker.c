/* Threads with a queue of jobs each, and the outbox towards the loop. */
#include "store/worker.h"

#include "base/die.h"
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>

struct worker_thread {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last;
	struct parcel *said, **said_last; /* in this turn */
	bool is_ending;
};

static struct job *take_jobs(struct worker_thread *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->first && !t->is_ending)
		pthread_cond_wait(&t->wake, &t->lock);
	struct job *jobs = t->first;
	t->first = NULL;
	t->last = &t->first;
	pthread_mutex_unlock(&t->lock);
	return jobs;
}

static void hand_over(struct worker *w)
{
	struct worker_thread *t = w->thread;
	if (!t->said)
		return;
	store_outbox_add(w->store, t->said, t->said_last);
	t->said = NULL;
	t->said_last = &t->said;
}

static void *run(void *context)
{
	struct worker *w = context;
	struct job *jobs;
	while ((jobs = take_jobs(w->thread))) {
		while (jobs) {
			struct job *j = jobs;
			jobs = j->next;
			j->run(w, j);
		}
		hand_over(w);
	}
	return NULL;
}

struct worker *worker_new(struct store *s, unsigned index)
{
	struct worker *w = xcalloc(1, sizeof *w);
	struct worker_thread *t = xcalloc(1, sizeof *t);
	*t = (struct worker_thread){.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	t->last = &t->first;
	t->said_last = &t->said;
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

void worker_post(struct worker *w, struct job *j)
{
	struct worker_thread *t = w->thread;
	j->next = NULL;
	pthread_mutex_lock(&t->lock);
	bool was_empty = !t->first;
	*t->last = j;
	t->last = &j->next;
	if (was_empty)
		pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

void worker_say(struct worker *w, struct parcel *p)
{
	p->next = NULL;
	*w->thread->said_last = p;
	w->thread->said_last = &p->next;
}

struct parcel *parcel_new(peer_id peer)
{
	struct parcel *p = xcalloc(1, sizeof *p);
	p->peer = peer;
	return p;
}

void parcel_free(struct parcel *p)
{
	if (!p)
		return;
	buf_free(&p->frames);
	free(p);
}
