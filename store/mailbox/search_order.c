/* SORT and THREAD of what a search has found: keys from the columns, then sort.c and thread.c. */
#include "store/mailbox/search.h"

#include "base/arena.h"
#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/sort.h"
#include "store/mailbox/thread.h"

#include <stdlib.h>

/* Reads one column for all that was found. The values live in the arena. */
static struct span *read_column(const struct search *s, const struct mailbox *m, enum summary_column column, struct arena *a)
{
	size_t count;
	const struct found *found = search_found(s, &count);
	struct span *values = arena_alloc_array(a, count + 1, sizeof *values);
	struct column_values *c = xcalloc(1, sizeof *c);
	for (size_t i = 0; i < count;) {
		uint32_t segment = found[i].uid / SEGMENT_ROWS;
		if (!indexer_column(m, segment, column, c))
			memset(c->values, 0, sizeof c->values);
		/* the segment's bytes move into the arena whole: cheaper than one by one. Those of the last segment stand elsewhere, and stay */
		struct span moved = {0};
		if (segment != found[count - 1].uid / SEGMENT_ROWS)
			moved = arena_dup(a, buf_span(&c->memory));
		for (; i < count && found[i].uid / SEGMENT_ROWS == segment; i++) {
			struct span v = c->values[found[i].uid % SEGMENT_ROWS];
			if (v.ptr)
				values[i] = moved.len ? span_of(moved.ptr + (v.ptr - c->memory.ptr), v.len) : arena_dup(a, v);
		}
	}
	buf_free(&c->memory);
	free(c);
	return values;
}

/* Numbers of all that was found, from their rows. */
static uint64_t *read_numbers(const struct search *s, const struct mailbox *m, enum sort_key key, struct arena *a)
{
	size_t count;
	const struct found *found = search_found(s, &count);
	uint64_t *numbers = arena_alloc_array(a, count + 1, sizeof *numbers);
	size_t at = count ? index_lower(&m->index, found[0].uid) : 0;
	for (size_t i = 0; i < count; i++) {
		while (at < m->index.count && m->index.rows[at].uid < found[i].uid)
			at++;
		const struct row *r = at < m->index.count && m->index.rows[at].uid == found[i].uid ? &m->index.rows[at] : NULL;
		numbers[i] = !r ? 0 : key == SORT_SIZE ? r->size : r->internaldate_ms;
	}
	return numbers;
}

/* RFC 5256 §2.2: the sent date in UTC; the internal date where there is none. With the sign turned, so that they compare as they are. */
static uint64_t *read_dates(const struct search *s, const struct mailbox *m, struct arena *a)
{
	size_t count;
	search_found(s, &count);
	uint64_t *dates = read_numbers(s, m, SORT_ARRIVAL, a);
	const struct span *values = read_column(s, m, SUMMARY_DATE, a);
	for (size_t i = 0; i < count; i++) {
		struct unpacker u = {.rest = values[i]};
		uint64_t seconds = values[i].ptr && unpack_u8(&u) ? unpack_u64(&u) : dates[i] / 1000;
		dates[i] = seconds ^ (uint64_t)1 << 63;
	}
	return dates;
}

/* RFC 6203 §6: the best first. */
static uint64_t *read_scores(const struct search *s, struct arena *a)
{
	size_t count;
	const struct found *found = search_found(s, &count);
	uint64_t *numbers = arena_alloc_array(a, count + 1, sizeof *numbers);
	for (size_t i = 0; i < count; i++)
		numbers[i] = (uint64_t)(SCORE_EXACT - found[i].score);
	return numbers;
}

static struct span *read_subjects(const struct search *s, const struct mailbox *m, struct arena *a)
{
	size_t count;
	search_found(s, &count);
	struct span *values = read_column(s, m, SUMMARY_BASE_SUBJECT, a);
	for (size_t i = 0; i < count; i++)
		values[i] = span_skip(values[i], 1); /* whether it is a reply */
	return values;
}

static struct sort_values read_key(const struct search *s, const struct mailbox *m, uint8_t key, struct arena *a)
{
	struct sort_values v = {.is_reverse = key & SORT_REVERSE};
	switch ((enum sort_key)(key & ~SORT_REVERSE)) {
	case SORT_ARRIVAL: case SORT_SIZE: v.numbers = read_numbers(s, m, key & ~SORT_REVERSE, a); break;
	case SORT_DATE: v.numbers = read_dates(s, m, a); break;
	case SORT_RELEVANCY: v.numbers = read_scores(s, a); break;
	case SORT_SUBJECT: v.texts = read_subjects(s, m, a); break;
	case SORT_CC: v.texts = read_column(s, m, SUMMARY_SORT_CC, a); break;
	case SORT_FROM: v.texts = read_column(s, m, SUMMARY_SORT_FROM, a); break;
	case SORT_TO: v.texts = read_column(s, m, SUMMARY_SORT_TO, a); break;
	case SORT_DISPLAY_FROM: v.texts = read_column(s, m, SUMMARY_DISPLAY_FROM, a); break;
	case SORT_DISPLAY_TO: v.texts = read_column(s, m, SUMMARY_DISPLAY_TO, a); break;
	case SORT_KEYS: case SORT_REVERSE: break;
	}
	return v;
}

static void sort_found(struct search *s, const struct mailbox *m)
{
	ARENA_AUTO a = {0};
	size_t count;
	struct found *found = search_found(s, &count);
	struct sort_values keys[SORT_KEYS];
	uint32_t *order = arena_alloc_array(&a, count + 1, sizeof *order);
	struct found *unsorted = arena_alloc_array(&a, count + 1, sizeof *unsorted);
	for (size_t k = 0; k < s->key_count; k++)
		keys[k] = read_key(s, m, s->keys[k], &a);
	sort_messages(keys, s->key_count, order, count);
	if (count)
		memcpy(unsorted, found, count * sizeof *found);
	for (size_t i = 0; i < count; i++)
		found[i] = unsorted[order[i]];
}

static void thread_found(const struct search *s, const struct mailbox *m, struct buf *out)
{
	ARENA_AUTO a = {0};
	size_t count;
	const struct found *found = search_found(s, &count);
	struct thread_message *messages = arena_alloc_array(&a, count + 1, sizeof *messages);
	const uint64_t *dates = read_dates(s, m, &a);
	bool needs_subjects = s->thread != THREAD_REFS, needs_ids = s->thread != THREAD_ORDEREDSUBJECT;
	const struct span *subjects = needs_subjects ? read_column(s, m, SUMMARY_BASE_SUBJECT, &a) : NULL;
	const struct span *ids = needs_ids ? read_column(s, m, SUMMARY_THREAD, &a) : NULL;
	for (size_t i = 0; i < count; i++) {
		messages[i] = (struct thread_message){.uid = found[i].uid, .date = (int64_t)(dates[i] ^ (uint64_t)1 << 63)};
		if (subjects) {
			messages[i].subject = span_skip(subjects[i], 1);
			messages[i].is_reply = subjects[i].len && subjects[i].ptr[0];
		}
		if (ids)
			messages[i].ids = ids[i];
	}
	thread_messages(s->thread, messages, count, out);
}

void search_arrange(struct search *s, const struct mailbox *m, struct buf *out, struct buf *scores)
{
	size_t count;
	if (s->order == SEARCH_THREADED) {
		thread_found(s, m, out);
		return;
	}
	if (s->order == SEARCH_SORTED)
		sort_found(s, m);
	const struct found *found = search_found(s, &count);
	for (size_t i = 0; i < count; i++) {
		if (s->order == SEARCH_SORTED)
			pack_u32(out, found[i].uid);
		else
			ranges_add(out, found[i].uid);
		if (s->has_fuzzy)
			pack_u8(scores, found[i].score ? found[i].score : SCORE_EXACT);
	}
}
