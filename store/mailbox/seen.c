/* Readers' own \Seen: see seen.h. */
#include "store/mailbox/seen.h"

#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "ipc/words.h"

#include <roaring/roaring.h>
#include <stdlib.h>

enum { BLOCK_UIDS = 4096, BLOCK_BYTES = BLOCK_UIDS / 8, CHANGES_MOST = 64 /* more are told to all */ };

struct seen {
	struct seen *next; /* of the mailbox; the one that was asked for last is the first */
	uint64_t reader;
	roaring_bitmap_t *uids;
	roaring_bitmap_t *dirty; /* blocks that are not written as they are */
	roaring_bitmap_t *lost;  /* blocks that are there and cannot be read: they stay as they are */
};

struct seen_change {
	uint64_t reader, modseq, before;
};

static void block_key(struct buf *key, uint32_t mailbox, uint64_t reader, uint32_t block)
{
	index_key_begin(key, 'z', mailbox);
	pack_sorted_u64(key, reader);
	pack_sorted_u32(key, block);
}

static struct seen *add_reader(struct mailbox *m, uint64_t reader)
{
	struct seen *s = xcalloc(1, sizeof *s);
	*s = (struct seen){.next = m->seen, .reader = reader, .uids = roaring_bitmap_create(), .dirty = roaring_bitmap_create(), .lost = roaring_bitmap_create()};
	m->seen = s;
	return s;
}

static struct seen *find(struct mailbox *m, uint64_t reader)
{
	for (struct seen **at = &m->seen; *at; at = &(*at)->next) {
		struct seen *s = *at;
		if (s->reader != reader)
			continue;
		*at = s->next;
		s->next = m->seen;
		m->seen = s;
		return s;
	}
	return add_reader(m, reader);
}

static void log_unread(const struct mailbox *m, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "seen-unread", log_c("account", m->account->partition), log_c("mailbox", m->name), log_c("why", why));
}

static void read_block(struct mailbox *m, struct span key, struct span value)
{
	struct unpacker k = {.rest = span_skip(key, 5)};
	uint64_t reader = unpack_sorted_u64(&k);
	uint32_t block = unpack_sorted_u32(&k), first = block * BLOCK_UIDS;
	if (!unpack_done(&k))
		return;
	struct seen *s = find(m, reader);
	if (value.len != BLOCK_BYTES) {
		log_unread(m, "a block of what a reader has seen is damaged");
		roaring_bitmap_add(s->lost, block);
		return;
	}
	for (uint32_t i = 0; i < BLOCK_UIDS; i++)
		if (value.ptr[i / 8] >> (i % 8) & 1)
			roaring_bitmap_add(s->uids, first + i);
}

/* Nothing of it changes before it is read; so what the engine has is what was written. */
static void read_all(struct mailbox *m)
{
	BUF_AUTO from = {0}, to = {0};
	struct span key, value;
	struct error why = {0};
	int more;
	if (m->has_read_seen)
		return;
	m->has_read_seen = true;
	index_key(&from, 'z', m->id, 0);
	index_key(&to, 'z', m->id + 1, 0);
	from.len -= 4;
	to.len -= 4;
	struct engine_scan *scan = engine_scan_open(m->account->worker->engine, account_partition(m->account), buf_span(&from), buf_span(&to));
	while ((more = engine_scan_next(scan, &key, &value, &why)) > 0)
		read_block(m, key, value);
	engine_scan_close(scan);
	m->has_lost_seen = more < 0;
	if (more < 0)
		log_unread(m, why.text);
}

static bool is_lost(const struct mailbox *m, const struct seen *s, uint32_t uid)
{
	return m->has_lost_seen || roaring_bitmap_contains(s->lost, uid / BLOCK_UIDS);
}

static struct seen *seen_of(struct mailbox *m, uint64_t reader)
{
	read_all(m);
	return m->seen && m->seen->reader == reader ? m->seen : find(m, reader);
}

uint8_t seen_flags(struct mailbox *m, uint64_t reader, const struct row *row)
{
	if (!reader)
		return row->flags;
	bool is_seen = roaring_bitmap_contains(seen_of(m, reader)->uids, row->uid);
	return (uint8_t)((row->flags & ~FLAG_SEEN) | (is_seen ? FLAG_SEEN : 0));
}

bool seen_set(struct mailbox *m, uint64_t reader, uint32_t uid, bool is_seen)
{
	struct seen *s = seen_of(m, reader);
	if (roaring_bitmap_contains(s->uids, uid) == is_seen || is_lost(m, s, uid))
		return false;
	if (is_seen)
		roaring_bitmap_add(s->uids, uid);
	else
		roaring_bitmap_remove(s->uids, uid);
	roaring_bitmap_add(s->dirty, uid / BLOCK_UIDS);
	return true;
}

static void put_block(struct mailbox *m, const struct seen *s, uint32_t block)
{
	struct account *a = m->account;
	BUF_AUTO key = {0};
	char bits[BLOCK_BYTES] = {0};
	uint64_t first = (uint64_t)block * BLOCK_UIDS;
	block_key(&key, m->id, s->reader, block);
	roaring_uint32_iterator_t it;
	roaring_init_iterator(s->uids, &it);
	bool has_any = roaring_move_uint32_iterator_equalorlarger(&it, (uint32_t)first) && it.current_value < first + BLOCK_UIDS;
	for (; it.has_value && it.current_value < first + BLOCK_UIDS; roaring_advance_uint32_iterator(&it)) {
		size_t i = it.current_value - first;
		bits[i / 8] = (char)(bits[i / 8] | 1 << (i % 8));
	}
	if (has_any)
		batch_put(&a->batch, account_partition(a), buf_span(&key), span_of(bits, sizeof bits));
	else
		batch_delete(&a->batch, account_partition(a), buf_span(&key));
}

static void flush(struct mailbox *m, struct seen *s)
{
	roaring_uint32_iterator_t it;
	for (roaring_init_iterator(s->dirty, &it); it.has_value; roaring_advance_uint32_iterator(&it))
		put_block(m, s, it.current_value);
	roaring_bitmap_clear(s->dirty);
}

void seen_flush(struct mailbox *m, uint64_t reader)
{
	flush(m, seen_of(m, reader));
}

uint32_t seen_unseen(struct mailbox *m, uint64_t reader)
{
	uint64_t seen = roaring_bitmap_get_cardinality(seen_of(m, reader)->uids);
	return seen < m->messages ? m->messages - (uint32_t)seen : 0;
}

void seen_removed(struct mailbox *m, struct span ranges)
{
	read_all(m);
	for (struct seen *s = m->has_lost_seen ? NULL : m->seen; s; s = s->next) {
		for (size_t i = 0; i < ranges_count(ranges); i++) {
			uint32_t first, last;
			roaring_uint32_iterator_t it;
			ranges_get(ranges, i, &first, &last);
			roaring_init_iterator(s->uids, &it);
			for (roaring_move_uint32_iterator_equalorlarger(&it, first); it.has_value && it.current_value <= last; roaring_advance_uint32_iterator(&it))
				roaring_bitmap_add(s->dirty, it.current_value / BLOCK_UIDS);
			roaring_bitmap_remove_range_closed(s->uids, first, last);
		}
		flush(m, s);
	}
}

void seen_note_change(struct mailbox *m, uint64_t reader, uint64_t modseq, uint64_t before)
{
	if (!m->seen_changes)
		m->seen_changes = xcalloc(CHANGES_MOST, sizeof *m->seen_changes);
	m->seen_changes[m->seen_change_count++ % CHANGES_MOST] = (struct seen_change){reader, modseq, before};
}

/* Whoever has not heard of what came before is told: that is in the same row. */
bool seen_is_of_another(const struct mailbox *m, uint64_t reader, uint64_t modseq, uint64_t since)
{
	for (unsigned i = 0; i < CHANGES_MOST && i < m->seen_change_count; i++)
		if (m->seen_changes[i].modseq == modseq)
			return m->seen_changes[i].reader != reader && m->seen_changes[i].before <= since;
	return false;
}

void seen_forget(struct mailbox *m)
{
	free(m->seen_changes);
	m->seen_changes = NULL;
	m->seen_change_count = 0;
	while (m->seen) {
		struct seen *s = m->seen;
		m->seen = s->next;
		roaring_bitmap_free(s->uids);
		roaring_bitmap_free(s->dirty);
		roaring_bitmap_free(s->lost);
		free(s);
	}
}
