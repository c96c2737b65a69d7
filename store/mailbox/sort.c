/* SORT: see sort.h. A radix sort, eight bytes of a key at a time: texts that begin alike are sorted again by what follows. */
#include "store/mailbox/sort.h"

#include "base/die.h"

#include <stdlib.h>

struct item {
	uint64_t key;
	uint32_t message;
};

struct sorting {
	const struct sort_values *keys;
	size_t key_count;
	struct item *spare; /* as many as there are messages */
};

enum { FEW = 24 };

static void insertion_sort(struct item *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct item item = items[i];
		size_t at = i;
		for (; at > 0 && items[at - 1].key > item.key; at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

static void radix_pass(const struct item *from, struct item *to, size_t n, unsigned shift)
{
	size_t starts[256] = {0}, at = 0;
	for (size_t i = 0; i < n; i++)
		starts[from[i].key >> shift & 0xff]++;
	for (size_t b = 0; b < 256; b++) {
		size_t count = starts[b];
		starts[b] = at;
		at += count;
	}
	for (size_t i = 0; i < n; i++)
		to[starts[from[i].key >> shift & 0xff]++] = from[i];
}

/* Stable, by item.key. */
static void sort_items(struct sorting *s, struct item *items, size_t n)
{
	uint64_t all_or = 0, all_and = UINT64_MAX;
	struct item *from = items, *to = s->spare;
	if (n <= FEW) {
		insertion_sort(items, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		all_or |= items[i].key;
		all_and &= items[i].key;
	}
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if (((all_or ^ all_and) >> shift & 0xff) == 0)
			continue; /* this byte is the same everywhere */
		radix_pass(from, to, n, shift);
		struct item *sorted = to;
		to = from;
		from = sorted;
	}
	if (from != items)
		memcpy(items, from, n * sizeof *items);
}

static uint64_t eight_bytes(struct span text, size_t at)
{
	unsigned char bytes[8] = {0};
	uint64_t value = 0;
	text = span_slice(text, at, 8);
	if (text.len)
		memcpy(bytes, text.ptr, text.len);
	for (unsigned i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* What is left to be done: messages that are equal so far, by this key and from this byte of it. */
struct run {
	size_t first, count, key, offset;
};

struct runs {
	struct run *list;
	size_t count, room;
};

static void push(struct runs *r, struct run run)
{
	if (r->count == r->room) {
		r->room = r->room ? r->room * 2 : 64;
		r->list = xrealloc_array(r->list, r->room, sizeof *r->list);
	}
	r->list[r->count++] = run;
}

static void load_keys(const struct sort_values *v, size_t offset, struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t key = v->numbers ? v->numbers[items[i].message] : eight_bytes(v->texts[items[i].message], offset);
		items[i].key = v->is_reverse ? ~key : key;
	}
}

/* Where messages are equal in these bytes, the next ones decide, or the next key. */
static void push_equal(struct sorting *s, struct runs *runs, struct run run, const struct item *items)
{
	const struct sort_values *v = &s->keys[run.key];
	for (size_t i = 0, next; i < run.count; i = next) {
		for (next = i + 1; next < run.count && items[next].key == items[i].key; next++)
			;
		if (next - i == 1)
			continue;
		/* a text that has ended ends the eight bytes with a zero: no byte of a text is one */
		uint64_t key = v->is_reverse ? ~items[i].key : items[i].key;
		bool goes_on = !v->numbers && (key & 0xff);
		push(runs, (struct run){run.first + i, next - i, run.key + !goes_on, goes_on ? run.offset + 8 : 0});
	}
}

void sort_messages(const struct sort_values *keys, size_t key_count, uint32_t *order, size_t n)
{
	struct item *items = xcalloc(n + 1, sizeof *items);
	struct sorting s = {.keys = keys, .key_count = key_count, .spare = xcalloc(n + 1, sizeof *items)};
	struct runs runs = {0};
	for (size_t i = 0; i < n; i++)
		items[i].message = (uint32_t)i;
	push(&runs, (struct run){0, n, 0, 0});
	while (runs.count) {
		struct run run = runs.list[--runs.count];
		if (run.key == key_count || run.count < 2)
			continue;
		struct item *part = items + run.first;
		load_keys(&keys[run.key], run.offset, part, run.count);
		sort_items(&s, part, run.count);
		push_equal(&s, &runs, run, part);
	}
	for (size_t i = 0; i < n; i++)
		order[i] = items[i].message;
	free(runs.list);
	free(items);
	free(s.spare);
}
