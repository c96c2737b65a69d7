/* The part of the engines that they have in common: how partitions and blobs become keys.
 *
 * A row's key is its partition's name, with every 0x00 as 0x00 0xff, then 0x00 0x01, then the caller's key. So no name is
 * the beginning of another one, all rows of a partition stand together, and partitions are ordered as their names are.
 * A blob piece's key is the id and the piece's number, big-endian. */
#include "store/engine/engine.h"

#include "base/die.h"
#include "base/pack.h"
#include "store/engine/engine_impl.h"

#include <errno.h>

enum {
	BLOB_KEY_BYTES = 20,
	NAME_END = 1,         /* after 0x00: the name ends here */
	NAME_END_BEYOND = 2,  /* after 0x00: greater than all rows of the partition */
	NAME_ZERO = 0xff,     /* after 0x00: a 0x00 of the name */
};

static const struct span first_row = {"\0\1", 2}; /* the first possible row of a partition */

static void key_add_name(struct buf *key, struct span name)
{
	if (name.len > PARTITION_NAME_BYTES_MOST)
		die("engine: a partition's name of %zu bytes", name.len);
	for (size_t i = 0; i < name.len; i++) {
		buf_add_char(key, name.ptr[i]);
		if (name.ptr[i] == 0)
			buf_add_char(key, (char)NAME_ZERO);
	}
}

static void key_end_name(struct buf *key, char end)
{
	buf_add_char(key, 0);
	buf_add_char(key, end);
}

/* Makes the row's key and returns how much of it is the partition. */
static size_t key_make(struct buf *key, struct span partition, struct span rest)
{
	if (rest.len > KEY_BYTES_MOST)
		die("engine: a key of %zu bytes", rest.len);
	buf_clear(key);
	key_add_name(key, partition);
	key_end_name(key, NAME_END);
	size_t partition_bytes = key->len;
	buf_add(key, rest);
	return partition_bytes;
}

/* The end of a range: `to`, or the partition's end where that is empty. */
static void key_make_end(struct buf *key, struct span partition, struct span to)
{
	if (to.len) {
		key_make(key, partition, to);
		return;
	}
	buf_clear(key);
	key_add_name(key, partition);
	key_end_name(key, NAME_END_BEYOND);
}

/* Makes *key the least key that is greater than all that start with it; empty if there is none. */
static void key_make_beyond(struct buf *key)
{
	while (key->len && (unsigned char)key->ptr[key->len - 1] == 0xff)
		key->len--;
	if (key->len)
		key->ptr[key->len - 1]++;
}

/* The partition's name out of a row's key; returns how many bytes of the key it took with its end, 0 if it has none. */
static size_t key_read_name(struct span key, struct buf *name)
{
	buf_clear(name);
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] != 0) {
			buf_add_char(name, key.ptr[i]);
			continue;
		}
		if (++i == key.len)
			return 0;
		if (key.ptr[i] == NAME_END)
			return i + 1;
		buf_add_char(name, 0);
	}
	return 0;
}

static void blob_key(struct buf *key, struct blob_id id, uint32_t piece)
{
	buf_add(key, span_of(id.bytes, sizeof id.bytes));
	pack_sorted_u32(key, piece);
}

void engine_close(struct engine *e)
{
	if (e)
		e->calls->close(e);
}

int engine_get(struct engine *e, struct span partition, struct span key, struct buf *value, struct error *why)
{
	BUF_AUTO whole = {0};
	key_make(&whole, partition, key);
	return e->calls->get(e, ENGINE_ROWS, buf_span(&whole), value, why);
}

struct engine_scan *engine_scan_open(struct engine *e, struct span partition, struct span from, struct span to)
{
	BUF_AUTO first = {0};
	BUF_AUTO end = {0};
	size_t partition_bytes = key_make(&first, partition, from);
	key_make_end(&end, partition, to);
	struct engine_scan *s = e->calls->scan_open(e, buf_span(&first), buf_span(&end));
	s->partition_bytes = partition_bytes;
	return s;
}

int engine_scan_next(struct engine_scan *s, struct span *key, struct span *value, struct error *why)
{
	int found = s->engine->calls->scan_next(s, key, value, why);
	if (found == 1)
		*key = span_skip(*key, s->partition_bytes);
	return found;
}

void engine_scan_close(struct engine_scan *s)
{
	if (s)
		s->engine->calls->scan_close(s);
}

int engine_partitions(struct engine *e, struct span prefix, int (*each)(void *context, struct span partition),
                      void *context, struct error *why)
{
	BUF_AUTO end = {0};
	key_add_name(&end, prefix);
	BUF_AUTO at = {0};
	buf_add(&at, prefix.len ? buf_span(&end) : first_row);
	key_make_beyond(&end);

	BUF_AUTO name = {0};
	struct engine_scan *s = e->calls->scan_open(e, buf_span(&at), buf_span(&end));
	struct span key, value;
	int result;
	while ((result = e->calls->scan_next(s, &key, &value, why)) == 1) {
		if (key_read_name(key, &name) == 0) {
			result = error_set(why, EBADMSG, "a row's key names no partition");
			break;
		}
		result = each(context, buf_span(&name));
		if (result != 0)
			break;
		key_make_end(&at, buf_span(&name), SPAN(""));
		e->calls->scan_seek(s, buf_span(&at));
	}
	engine_scan_close(s);
	return result;
}

struct engine_batch *engine_batch_new(struct engine *e)
{
	return e->calls->batch_new(e);
}

void engine_batch_free(struct engine_batch *b)
{
	if (!b)
		return;
	buf_free(&b->from);
	buf_free(&b->to);
	b->engine->calls->batch_free(b);
}

void engine_batch_clear(struct engine_batch *b)
{
	b->has_blobs = b->gives_back = false;
	b->engine->calls->batch_clear(b);
}

void engine_batch_put(struct engine_batch *b, struct span partition, struct span key, struct span value)
{
	key_make(&b->from, partition, key);
	b->engine->calls->batch_put(b, ENGINE_ROWS, buf_span(&b->from), value);
}

void engine_batch_delete(struct engine_batch *b, struct span partition, struct span key)
{
	key_make(&b->from, partition, key);
	b->engine->calls->batch_delete(b, ENGINE_ROWS, buf_span(&b->from));
}

void engine_batch_delete_range(struct engine_batch *b, struct span partition, struct span from, struct span to)
{
	key_make(&b->from, partition, from);
	key_make_end(&b->to, partition, to);
	b->gives_back = true;
	if (span_compare(buf_span(&b->from), buf_span(&b->to)) < 0)
		b->engine->calls->batch_delete_range(b, buf_span(&b->from), buf_span(&b->to));
}

static struct span batch_blob_key(struct engine_batch *b, struct blob_id id, uint32_t piece)
{
	buf_clear(&b->from);
	blob_key(&b->from, id, piece);
	return buf_span(&b->from);
}

void engine_batch_blob_put(struct engine_batch *b, struct blob_id id, uint32_t piece, struct span bytes)
{
	if (bytes.len > BLOB_PIECE_BYTES)
		die("engine: a piece of %zu bytes", bytes.len);
	b->has_blobs = true;
	b->engine->calls->batch_put(b, ENGINE_BLOBS, batch_blob_key(b, id, piece), bytes);
}

void engine_batch_blob_delete(struct engine_batch *b, struct blob_id id, uint32_t piece)
{
	b->gives_back = true;
	b->engine->calls->batch_delete(b, ENGINE_BLOBS, batch_blob_key(b, id, piece));
}

int engine_commit(struct engine *e, struct engine_batch *b, bool is_durable, struct error *why)
{
	return e->calls->commit(e, b, is_durable, why);
}

int engine_blob_get(struct engine *e, struct blob_id id, uint32_t piece, struct buf *bytes, struct error *why)
{
	BUF_AUTO key = {0};
	blob_key(&key, id, piece);
	return e->calls->get(e, ENGINE_BLOBS, buf_span(&key), bytes, why);
}

int engine_checkpoint(struct engine *e, const char *path, struct error *why)
{
	return e->calls->checkpoint(e, path, why);
}

int engine_compact(struct engine *e, struct error *why)
{
	return e->calls->compact(e, why);
}

bool engine_has_room(struct engine *e)
{
	return e->calls->has_room(e);
}
