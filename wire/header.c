/* Header fields: see header.h. */
#include "wire/header.h"

#include <stdlib.h>

/* The line at `at`, its line end included. */
static struct span line_at(struct span bytes, size_t at)
{
	struct span rest = span_skip(bytes, at);
	ssize_t lf = span_chr(rest, '\n');

	return lf < 0 ? rest : span_slice(rest, 0, (size_t)lf + 1);
}

static struct span without_line_end(struct span line)
{
	if (line.len > 0 && line.ptr[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

bool header_next(struct header_reader *r, struct header_field *out)
{
	struct span first = line_at(r->header, r->at);
	size_t end = r->at + first.len;
	ssize_t colon;

	*out = (struct header_field){.offset = r->at};
	if (without_line_end(first).len == 0)
		return false;
	while (end < r->header.len && (r->header.ptr[end] == ' ' || r->header.ptr[end] == '\t'))
		end += line_at(r->header, end).len;
	out->whole = span_slice(r->header, r->at, end - r->at);
	r->at = end;
	colon = span_chr(first, ':');
	if (colon <= 0 || first.ptr[0] == ' ' || first.ptr[0] == '\t')
		return true;
	out->name = span_trim(span_slice(first, 0, (size_t)colon));
	out->value = without_line_end(span_skip(out->whole, (size_t)colon + 1));
	return true;
}

bool header_find(struct span header, struct span name, struct header_field *out)
{
	struct header_reader r = {.header = header};

	while (header_next(&r, out))
		if (span_equal_nocase(out->name, name))
			return true;
	return false;
}

void header_unfold(struct span value, struct buf *out)
{
	char *to;
	size_t n = 0;

	value = span_trim(value);
	to = buf_reserve(out, value.len);
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] != '\r' && value.ptr[i] != '\n' && value.ptr[i] != '\0')
			to[n++] = value.ptr[i];
	out->len += n;
}

/* By length first, so that no name is compared further than it is itself long. */
static int by_name(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int order = (x->len > y->len) - (x->len < y->len);

	for (size_t i = 0; order == 0 && i < x->len; i++)
		order = (unsigned char)ascii_lower(x->ptr[i]) - (unsigned char)ascii_lower(y->ptr[i]);
	return order;
}

void header_names_sort(struct span *names, size_t n)
{
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
}

static bool is_named(struct span name, const struct span *names, size_t n)
{
	return n > 0 && bsearch(&name, names, n, sizeof(*names), by_name) != NULL;
}

void header_filter_fields(struct span header, const struct span *names, size_t n, bool is_not, struct buf *out)
{
	struct header_reader r = {.header = header};
	struct header_field field;

	while (header_next(&r, &field)) {
		if ((field.name.len > 0 && is_named(field.name, names, n)) == is_not)
			continue;
		buf_add(out, field.whole);
		if (field.whole.ptr[field.whole.len - 1] != '\n')
			buf_add_cstr(out, "\r\n");
	}
	buf_add_cstr(out, "\r\n");
}
