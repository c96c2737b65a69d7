/* Mark and sweep of shared blobs. */
#include "store/sweep.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/blob.h"
#include "store/deliver.h"
#include "store/greylist.h"
#include "store/queue/message.h"
#include "store/trace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { FIRST_MS = 60 * 1000, EVERY_MS = 600 * 1000, YOUNG_MS = 3600 * 1000 };

/* Blobs that move between accounts, by hash: since the last sweep began, and in the time before it. */
struct spared {
	pthread_mutex_t lock;
	struct map now, before;
};

struct sweep_job {
	struct job job;
	struct store *store;
	uint64_t oldest_trace_ms;
	struct map in_use; /* blobs of deliveries that were on their way when the sweep began, by hash */
};

struct sweep {
	struct store *store;
	struct map *in_use;
	bool is_failed;    /* something could not be read: then nothing is known to be unused */
	struct map shared; /* blobs that may be swept, by hash: value is the received size + 1 */
	struct buf ids;
};

/* Ids start with the time in ms, 48 bits. */
static int64_t made_ms(struct id128 id)
{
	int64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id.bytes[i];
	return ms;
}

static int unmark(void *context, struct span partition)
{
	struct sweep *w = context;
	if (partition.len == 0 || partition.ptr[0] != 'a')
		return 0;
	struct engine_scan *scan = engine_scan_open(w->store->engine, partition, SPAN("b"), SPAN("c"));
	struct span key, value;
	int more;
	while ((more = engine_scan_next(scan, &key, &value, NULL)) > 0) {
		struct id128 blob;
		struct unpacker u = {.rest = span_skip(key, 1)};
		unpack_id128(&u, &blob);
		map_take(&w->shared, id128_hash(blob));
	}
	engine_scan_close(scan);
	w->is_failed |= more < 0;
	return 0;
}

static void mark_in_use(void *context, struct id128 blob)
{
	map_put(context, id128_hash(blob), context);
}

/* The blobs that may go, if no account names them: they were shared before the sweep began, and the message that brought
 * them had reached its last account by then. */
static void find_candidates(struct sweep *w)
{
	struct engine_scan *scan = engine_scan_open(w->store->engine, QUEUE_PARTITION, SPAN("s"), SPAN("t"));
	struct span key, value;
	int more;
	while ((more = engine_scan_next(scan, &key, &value, NULL)) > 0) {
		struct id128 blob;
		struct unpacker u = {.rest = span_skip(key, 1)}, v = {.rest = value};
		unpack_id128(&u, &blob);
		if (made_ms(blob) + YOUNG_MS > clock_wall_ms() || map_get(w->in_use, id128_hash(blob)))
			continue;
		map_put(&w->shared, id128_hash(blob), (void *)(uintptr_t)(unpack_u64(&v) + 1));
		buf_add(&w->ids, id128_span(&blob));
	}
	engine_scan_close(scan);
	w->is_failed |= more < 0;
}

void sweep_prepare(struct store *s)
{
	s->spared = xcalloc(1, sizeof *s->spared);
	*s->spared = (struct spared){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void sweep_end(struct store *s)
{
	map_free(&s->spared->now);
	map_free(&s->spared->before);
	pthread_mutex_destroy(&s->spared->lock);
	free(s->spared);
}

void sweep_spare(struct store *s, struct id128 blob)
{
	pthread_mutex_lock(&s->spared->lock);
	map_put(&s->spared->now, id128_hash(blob), s);
	pthread_mutex_unlock(&s->spared->lock);
}

static bool is_spared(const struct store *s, struct id128 blob)
{
	pthread_mutex_lock(&s->spared->lock);
	bool result = map_get(&s->spared->now, id128_hash(blob)) || map_get(&s->spared->before, id128_hash(blob));
	pthread_mutex_unlock(&s->spared->lock);
	return result;
}

static void begin_sparing_anew(struct store *s)
{
	pthread_mutex_lock(&s->spared->lock);
	map_free(&s->spared->before);
	s->spared->before = s->spared->now;
	s->spared->now = (struct map){0};
	pthread_mutex_unlock(&s->spared->lock);
}

static void delete_unnamed(struct sweep *w)
{
	struct batch b = {0};
	struct unpacker ids = {.rest = buf_span(&w->ids)};
	while (ids.rest.len) {
		struct id128 blob;
		BUF_AUTO swept = {0};
		unpack_id128(&ids, &blob);
		uintptr_t received = (uintptr_t)map_get(&w->shared, id128_hash(blob));
		if (!received || is_spared(w->store, blob))
			continue;
		blob_delete(&b, blob, received - 1);
		queue_key(&swept, 's', blob);
		batch_delete(&b, QUEUE_PARTITION, buf_span(&swept));
	}
	if (!batch_is_empty(&b)) {
		log_event(LOG_LEVEL_INFO, "swept", log_n("blobs", (int64_t)w->shared.count));
		store_commit(w->store, &b, NULL, NULL);
	}
	batch_free(&b);
}

void sweep_blobs(struct store *s, struct map *in_use)
{
	struct sweep w = {.store = s, .in_use = in_use};
	/* before the accounts are looked at: a message leaves the queue only after the last of them has it */
	w.is_failed = queue_walk_blobs(s, mark_in_use, in_use) < 0;
	find_candidates(&w);
	if (!w.is_failed && w.shared.count && engine_partitions(s->engine, SPAN(""), unmark, &w, NULL) < 0)
		w.is_failed = true;
	if (w.is_failed)
		log_event(LOG_LEVEL_ERROR, "sweep-given-up", log_c("why", "the store could not be read whole"));
	else
		delete_unnamed(&w);
	map_free(&w.shared);
	buf_free(&w.ids);
}

static void finished(void *context)
{
	struct store *s = context;
	timer_set(s->sweep, EVERY_MS);
}

static void run(struct worker *worker, struct job *job)
{
	struct sweep_job *j = (struct sweep_job *)job;
	struct store *s = j->store;
	struct error why = {0};
	trace_sweep(s, j->oldest_trace_ms);
	greylist_sweep(s);
	sweep_blobs(s, &j->in_use);
	if (engine_compact(s->engine, &why))
		log_event(LOG_LEVEL_WARNING, "compaction-failed", log_c("why", why.text));
	map_free(&j->in_use);
	free(j);
	atomic_fetch_sub(&s->background, 1);
	worker_say(worker, parcel_to_call(finished, s));
}

static void begin(void *context)
{
	struct store *s = context;
	struct sweep_job *j = xcalloc(1, sizeof *j);
	*j = (struct sweep_job){.job.run = run, .store = s};
	j->oldest_trace_ms = (uint64_t)clock_wall_ms() - child_config(s->self)->trace_lifetime_s * 1000;
	begin_sparing_anew(s);
	deliver_walk_blobs(s, mark_in_use, &j->in_use);
	atomic_fetch_add(&s->background, 1);
	worker_post(s->sweeper, &j->job);
}

void sweep_start(struct store *s)
{
	s->sweep = timer_new(s->loop, begin, s);
	timer_set(s->sweep, FIRST_MS);
}
