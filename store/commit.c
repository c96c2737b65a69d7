/* Group commit. */
#include "store/commit.h"

#include "base/die.h"

#include <pthread.h>
#include <stdlib.h>

struct committer {
	struct engine *engine;
	void (*say)(void *context, struct parcel_list *said);
	void *say_context;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct commit *first, **last;
	bool is_ending;
	struct committer_counts counts;
};

static struct commit *take_waiting(struct committer *c)
{
	pthread_mutex_lock(&c->lock);
	while (!c->first && !c->is_ending)
		pthread_cond_wait(&c->wake, &c->lock);
	struct commit *group = c->first;
	c->first = NULL;
	c->last = &c->first;
	pthread_mutex_unlock(&c->lock);
	return group;
}

static void write_group(struct committer *c, struct engine_batch *to, struct commit *group)
{
	struct error why = {0};
	bool is_durable = false;
	uint64_t commits = 0;
	engine_batch_clear(to);
	for (struct commit *one = group; one; one = one->next) {
		if (batch_is_empty(&one->batch))
			continue;
		batch_apply(&one->batch, to);
		is_durable |= one->batch.is_durable;
		commits++;
	}
	if (!commits)
		return;
	if (engine_commit(c->engine, to, is_durable, &why))
		die("store: cannot write: %s. Nothing of it was acknowledged; is the disk full or failing?", why.text);
	pthread_mutex_lock(&c->lock);
	c->counts.commits += commits;
	c->counts.groups++;
	c->counts.syncs += is_durable;
	pthread_mutex_unlock(&c->lock);
}

static void *run(void *context)
{
	struct committer *c = context;
	pthread_setname_np(pthread_self(), "committer");
	struct engine_batch *to = engine_batch_new(c->engine);
	struct commit *group;
	while ((group = take_waiting(c))) {
		struct parcel_list said = {0};
		write_group(c, to, group);
		for (struct commit *one = group; one; one = one->next)
			parcel_list_move(&said, &one->said);
		if (said.first)
			c->say(c->say_context, &said);
		while (group) {
			struct commit *one = group;
			group = one->next; /* done may free it */
			one->done(one);
		}
	}
	engine_batch_free(to);
	return NULL;
}

struct committer *committer_new(struct engine *e, void (*say)(void *context, struct parcel_list *said), void *context)
{
	struct committer *c = xcalloc(1, sizeof *c);
	*c = (struct committer){.engine = e, .say = say, .say_context = context, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	c->last = &c->first;
	if (pthread_create(&c->thread, NULL, run, c))
		die("store: cannot start the committer's thread");
	return c;
}

void committer_free(struct committer *c)
{
	pthread_mutex_lock(&c->lock);
	c->is_ending = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	free(c);
}

void committer_submit(struct committer *c, struct commit *commit)
{
	commit->next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->last = commit;
	c->last = &commit->next;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

struct committer_counts committer_counts(struct committer *c)
{
	pthread_mutex_lock(&c->lock);
	struct committer_counts counts = c->counts;
	pthread_mutex_unlock(&c->lock);
	return counts;
}
