/* The engine that keeps everything in memory: for tests and for looking at the store without a disk.
 *
 * Each family is one array of entries in the order of their keys. An entry never changes; a scan holds the entries that
 * were there when it was opened, whatever is committed after that. One mutex guards the arrays and the entries' counts. */
#include "base/die.h"
#include "store/engine/engine_impl.h"

#include <pthread.h>
#include <errno.h>
#include <stdlib.h>

struct entry {
	size_t holders; /* the family, and the scans that have seen it */
	size_t key_bytes, value_bytes;
	char bytes[]; /* the key, then the value */
};

struct family {
	struct entry **entries;
	size_t count, room;
};

struct memory_engine {
	struct engine engine;
	pthread_mutex_t mutex;
	struct family families[ENGINE_FAMILIES];
};

struct memory_scan {
	struct engine_scan scan;
	struct entry **entries;
	size_t count, next;
};

enum operation_kind { OPERATION_PUT, OPERATION_DELETE, OPERATION_DELETE_RANGE };

struct operation {
	enum operation_kind kind;
	enum engine_family family;
	struct entry *entry; /* its key is the row; for a range, the key is the start and the value the end */
};

struct memory_batch {
	struct engine_batch batch;
	struct operation *operations;
	size_t count, room;
};

static struct entry *entry_new(struct span key, struct span value)
{
	struct entry *entry = xmalloc(sizeof *entry + key.len + value.len);
	*entry = (struct entry){1, key.len, value.len};
	if (key.len)
		memcpy(entry->bytes, key.ptr, key.len);
	if (value.len)
		memcpy(entry->bytes + key.len, value.ptr, value.len);
	return entry;
}

static struct span entry_key(const struct entry *entry)
{
	return span_of(entry->bytes, entry->key_bytes);
}

static struct span entry_value(const struct entry *entry)
{
	return span_of(entry->bytes + entry->key_bytes, entry->value_bytes);
}

static void entry_drop(struct entry *entry)
{
	if (--entry->holders == 0)
		free(entry);
}

/* The index of the first entry whose key is >= key. */
static size_t entries_find(struct entry *const *entries, size_t count, struct span key)
{
	size_t low = 0;
	while (low < count) {
		size_t middle = low + (count - low) / 2;
		if (span_compare(entry_key(entries[middle]), key) < 0)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

static bool family_has(const struct family *f, size_t at, struct span key)
{
	return at < f->count && span_equal(entry_key(f->entries[at]), key);
}

static void family_delete(struct family *f, size_t from, size_t to)
{
	if (from >= to)
		return;
	for (size_t i = from; i < to; i++)
		entry_drop(f->entries[i]);
	memmove(f->entries + from, f->entries + to, (f->count - to) * sizeof *f->entries);
	f->count -= to - from;
}

static void family_put(struct family *f, struct entry *entry)
{
	size_t at = entries_find(f->entries, f->count, entry_key(entry));
	entry->holders++;
	if (family_has(f, at, entry_key(entry))) {
		entry_drop(f->entries[at]);
		f->entries[at] = entry;
		return;
	}
	if (f->count == f->room) {
		f->room = f->room ? f->room * 2 : 64;
		f->entries = xrealloc_array(f->entries, f->room, sizeof *f->entries);
	}
	memmove(f->entries + at + 1, f->entries + at, (f->count - at) * sizeof *f->entries);
	f->entries[at] = entry;
	f->count++;
}

static struct memory_engine *memory_of(struct engine *e)
{
	return (struct memory_engine *)e;
}

static void memory_close(struct engine *e)
{
	struct memory_engine *m = memory_of(e);
	for (size_t i = 0; i < ENGINE_FAMILIES; i++) {
		family_delete(&m->families[i], 0, m->families[i].count);
		free(m->families[i].entries);
	}
	pthread_mutex_destroy(&m->mutex);
	free(m);
}

static int memory_get(struct engine *e, enum engine_family family, struct span key, struct buf *value, struct error *why)
{
	(void)why;
	struct memory_engine *m = memory_of(e);
	const struct family *f = &m->families[family];
	pthread_mutex_lock(&m->mutex);
	size_t at = entries_find(f->entries, f->count, key);
	bool is_there = family_has(f, at, key);
	if (is_there)
		buf_add(value, entry_value(f->entries[at]));
	pthread_mutex_unlock(&m->mutex);
	return is_there;
}

static struct engine_scan *memory_scan_open(struct engine *e, struct span from, struct span to)
{
	struct memory_engine *m = memory_of(e);
	struct family *f = &m->families[ENGINE_ROWS];
	struct memory_scan *s = xcalloc(1, sizeof *s);
	s->scan.engine = e;
	pthread_mutex_lock(&m->mutex);
	size_t first = entries_find(f->entries, f->count, from);
	size_t end = to.len ? entries_find(f->entries, f->count, to) : f->count;
	if (first < end) {
		s->count = end - first;
		s->entries = xrealloc_array(NULL, s->count, sizeof *s->entries);
		memcpy(s->entries, f->entries + first, s->count * sizeof *s->entries);
	}
	for (size_t i = 0; i < s->count; i++)
		s->entries[i]->holders++;
	pthread_mutex_unlock(&m->mutex);
	return &s->scan;
}

static void memory_scan_seek(struct engine_scan *scan, struct span from)
{
	struct memory_scan *s = (struct memory_scan *)scan;
	s->next = entries_find(s->entries, s->count, from);
}

static int memory_scan_next(struct engine_scan *scan, struct span *key, struct span *value, struct error *why)
{
	(void)why;
	struct memory_scan *s = (struct memory_scan *)scan;
	if (s->next == s->count)
		return 0;
	const struct entry *entry = s->entries[s->next++];
	*key = entry_key(entry);
	*value = entry_value(entry);
	return 1;
}

static void memory_scan_close(struct engine_scan *scan)
{
	struct memory_scan *s = (struct memory_scan *)scan;
	struct memory_engine *m = memory_of(scan->engine);
	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < s->count; i++)
		entry_drop(s->entries[i]);
	pthread_mutex_unlock(&m->mutex);
	free(s->entries);
	free(s);
}

static struct engine_batch *memory_batch_new(struct engine *e)
{
	struct memory_batch *b = xcalloc(1, sizeof *b);
	b->batch.engine = e;
	return &b->batch;
}

static void memory_batch_clear(struct engine_batch *batch)
{
	struct memory_batch *b = (struct memory_batch *)batch;
	struct memory_engine *m = memory_of(batch->engine);
	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < b->count; i++)
		entry_drop(b->operations[i].entry);
	pthread_mutex_unlock(&m->mutex);
	b->count = 0;
}

static void memory_batch_free(struct engine_batch *batch)
{
	struct memory_batch *b = (struct memory_batch *)batch;
	memory_batch_clear(batch);
	free(b->operations);
	free(b);
}

static void batch_add(struct engine_batch *batch, enum operation_kind kind, enum engine_family family, struct span key,
                      struct span value)
{
	struct memory_batch *b = (struct memory_batch *)batch;
	if (b->count == b->room) {
		b->room = b->room ? b->room * 2 : 16;
		b->operations = xrealloc_array(b->operations, b->room, sizeof *b->operations);
	}
	b->operations[b->count++] = (struct operation){kind, family, entry_new(key, value)};
}

static void memory_batch_put(struct engine_batch *b, enum engine_family family, struct span key, struct span value)
{
	batch_add(b, OPERATION_PUT, family, key, value);
}

static void memory_batch_delete(struct engine_batch *b, enum engine_family family, struct span key)
{
	batch_add(b, OPERATION_DELETE, family, key, SPAN(""));
}

static void memory_batch_delete_range(struct engine_batch *b, struct span from, struct span to)
{
	batch_add(b, OPERATION_DELETE_RANGE, ENGINE_ROWS, from, to);
}

static void operation_apply(struct family *f, const struct operation *o)
{
	struct span key = entry_key(o->entry);
	size_t at;
	switch (o->kind) {
	case OPERATION_PUT:
		family_put(f, o->entry);
		break;
	case OPERATION_DELETE:
		at = entries_find(f->entries, f->count, key);
		if (family_has(f, at, key))
			family_delete(f, at, at + 1);
		break;
	case OPERATION_DELETE_RANGE:
		at = entries_find(f->entries, f->count, key);
		family_delete(f, at, entries_find(f->entries, f->count, entry_value(o->entry)));
		break;
	}
}

static int memory_commit(struct engine *e, struct engine_batch *batch, bool is_durable, struct error *why)
{
	(void)is_durable, (void)why;
	struct memory_batch *b = (struct memory_batch *)batch;
	struct memory_engine *m = memory_of(e);
	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < b->count; i++)
		operation_apply(&m->families[b->operations[i].family], &b->operations[i]);
	pthread_mutex_unlock(&m->mutex);
	return 0;
}

static int memory_compact(struct engine *e, struct error *why)
{
	(void)e, (void)why;
	return 0;
}

static int memory_checkpoint(struct engine *e, const char *path, struct error *why)
{
	(void)e;
	return error_set(why, ENOTSUP, "cannot make %s: an engine in memory has no files", path);
}

static bool memory_has_room(struct engine *e)
{
	(void)e;
	return true;
}

static const struct engine_calls memory_calls = {
	.close = memory_close,
	.get = memory_get,
	.scan_open = memory_scan_open,
	.scan_seek = memory_scan_seek,
	.scan_next = memory_scan_next,
	.scan_close = memory_scan_close,
	.batch_new = memory_batch_new,
	.batch_free = memory_batch_free,
	.batch_clear = memory_batch_clear,
	.batch_put = memory_batch_put,
	.batch_delete = memory_batch_delete,
	.batch_delete_range = memory_batch_delete_range,
	.commit = memory_commit,
	.compact = memory_compact,
	.checkpoint = memory_checkpoint,
	.has_room = memory_has_room,
};

struct engine *engine_open_memory(void)
{
	struct memory_engine *m = xcalloc(1, sizeof *m);
	m->engine.calls = &memory_calls;
	pthread_mutex_init(&m->mutex, NULL);
	return &m->engine;
}
