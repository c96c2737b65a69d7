/* Threads by message ids: see threading.h. */
#include "store/mailbox/threading.h"

enum {
	IDS_LOOKED_AT = 12,  /* of one message: its own, and the latest that it answers */
	IDS_WRITTEN = 4,
	RECENT_MOST = 1024,  /* kept in memory, since what was put lately is not on the disk yet */
};

static void make_key(struct buf *key, uint64_t id)
{
	buf_clear(key);
	buf_add_char(key, 'r');
	pack_u64(key, id);
}

static uint64_t find(struct account *a, uint64_t id)
{
	BUF_AUTO key = {0}, value = {0};
	uintptr_t recent = (uintptr_t)map_get(&a->recent_threads, id);
	if (recent)
		return recent;
	make_key(&key, id);
	if (engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, NULL) <= 0)
		return 0;
	struct unpacker u = {.rest = buf_span(&value)};
	uint64_t thread = unpack_u64(&u);
	return unpack_done(&u) ? thread : 0;
}

static void put(struct account *a, uint64_t id, uint64_t thread)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, id);
	pack_u64(&value, thread);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
	map_put(&a->recent_threads, id, (void *)(uintptr_t)thread);
}

void threading_forget(struct account *a)
{
	map_free(&a->recent_threads);
	a->recent_threads = (struct map){0};
}

/* Its own id, then the last of those that it answers, the latest first: the order in which they are looked for and written. */
static size_t take_ids(struct span packed, uint64_t ids[IDS_LOOKED_AT])
{
	struct unpacker u = {.rest = packed};
	size_t count = packed.len / 8, n = 0;
	if (count == 0)
		return 0;
	ids[n] = unpack_u64(&u);
	n += ids[0] != 0;
	for (size_t i = count - 1; i > 0 && n < IDS_LOOKED_AT; i--) {
		struct unpacker at = {.rest = span_skip(packed, i * 8)};
		ids[n++] = unpack_u64(&at);
	}
	return n;
}

uint64_t threading_join(struct account *a, struct span packed, struct id128 blob)
{
	uint64_t ids[IDS_LOOKED_AT], known[IDS_LOOKED_AT], thread = 0;
	size_t count = take_ids(packed, ids);
	if (a->recent_threads.count > RECENT_MOST && account_is_durable(a))
		threading_forget(a);
	for (size_t i = 0; i < count; i++) {
		known[i] = find(a, ids[i]);
		thread = thread ? thread : known[i];
	}
	thread = thread ? thread : id128_hash(blob) | 1;
	for (size_t i = 0; i < count && i < IDS_WRITTEN; i++)
		if (!known[i])
			put(a, ids[i], thread);
	return thread;
}
