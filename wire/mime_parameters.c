/* Parameters of MIME fields: RFC 2045 §5.1, RFC 2231. */
#include "wire/mime_fields.h"

#include <stdlib.h>

#include "wire/charset.h"
#include "wire/encoded_word.h"
#include "wire/lexical.h"

struct span mime_keep(struct mime_keeper *keeper, struct span value)
{
	if (value.len == 0)
		return (struct span){0};
	if (value.len > keeper->room) {
		keeper->overflowed = true;
		return (struct span){0};
	}
	keeper->room -= value.len;
	return arena_dup(keeper->arena, value);
}

struct span mime_keep_lower(struct mime_keeper *keeper, struct span value)
{
	struct span kept = mime_keep(keeper, value);
	char *bytes = (char *)(uintptr_t)kept.ptr; /* our own copy */

	for (size_t i = 0; i < kept.len; i++)
		bytes[i] = ascii_lower(bytes[i]);
	return kept;
}

struct span mime_parse_token(struct span value, struct span *rest)
{
	*rest = value;
	return lexical_take_token(rest);
}

bool mime_parse_type(struct span value, struct span *type, struct span *subtype, struct span *rest)
{
	*rest = value;
	*type = lexical_take_token(rest);
	*rest = lexical_skip_cfws(*rest);
	if (type->len == 0 || rest->len == 0 || rest->ptr[0] != '/')
		return false;
	*rest = span_skip(*rest, 1);
	*subtype = lexical_take_token(rest);
	return subtype->len > 0;
}

/* A value without quotes ends at white space or ";": file names with "/" or "=" are common. */
static void take_bare(struct span *in, struct buf *out)
{
	size_t n = 0;

	while (n < in->len && (unsigned char)in->ptr[n] > 32 && in->ptr[n] != ';' && in->ptr[n] != '"')
		n++;
	buf_add(out, span_slice(*in, 0, n));
	*in = span_skip(*in, n);
}

/* To behind the next ";" that is in neither quotes nor comment. */
static void skip_to_next(struct span *in)
{
	size_t i = 0, depth = 0;
	bool quoted = false;

	for (; i < in->len; i++) {
		char c = in->ptr[i];

		if (c == '\\')
			i++;
		else if (quoted || c == '"')
			quoted = quoted != (c == '"');
		else if (c == '(')
			depth++;
		else if (depth > 0)
			depth -= c == ')' ? 1 : 0;
		else if (c == ';')
			break;
	}
	*in = span_skip(*in, i + 1);
}

void mime_parse_parameters(struct span text, struct mime_keeper *keeper, struct mime_parameters *out)
{
	BUF_AUTO found = {0}; /* of struct mime_parameter */
	BUF_AUTO value = {0};
	uint32_t count = 0;

	text = lexical_skip_cfws(text);
	if (text.len > 0 && text.ptr[0] == ';')
		text = span_skip(text, 1);
	while (text.len > 0 && count < MIME_PARAMETERS_MAX) {
		struct mime_parameter p = {.name = lexical_take_token(&text)};

		text = lexical_skip_cfws(text);
		if (p.name.len > 0 && text.len > 0 && text.ptr[0] == '=') {
			text = lexical_skip_cfws(span_skip(text, 1));
			buf_clear(&value);
			if (text.len > 0 && text.ptr[0] == '"')
				lexical_take_quoted(&text, &value);
			else
				take_bare(&text, &value);
			/* Its place in both lists counts too: many short parameters are cheap to send. */
			if (keeper->room < 2 * sizeof(p)) {
				keeper->overflowed = true;
				break;
			}
			keeper->room -= 2 * sizeof(p);
			p.name = mime_keep_lower(keeper, p.name);
			p.value = mime_keep(keeper, buf_span(&value));
			if (p.name.len > 0) {
				buf_add(&found, span_of(&p, sizeof(p)));
				count++;
			}
		}
		skip_to_next(&text);
	}
	out->count = count;
	if (count > 0) {
		out->list = arena_alloc_array(keeper->arena, count, sizeof(*out->list));
		memcpy(out->list, found.ptr, count * sizeof(*out->list));
	}
}

/* One parameter as RFC 2231 §7 sees it: name ["*" section] ["*"]. */
struct section {
	struct span name, value;
	uint32_t number; /* 0 if not numbered */
	uint32_t order;  /* in the field */
	bool is_numbered, is_extended;
};

static void read_section(const struct mime_parameter *p, uint32_t order, struct section *out)
{
	ssize_t star = span_chr(p->name, '*');
	struct span rest;
	uint64_t number;

	*out = (struct section){.name = p->name, .value = p->value, .order = order};
	if (star <= 0)
		return;
	rest = span_skip(p->name, (size_t)star + 1);
	if (rest.len == 0 || rest.ptr[rest.len - 1] == '*') {
		out->is_extended = true;
		rest.len -= rest.len > 0 ? 1 : 0;
	}
	/* More sections than parameters are allowed cannot be in sequence. */
	if (rest.len > 0) {
		if (span_to_u64(rest, MIME_PARAMETERS_MAX, &number) < 0) {
			out->is_extended = false;
			return;
		}
		out->is_numbered = true;
		out->number = (uint32_t)number;
	}
	out->name = span_slice(p->name, 0, (size_t)star);
}

/* By name; the extended single form first, then sections in order, then the plain form, which others override. */
static int section_rank(const struct section *s)
{
	return s->is_numbered ? 1 : s->is_extended ? 0 : 2;
}

static int compare_sections(const void *left, const void *right)
{
	const struct section *a = left, *b = right;
	int by_name = span_compare(a->name, b->name);

	if (by_name != 0)
		return by_name;
	if (section_rank(a) != section_rank(b))
		return section_rank(a) < section_rank(b) ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_upper(c);
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void percent_decode(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%' && text.len - i > 2 && hex_value(text.ptr[i + 1]) >= 0 &&
		    hex_value(text.ptr[i + 2]) >= 0) {
			c = (char)(hex_value(text.ptr[i + 1]) * 16 + hex_value(text.ptr[i + 2]));
			i += 2;
		}
		buf_add_char(out, c);
	}
}

/* charset "'" language "'" in front of the first extended value (RFC 2231 §4). */
static struct span take_charset(struct span *value)
{
	ssize_t first = span_chr(*value, '\'');
	ssize_t second = first < 0 ? -1 : span_chr(span_skip(*value, (size_t)first + 1), '\'');
	struct span charset;

	if (second < 0)
		return (struct span){0};
	charset = span_slice(*value, 0, (size_t)first);
	*value = span_skip(*value, (size_t)first + (size_t)second + 2);
	return charset;
}

/* Decodes the value of one name from its `count` sorted sections. */
static void decode_group(const struct section *s, uint32_t count, struct buf *out)
{
	BUF_AUTO bytes = {0};
	struct charset_converter *converter;
	struct span charset = {0}, value;
	uint32_t i = 0;

	if (!s[0].is_numbered && !s[0].is_extended) {
		encoded_words_decode(s[0].value, out);
		return;
	}
	/* A gap ends the value, of duplicates the first counts. */
	for (; i < count && (i == 0 || s[i].is_numbered); i++) {
		if (i > 0 && s[i].number == s[i - 1].number)
			continue;
		if (s[i].is_numbered && s[i].number > (i > 0 ? s[i - 1].number + 1 : 0))
			break;
		value = s[i].value;
		if (i == 0 && s[i].is_extended)
			charset = take_charset(&value);
		if (s[i].is_extended)
			percent_decode(value, &bytes);
		else
			buf_add(&bytes, value);
		if (!s[i].is_numbered)
			break;
	}
	converter = charset_new(charset);
	charset_convert(converter, buf_span(&bytes), true, out);
	charset_free(converter);
}

void mime_decode_parameters(const struct mime_parameters *written, struct mime_keeper *keeper,
                            struct mime_parameters *out)
{
	struct section sections[MIME_PARAMETERS_MAX];
	uint32_t count = written->count < MIME_PARAMETERS_MAX ? written->count : MIME_PARAMETERS_MAX;
	BUF_AUTO value = {0};

	*out = (struct mime_parameters){0};
	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		read_section(&written->list[i], i, &sections[i]);
	qsort(sections, count, sizeof(sections[0]), compare_sections);
	out->list = arena_alloc_array(keeper->arena, count, sizeof(*out->list));
	for (uint32_t i = 0; i < count;) {
		struct mime_parameter *p = &out->list[out->count];
		uint32_t end = i + 1;

		while (end < count && span_equal(sections[end].name, sections[i].name))
			end++;
		buf_clear(&value);
		decode_group(&sections[i], end - i, &value);
		p->name = mime_keep(keeper, sections[i].name);
		p->value = mime_keep(keeper, buf_span(&value));
		if (p->name.len > 0)
			out->count++;
		i = end;
	}
}

struct span mime_parameter_value(const struct mime_parameters *params, struct span name)
{
	for (uint32_t i = 0; i < params->count; i++)
		if (span_equal_nocase(params->list[i].name, name))
			return params->list[i].value;
	return (struct span){0};
}
