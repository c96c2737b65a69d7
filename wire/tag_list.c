#include "wire/tag_list.h"

static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.ptr[i]) && (i == 0 || (!ascii_is_digit(s.ptr[i]) && s.ptr[i] != '_')))
			return false;
	return s.len > 0;
}

/* tval: printable; white space between. Bytes above 0x7f are let pass, as RFC 8616 allows UTF-8. */
static bool is_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if ((c < 32 && c != '\t' && c != '\r' && c != '\n') || c == 127)
			return false;
	}
	return true;
}

ssize_t tag_list_parse(struct span in, struct tag out[TAGS_MOST])
{
	size_t count = 0;
	while (span_trim(in).len) {
		ssize_t semicolon = span_chr(in, ';');
		struct span spec = semicolon < 0 ? in : span_slice(in, 0, (size_t)semicolon);
		ssize_t equals = span_chr(spec, '=');
		if (equals < 0 || count == TAGS_MOST)
			return -1;
		struct tag *t = &out[count];
		*t = (struct tag){.name = span_trim(span_slice(spec, 0, (size_t)equals)), .whole = span_skip(spec, (size_t)equals + 1)};
		t->value = span_trim(t->whole);
		if (!is_name(t->name) || !is_value(t->value) || tag_find(out, count, t->name))
			return -1;
		count++;
		in = span_skip(in, spec.len + 1);
	}
	return (ssize_t)count;
}

const struct tag *tag_find(const struct tag *tags, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++)
		if (span_equal(tags[i].name, name))
			return &tags[i];
	return NULL;
}
