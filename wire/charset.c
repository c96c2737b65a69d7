/* Charset conversion: see charset.h. */
#include "wire/charset.h"

#include <stdlib.h>
#include <unicode/ucnv.h>

#include "base/die.h"

#define PIVOT_CHARS 512
#define OUTPUT_STEP 4096

struct charset_converter {
	UConverter *from, *to;
	UChar pivot[PIVOT_CHARS];
	UChar *pivot_source, *pivot_target;
	bool fresh;
};

/* A comma would give ICU options, and a name with other odd bytes is none. */
static bool name_is_plain(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!ascii_is_alpha(name.ptr[i]) && !ascii_is_digit(name.ptr[i]) && name.ptr[i] != '-' &&
		    name.ptr[i] != '_' && name.ptr[i] != ':' && name.ptr[i] != '.' && name.ptr[i] != '+')
			return false;
	return name.len > 0 && name.len <= CHARSET_NAME_MAX;
}

static UConverter *open_named(struct span name)
{
	char text[CHARSET_NAME_MAX + 1];
	UErrorCode status = U_ZERO_ERROR;
	UConverter *converter;

	if (!name_is_plain(name))
		return NULL;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	converter = ucnv_open(text, &status);
	return U_SUCCESS(status) ? converter : NULL;
}

bool charset_is_known(struct span name)
{
	UConverter *converter = open_named(name);

	ucnv_close(converter);
	return converter != NULL;
}

struct charset_converter *charset_new(struct span name)
{
	struct charset_converter *c = xcalloc(1, sizeof(*c));

	name = span_trim(name);
	if (name.len == 0 || span_equal_nocase(name, SPAN("us-ascii")) || span_equal_nocase(name, SPAN("ascii")))
		name = SPAN("utf-8");
	c->from = open_named(name);
	if (!c->from)
		c->from = open_named(SPAN("windows-1252"));
	c->to = open_named(SPAN("utf-8"));
	if (!c->from || !c->to)
		die("ICU has no converters for UTF-8 and windows-1252");
	c->pivot_source = c->pivot_target = c->pivot;
	c->fresh = true;
	return c;
}

void charset_free(struct charset_converter *c)
{
	if (!c)
		return;
	ucnv_close(c->from);
	ucnv_close(c->to);
	free(c);
}

void charset_convert(struct charset_converter *c, struct span piece, bool flush, struct buf *out)
{
	const char *source = piece.len > 0 ? piece.ptr : "";
	const char *source_end = source + piece.len;
	UErrorCode status;

	do {
		char *start = buf_reserve(out, OUTPUT_STEP);
		char *target = start;

		status = U_ZERO_ERROR;
		ucnv_convertEx(c->to, c->from, &target, start + OUTPUT_STEP, &source, source_end, c->pivot,
		               &c->pivot_source, &c->pivot_target, c->pivot + PIVOT_CHARS, c->fresh, flush, &status);
		c->fresh = false;
		out->len += (size_t)(target - start);
	} while (status == U_BUFFER_OVERFLOW_ERROR);
}
