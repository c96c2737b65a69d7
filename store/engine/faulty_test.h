/* An engine whose scans fail, and one whose commits wait, as long as a test wants it. One engine a test program. */
#ifndef STORE_ENGINE_FAULTY_TEST_H
#define STORE_ENGINE_FAULTY_TEST_H

#include "store/engine/engine_impl.h"

#include <errno.h>
#include <pthread.h>

static struct faulty {
	const struct engine_calls *calls; /* as they were */
	struct engine_calls own;
	bool is_failing;
	bool is_holding;
	pthread_mutex_t lock; /* of is_holding */
	pthread_cond_t let_go;
} faulty = {.lock = PTHREAD_MUTEX_INITIALIZER, .let_go = PTHREAD_COND_INITIALIZER};

static inline int faulty_scan_next(struct engine_scan *s, struct span *key, struct span *value, struct error *why)
{
	return faulty.is_failing ? error_set(why, EIO, "the disk fails") : faulty.calls->scan_next(s, key, value, why);
}

static inline int faulty_commit(struct engine *e, struct engine_batch *b, bool is_durable, struct error *why)
{
	pthread_mutex_lock(&faulty.lock);
	while (faulty.is_holding)
		pthread_cond_wait(&faulty.let_go, &faulty.lock);
	pthread_mutex_unlock(&faulty.lock);
	return faulty.calls->commit(e, b, is_durable, why);
}

/* While it holds, commits wait. */
static inline void faulty_hold(bool is_holding)
{
	pthread_mutex_lock(&faulty.lock);
	faulty.is_holding = is_holding;
	pthread_cond_broadcast(&faulty.let_go);
	pthread_mutex_unlock(&faulty.lock);
}

/* While faulty.is_failing, its scans fail. */
static inline struct engine *engine_open_faulty(void)
{
	struct engine *e = engine_open_memory();
	faulty.calls = e->calls;
	faulty.own = *e->calls;
	faulty.own.scan_next = faulty_scan_next;
	faulty.own.commit = faulty_commit;
	e->calls = &faulty.own;
	return e;
}

#endif
