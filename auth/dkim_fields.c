#include "auth/dkim_fields.h"

#include "base/die.h"
#include "base/random.h"
#include "wire/header.h"

#include <stdlib.h>

static uint64_t name_hash(const struct dkim_fields *f, struct span name)
{
	char lower[80];
	size_t n = name.len < sizeof lower ? name.len : sizeof lower; /* longer ones share hashes, and are compared */
	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(name.ptr[i]);
	return span_hash(span_of(lower, n), f->seed);
}

void dkim_fields_read(struct dkim_fields *f, struct span header)
{
	struct header_reader r = {.header = header};
	struct header_field field;
	random_bytes(&f->seed, sizeof f->seed);
	while (header_next(&r, &field)) {
		if (f->count == f->room) {
			f->room = f->room ? f->room * 2 : 64;
			f->list = xrealloc_array(f->list, f->room, sizeof *f->list);
		}
		f->list[f->count++] = (struct dkim_field){.name = field.name, .whole = field.whole};
	}
	/* the list does not move any more */
	for (size_t i = 0; i < f->count; i++) {
		uint64_t hash = name_hash(f, f->list[i].name);
		f->list[i].above = map_take(&f->lowest, hash);
		map_put(&f->lowest, hash, &f->list[i]);
	}
}

void dkim_fields_free(struct dkim_fields *f)
{
	free(f->list);
	map_free(&f->lowest);
	*f = (struct dkim_fields){0};
}

static const struct dkim_field *find(const struct dkim_fields *f, struct span name, size_t taken)
{
	const struct dkim_field *field = map_get(&f->lowest, name_hash(f, name));
	for (; field; field = field->above)
		if (span_equal_nocase(field->name, name) && taken-- == 0)
			return field;
	return NULL;
}

void dkim_fields_signed(const struct dkim_fields *f, enum dkim_canonical form, const struct span *names, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		size_t taken = 0;
		for (size_t j = 0; j < i; j++)
			taken += span_equal_nocase(names[i], names[j]);
		const struct dkim_field *field = find(f, names[i], taken);
		if (field)
			dkim_canonical_field(form, field->whole, out);
	}
}

void dkim_field_unsigned(enum dkim_canonical form, struct span whole, struct span b_value, struct buf *out)
{
	BUF_AUTO without = {0};
	size_t before = (size_t)(b_value.ptr - whole.ptr);
	buf_add(&without, span_slice(whole, 0, before));
	buf_add(&without, span_skip(whole, before + b_value.len));
	dkim_canonical_field(form, buf_span(&without), out);
	out->len -= 2; /* CR LF */
}
