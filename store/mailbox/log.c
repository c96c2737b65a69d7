/* The change log of a mailbox: see log.h. */
#include "store/mailbox/log.h"

#include "base/pack.h"
#include "ipc/words.h"

#include <errno.h>
#include <roaring/roaring.h>

enum { LOG_VERSION = 1 };

static void log_key(struct buf *key, uint32_t mailbox, uint64_t modseq)
{
	index_key(key, 'x', mailbox, (uint32_t)(modseq >> 32));
	pack_sorted_u32(key, (uint32_t)modseq);
}

static void begin_anew(struct mailbox *m, uint64_t modseq)
{
	BUF_AUTO from = {0}, to = {0};
	log_key(&from, m->id, 0);
	log_key(&to, m->id, modseq + 1);
	batch_delete_range(&m->account->batch, account_partition(m->account), buf_span(&from), buf_span(&to));
	m->log_from = modseq;
	m->log_ranges = 0;
}

void log_removed(struct mailbox *m, uint64_t modseq, struct span uids)
{
	BUF_AUTO key = {0}, value = {0};
	size_t count = ranges_count(uids);
	if (count > LOG_RANGES_MOST || m->log_ranges > LOG_RANGES_MOST - count) {
		begin_anew(m, modseq);
		return;
	}
	log_key(&key, m->id, modseq);
	pack_u8(&value, LOG_VERSION);
	buf_add(&value, uids);
	m->log_ranges += (uint32_t)count;
	batch_put(&m->account->batch, account_partition(m->account), buf_span(&key), buf_span(&value));
}

/* As far as there have been UIDs at all. */
static void add_ranges(const struct mailbox *m, roaring_bitmap_t *set, struct span ranges)
{
	for (size_t i = 0; i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		if (first < m->uidnext)
			roaring_bitmap_add_range_closed(set, first, last < m->uidnext ? last : m->uidnext - 1);
	}
}

static int read_rows(struct mailbox *m, uint64_t since, roaring_bitmap_t *set, struct error *why)
{
	BUF_AUTO from = {0}, to = {0};
	log_key(&from, m->id, since + 1);
	log_key(&to, m->id + 1, 0);
	struct engine_scan *scan = engine_scan_open(m->account->worker->engine, account_partition(m->account), buf_span(&from), buf_span(&to));
	struct span key, value;
	int more, bad = 0;
	while (!bad && (more = engine_scan_next(scan, &key, &value, why)) > 0) {
		struct span ranges = span_skip(value, 1);
		bad = value.len == 0 || value.ptr[0] != LOG_VERSION || !ranges_are_valid(ranges);
		if (bad)
			error_set(why, EBADMSG, "the change log of mailbox %u is damaged", m->id);
		else
			add_ranges(m, set, ranges);
	}
	engine_scan_close(scan);
	return bad || more < 0 ? -1 : 0;
}

/* RFC 7162 §3.2.6: what the log does not know any more is every UID that has ever been and is not there. */
static void add_all_missing(const struct mailbox *m, roaring_bitmap_t *set)
{
	roaring_bitmap_add_range_closed(set, 1, m->uidnext - 1);
	for (size_t i = 0; i < m->index.count; i++)
		roaring_bitmap_remove(set, m->index.rows[i].uid);
}

int log_read(struct mailbox *m, uint64_t since, struct span asked, struct buf *gone, struct error *why)
{
	roaring_bitmap_t *set = roaring_bitmap_create(), *wanted = roaring_bitmap_create();
	int bad = 0;
	if (m->uidnext > 1 && since < m->log_from)
		add_all_missing(m, set);
	else
		bad = read_rows(m, since, set, why);
	add_ranges(m, wanted, asked);
	roaring_bitmap_and_inplace(set, wanted);
	roaring_uint32_iterator_t *i = roaring_create_iterator(set);
	for (; !bad && i->has_value; roaring_advance_uint32_iterator(i))
		ranges_add(gone, i->current_value);
	roaring_free_uint32_iterator(i);
	roaring_bitmap_free(set);
	roaring_bitmap_free(wanted);
	return bad;
}
