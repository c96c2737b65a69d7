/* The list of fields, and changes to it: see header.h. */
#include "milter/header.h"

#include "base/die.h"
#include "base/pack.h"
#include "wire/header.h"

#include <stdlib.h>

static void insert(struct milter_header *h, size_t at, const struct milter_field *field)
{
	if (h->count == h->room) {
		h->room = h->room ? h->room * 2 : 64;
		h->list = xrealloc_array(h->list, h->room, sizeof *h->list);
	}
	memmove(h->list + at + 1, h->list + at, (h->count - at) * sizeof *h->list);
	h->list[at] = *field;
	h->count++;
}

static void take_out(struct milter_header *h, size_t at)
{
	memmove(h->list + at, h->list + at + 1, (h->count - at - 1) * sizeof *h->list);
	h->count--;
}

static struct milter_field read_field(struct span whole)
{
	struct header_reader r = {.header = whole};
	struct header_field field;
	if (!header_next(&r, &field))
		field = (struct header_field){0};
	return (struct milter_field){.whole = whole, .name = field.name, .value = field.value};
}

int milter_header_take(struct milter_header *h, struct span packed)
{
	struct unpacker u = {.rest = packed};
	while (u.rest.len && !u.bad) {
		struct span whole = unpack_bytes(&u, HEADER_FIELDS_BYTES_MOST);
		struct milter_field field = read_field(arena_dup(&h->memory, whole));
		h->came_bytes += sizeof(uint32_t) + whole.len;
		field.has_come = true;
		field.number = h->came++;
		insert(h, h->count, &field);
	}
	return u.bad || h->came_bytes > HEADER_FIELDS_BYTES_MOST ? -1 : 0;
}

/* It does not stay where it came. */
static void note_removed(struct milter_header *h, uint32_t number)
{
	size_t at = h->removed_count++;
	for (; at && h->removed[at - 1] > number; at--)
		h->removed[at] = h->removed[at - 1];
	h->removed[at] = number;
}

static int to_front(struct milter_header *h, size_t at, struct error *why)
{
	struct milter_field field = h->list[at];
	if (h->removed_count == HEADER_REMOVED_MOST || h->front_bytes + field.whole.len > HEADER_ADDED_MOST)
		return error_set(why, 0, "it changes too many header fields");
	if (!milter_fields_are_whole(field.whole))
		return error_set(why, 0, "it changes a header field that is none");
	take_out(h, at);
	note_removed(h, field.number);
	field.has_come = false;
	h->front_bytes += field.whole.len;
	insert(h, h->front++, &field);
	return 0;
}

/* Moves those of that name that stand where they came, before `end`, to the front. */
static int gather(struct milter_header *h, struct span name, size_t end, struct error *why)
{
	for (size_t i = h->front; i < end; i++)
		if (span_equal_nocase(h->list[i].name, name) && to_front(h, i, why))
			return -1;
	return 0;
}

/* Where a field that is to stand before list[at] goes. */
static int place(struct milter_header *h, size_t at, const struct milter_field *field, struct error *why)
{
	if (at > h->front) {
		if (gather(h, field->name, at, why))
			return -1;
		at = h->front;
	}
	if (h->front_bytes + field->whole.len > HEADER_ADDED_MOST)
		return error_set(why, 0, "it adds more than %d octets of header fields", HEADER_ADDED_MOST);
	insert(h, at, field);
	h->front++;
	h->front_bytes += field->whole.len;
	return 0;
}

/* The index counts our Received field, which libmilter's filters expect there: 0 is over it, 1 right behind it. */
static int insert_at(struct milter_header *h, uint32_t index, const struct milter_field *field, struct error *why)
{
	if (index > h->above)
		return place(h, index - 1 < h->count ? index - 1 : h->count, field, why);
	if (place(h, index, field, why))
		return -1;
	h->above++;
	return 0;
}

static int remove_at(struct milter_header *h, size_t at, struct error *why)
{
	if (at < h->front) {
		h->front_bytes -= h->list[at].whole.len;
		h->front--;
		h->above -= at < h->above;
	} else {
		if (h->removed_count == HEADER_REMOVED_MOST)
			return error_set(why, 0, "it changes too many header fields");
		note_removed(h, h->list[at].number);
	}
	take_out(h, at);
	return 0;
}

/* As Sendmail does: what is not there is added. */
static int change_field(struct milter_header *h, const struct milter_change *change, const struct milter_field *field, struct error *why)
{
	uint32_t nth = change->index ? change->index : 1;
	size_t at = 0;
	while (at < h->count && (!span_equal_nocase(h->list[at].name, change->name) || --nth))
		at++;
	if (at == h->count)
		return field->whole.len ? place(h, at, field, why) : 0;
	if (!field->whole.len)
		return remove_at(h, at, why);
	if (at >= h->front) {
		if (gather(h, change->name, at, why) || remove_at(h, at, why)) /* what is gathered comes from before it: it stays the one at `at` */
			return -1;
		return place(h, h->front, field, why);
	}
	h->front_bytes += field->whole.len - h->list[at].whole.len;
	h->list[at] = *field;
	return h->front_bytes > HEADER_ADDED_MOST ? error_set(why, 0, "it adds more than %d octets of header fields", HEADER_ADDED_MOST) : 0;
}

static int change_one(struct milter_header *h, const struct milter_change *change, bool has_space, struct error *why)
{
	BUF_AUTO text = {0};
	bool is_removal = change->kind == MILTER_CHANGE_HEADER && change->value.len == 0;
	if (!is_removal && milter_field_make(change->name, change->value, has_space, &text, why))
		return -1;
	struct milter_field field = read_field(arena_dup(&h->memory, buf_span(&text)));
	if (change->kind == MILTER_INSERT_HEADER)
		return insert_at(h, change->index, &field, why);
	if (change->kind == MILTER_CHANGE_HEADER)
		return change_field(h, change, &field, why);
	return place(h, h->count, &field, why);
}

static bool is_of_header(const struct milter_change *change)
{
	return change->kind == MILTER_ADD_HEADER || change->kind == MILTER_INSERT_HEADER || change->kind == MILTER_CHANGE_HEADER;
}

int milter_header_change(struct milter_header *h, const struct milter_change *changes, size_t count, bool has_space, struct error *why)
{
	struct milter_header before = *h;
	int fault = 0;
	h->list = xcalloc(h->room + 1, sizeof *h->list);
	if (h->count)
		memcpy(h->list, before.list, h->count * sizeof *h->list);
	for (size_t i = 0; i < count && !fault; i++)
		if (is_of_header(&changes[i]))
			fault = change_one(h, &changes[i], has_space, why);
	if (!fault) {
		free(before.list);
		return 0;
	}
	free(h->list);
	before.memory = h->memory;
	*h = before;
	return -1;
}

void milter_header_front(const struct milter_header *h, bool is_above, struct buf *out)
{
	for (size_t i = is_above ? 0 : h->above; i < (is_above ? h->above : h->front); i++)
		buf_add(out, h->list[i].whole);
}

void milter_header_free(struct milter_header *h)
{
	arena_free(&h->memory);
	free(h->list);
	*h = (struct milter_header){0};
}
