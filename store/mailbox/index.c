/* Rows in memory, segments and tail on the disk. */
#include "store/mailbox/index.h"

#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"

#include <errno.h>
#include <stdlib.h>

enum { ROW_VERSION = 2 };

static uint32_t segment_of(uint32_t uid)
{
	return uid / SEGMENT_ROWS;
}

void index_key_begin(struct buf *key, char letter, uint32_t mailbox)
{
	buf_clear(key);
	buf_add_char(key, letter);
	pack_sorted_u32(key, mailbox);
}

void index_key(struct buf *key, char letter, uint32_t mailbox, uint32_t number)
{
	index_key_begin(key, letter, mailbox);
	pack_sorted_u32(key, number);
}

static void pack_cold(struct buf *out, const struct row *r)
{
	pack_u32(out, r->uid);
	pack_u32(out, r->size);
	pack_u64(out, r->internaldate_ms);
	pack_u64(out, r->saved_ms);
	buf_add(out, id128_span(&r->blob));
	pack_u32(out, r->header_bytes);
	pack_u64(out, r->thread);
}

static void unpack_cold(struct unpacker *u, struct row *r)
{
	r->uid = unpack_u32(u);
	r->size = unpack_u32(u);
	r->internaldate_ms = unpack_u64(u);
	r->saved_ms = unpack_u64(u);
	unpack_id128(u, &r->blob);
	r->header_bytes = unpack_u32(u);
	r->thread = unpack_u64(u);
}

static void pack_hot(struct buf *out, const struct row *r)
{
	pack_u32(out, r->uid);
	pack_u8(out, r->flags);
	pack_u64(out, r->keywords);
	pack_u64(out, r->modseq);
}

static void unpack_hot(struct unpacker *u, struct row *r)
{
	uint32_t uid = unpack_u32(u);
	if (uid != r->uid)
		u->bad = true;
	r->flags = unpack_u8(u);
	r->keywords = unpack_u64(u);
	r->modseq = unpack_u64(u);
}

static struct row *add_row(struct index *x)
{
	if (x->count == x->room) {
		x->room = x->room ? x->room * 2 : 16;
		x->rows = xrealloc_array(x->rows, x->room, sizeof *x->rows);
	}
	struct row *r = &x->rows[x->count++];
	*r = (struct row){0};
	return r;
}

size_t index_lower(const struct index *x, uint32_t uid)
{
	size_t low = 0, high = x->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (x->rows[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct row *index_find(struct index *x, uint32_t uid)
{
	size_t at = index_lower(x, uid);
	return at < x->count && x->rows[at].uid == uid ? &x->rows[at] : NULL;
}

static int read_cold(struct index *x, struct span value)
{
	struct unpacker u = {.rest = value};
	if (unpack_u8(&u) != ROW_VERSION)
		return -1;
	while (u.rest.len && !u.bad) {
		struct row *r = add_row(x);
		unpack_cold(&u, r);
		if (x->count > 1 && r->uid <= r[-1].uid)
			return -1;
	}
	return u.bad ? -1 : 0;
}

static int read_hot(struct index *x, uint32_t segment, struct span value)
{
	struct unpacker u = {.rest = value};
	if (unpack_u8(&u) != ROW_VERSION)
		return -1;
	size_t at = index_lower(x, segment * SEGMENT_ROWS);
	for (; at < x->count && segment_of(x->rows[at].uid) == segment; at++)
		unpack_hot(&u, &x->rows[at]);
	return unpack_done(&u) ? 0 : -1;
}

static int unpack_tail(struct span value, struct row *r)
{
	struct unpacker u = {.rest = value};
	if (unpack_u8(&u) != ROW_VERSION)
		return -1;
	index_unpack_row(&u, r);
	return unpack_done(&u) ? 0 : -1;
}

static int read_tail(struct index *x, struct span value)
{
	struct row *r = add_row(x);
	return unpack_tail(value, r) || (x->count > 1 && r->uid <= r[-1].uid) ? -1 : 0;
}

int index_read_tail(struct span key, struct span value, uint32_t *mailbox, struct row *row)
{
	struct unpacker k = {.rest = span_skip(key, 1)};
	*row = (struct row){0};
	*mailbox = unpack_sorted_u32(&k);
	return unpack_tail(value, row);
}

/* Reads all keys of one letter. */
static int read_letter(struct index *x, struct engine *e, struct span partition, uint32_t mailbox, char letter, struct error *why)
{
	BUF_AUTO from = {0}, to = {0};
	index_key(&from, letter, mailbox, 0);
	index_key(&to, letter, mailbox + 1, 0);
	struct engine_scan *scan = engine_scan_open(e, partition, buf_span(&from), buf_span(&to));
	struct span key, value;
	int more, bad = 0;
	while (!bad && (more = engine_scan_next(scan, &key, &value, why)) > 0) {
		struct unpacker k = {.rest = span_skip(key, 5)};
		uint32_t number = unpack_sorted_u32(&k);
		bad = letter == 'c' ? read_cold(x, value) : letter == 'h' ? read_hot(x, number, value) : read_tail(x, value);
		if (bad)
			error_set(why, EBADMSG, "the index of mailbox %u is damaged (%c %u)", mailbox, letter, number);
	}
	engine_scan_close(scan);
	return bad || more < 0 ? -1 : 0;
}

int index_read_segment(struct index *x, uint32_t segment, struct span cold, struct span hot)
{
	if (read_cold(x, cold)) {
		x->count = 0;
		return -1;
	}
	return read_hot(x, segment, hot) ? 1 : 0;
}

int index_load(struct index *x, struct engine *e, struct span partition, uint32_t mailbox, uint32_t tail_first, struct error *why)
{
	x->tail_first = tail_first;
	return read_letter(x, e, partition, mailbox, 'c', why) || read_letter(x, e, partition, mailbox, 'h', why) ||
	       read_letter(x, e, partition, mailbox, 't', why) ? -1 : 0;
}

void index_free(struct index *x)
{
	free(x->rows);
	buf_free(&x->dirty);
	*x = (struct index){0};
}

void index_pack_row(struct buf *out, const struct row *row)
{
	pack_cold(out, row);
	pack_hot(out, row);
}

void index_unpack_row(struct unpacker *u, struct row *row)
{
	*row = (struct row){0};
	unpack_cold(u, row);
	unpack_hot(u, row);
}

static void put_tail(const struct row *r, struct batch *b, struct span partition, uint32_t mailbox)
{
	BUF_AUTO key = {0}, value = {0};
	index_key(&key, 't', mailbox, r->uid);
	pack_u8(&value, ROW_VERSION);
	index_pack_row(&value, r);
	batch_put(b, partition, buf_span(&key), buf_span(&value));
}

/* Writes a segment as it is in memory; one without messages goes away. */
static void put_segment(const struct index *x, uint32_t segment, bool with_cold, struct batch *b, struct span partition, uint32_t mailbox)
{
	BUF_AUTO cold_key = {0}, hot_key = {0}, cold = {0}, hot = {0};
	index_key(&cold_key, 'c', mailbox, segment);
	index_key(&hot_key, 'h', mailbox, segment);
	pack_u8(&cold, ROW_VERSION);
	pack_u8(&hot, ROW_VERSION);
	size_t at = index_lower(x, segment * SEGMENT_ROWS);
	for (; at < x->count && segment_of(x->rows[at].uid) == segment && x->rows[at].uid < x->tail_first; at++) {
		if (with_cold)
			pack_cold(&cold, &x->rows[at]);
		pack_hot(&hot, &x->rows[at]);
	}
	if (hot.len == 1) {
		batch_delete(b, partition, buf_span(&cold_key));
		batch_delete(b, partition, buf_span(&hot_key));
		return;
	}
	if (with_cold)
		batch_put(b, partition, buf_span(&cold_key), buf_span(&cold));
	batch_put(b, partition, buf_span(&hot_key), buf_span(&hot));
}

static void fold_tail(struct index *x, struct batch *b, struct span partition, uint32_t mailbox)
{
	BUF_AUTO key = {0};
	size_t at = index_lower(x, x->tail_first);
	uint32_t last_segment = UINT32_MAX;
	size_t first = at;
	x->tail_first = x->rows[x->count - 1].uid + 1;
	for (; at < x->count; at++) {
		index_key(&key, 't', mailbox, x->rows[at].uid);
		batch_delete(b, partition, buf_span(&key));
	}
	for (at = first; at < x->count; at++) {
		uint32_t segment = segment_of(x->rows[at].uid);
		if (segment != last_segment)
			put_segment(x, segment, true, b, partition, mailbox);
		last_segment = segment;
	}
}

void index_append(struct index *x, const struct row *row, struct batch *b, struct span partition, uint32_t mailbox)
{
	*add_row(x) = *row;
	if (x->count - index_lower(x, x->tail_first) > TAIL_ROWS_MOST)
		fold_tail(x, b, partition, mailbox);
	else
		put_tail(row, b, partition, mailbox);
}

static void mark_dirty(struct index *x, uint32_t segment)
{
	if (x->dirty.len >= 4) {
		struct unpacker last = {.rest = span_skip(buf_span(&x->dirty), x->dirty.len - 4)};
		if (unpack_u32(&last) == segment)
			return;
	}
	pack_u32(&x->dirty, segment);
}

void index_changed(struct index *x, const struct row *row, struct batch *b, struct span partition, uint32_t mailbox)
{
	if (row->uid >= x->tail_first)
		put_tail(row, b, partition, mailbox);
	else
		mark_dirty(x, segment_of(row->uid));
}

void index_flush(struct index *x, struct batch *b, struct span partition, uint32_t mailbox)
{
	struct unpacker u = {.rest = buf_span(&x->dirty)};
	while (u.rest.len)
		put_segment(x, unpack_u32(&u), false, b, partition, mailbox);
	buf_clear(&x->dirty);
}

void index_remove(struct index *x, struct span ranges, struct batch *b, struct span partition, uint32_t mailbox)
{
	BUF_AUTO key = {0};
	size_t kept = 0;
	for (size_t at = 0; at < x->count; at++) {
		struct row *r = &x->rows[at];
		if (!ranges_have(ranges, r->uid)) {
			x->rows[kept++] = *r;
			continue;
		}
		if (r->uid >= x->tail_first) {
			index_key(&key, 't', mailbox, r->uid);
			batch_delete(b, partition, buf_span(&key));
		} else {
			mark_dirty(x, segment_of(r->uid));
		}
	}
	x->count = kept;
	struct unpacker u = {.rest = buf_span(&x->dirty)};
	while (u.rest.len)
		put_segment(x, unpack_u32(&u), true, b, partition, mailbox);
	buf_clear(&x->dirty);
}
