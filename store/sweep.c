/* Mark and sweep of shared blobs. */
#include "store/sweep.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/blob.h"
#include "store/queue/message.h"
#include "store/queue/schedule.h"

#include <pthread.h>
#include <stdatomic.h>

enum { YOUNG_MS = 3600 * 1000 };

struct sweep {
	struct store *store;
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

void sweep_shared(struct store *s)
{
	struct sweep w = {.store = s};
	struct engine_scan *scan = engine_scan_open(s->engine, QUEUE_PARTITION, SPAN("s"), SPAN("t"));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct id128 blob;
		struct unpacker u = {.rest = span_skip(key, 1)}, v = {.rest = value};
		unpack_id128(&u, &blob);
		if (made_ms(blob) + YOUNG_MS > clock_wall_ms())
			continue;
		map_put(&w.shared, id128_hash(blob), (void *)(uintptr_t)(unpack_u64(&v) + 1));
		buf_add(&w.ids, id128_span(&blob));
	}
	engine_scan_close(scan);
	if (engine_partitions(s->engine, SPAN(""), unmark, &w, NULL) < 0)
		w.is_failed = true;
	size_t at = 0;
	const struct queued *m;
	while ((m = map_next(&s->queue->messages, &at)))
		map_take(&w.shared, id128_hash(m->blob));
	if (w.is_failed)
		log_event(LOG_LEVEL_ERROR, "sweep-given-up", log_c("why", "the store could not be read whole"));
	struct batch b = {0};
	struct unpacker ids = {.rest = buf_span(&w.ids)};
	while (ids.rest.len && !w.is_failed) {
		struct id128 blob;
		BUF_AUTO swept = {0};
		unpack_id128(&ids, &blob);
		uintptr_t received = (uintptr_t)map_get(&w.shared, id128_hash(blob));
		if (!received)
			continue;
		blob_delete(&b, blob, received - 1);
		queue_key(&swept, 's', blob);
		batch_delete(&b, QUEUE_PARTITION, buf_span(&swept));
	}
	if (!batch_is_empty(&b)) {
		log_event(LOG_LEVEL_INFO, "swept", log_n("blobs", (int64_t)w.shared.count));
		store_commit(s, &b, NULL, NULL);
	}
	batch_free(&b);
	buf_free(&w.ids);
	map_free(&w.shared);
}

static void *compact(void *context)
{
	struct store *s = context;
	struct error why = {0};
	if (engine_compact(s->engine, &why))
		log_event(LOG_LEVEL_WARNING, "compaction-failed", log_c("why", why.text));
	atomic_store(&s->is_compacting, false);
	return NULL;
}

void sweep_compact(struct store *s)
{
	pthread_t thread;
	if (atomic_exchange(&s->is_compacting, true))
		return;
	if (pthread_create(&thread, NULL, compact, s)) {
		atomic_store(&s->is_compacting, false);
		return;
	}
	pthread_detach(thread);
}
