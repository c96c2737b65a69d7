#include "wire/authentication_results.h"

#include "wire/lexical.h"

/* What stands in for a word here: bytes up to white space, a comment or ";", so that addresses and domains are let pass; or a quoted
 * string. */
static struct span take_word(struct span *in, bool ends_at_equals, struct arena *a)
{
	BUF_AUTO out = {0};
	size_t n = 0;
	*in = lexical_skip_cfws(*in);
	if (span_starts_with(*in, SPAN("\""))) {
		lexical_take_quoted(in, &out);
		return arena_dup(a, buf_span(&out));
	}
	while (n < in->len && !strchr(ends_at_equals ? " \t\r\n(;=\"" : " \t\r\n(;\"", in->ptr[n] ? in->ptr[n] : ' '))
		n++;
	struct span word = span_slice(*in, 0, n);
	*in = span_skip(*in, n);
	return word;
}

/* Up to behind the next ";" that is neither in a comment nor in quotes. */
static void skip_result(struct span *in, struct arena *a)
{
	for (;;) {
		*in = lexical_skip_cfws(*in);
		if (!in->len)
			return;
		bool is_end = in->ptr[0] == ';';
		size_t before = in->len;
		if (!is_end)
			take_word(in, false, a);
		if (is_end || in->len == before)
			*in = span_skip(*in, 1);
		if (is_end)
			return;
	}
}

/* "name=value"; false, and perhaps part of it taken, if something else comes next. */
static bool take_pair(struct span *in, struct span *name, struct span *value, struct arena *a)
{
	*name = take_word(in, true, a);
	*in = lexical_skip_cfws(*in);
	if (!name->len || !span_starts_with(*in, SPAN("=")))
		return false;
	*in = lexical_skip_cfws(span_skip(*in, 1));
	bool is_quoted = span_starts_with(*in, SPAN("\""));
	*value = take_word(in, false, a);
	return is_quoted || value->len;
}

static bool is_at_end(struct span *in)
{
	*in = lexical_skip_cfws(*in);
	return !in->len || in->ptr[0] == ';';
}

void authentication_results_start(struct span *rest, struct arena *a)
{
	skip_result(rest, a);
}

bool authentication_results_next(struct span *rest, struct arena *a, struct authentication_result *out)
{
	struct span name, value;
	bool is_good = true;
	*out = (struct authentication_result){0};
	*rest = lexical_skip_cfws(*rest);
	if (!rest->len)
		return false;
	if (take_pair(rest, &name, &value, a)) {
		ssize_t slash = span_chr(name, '/'); /* "dkim/1": the version of the method */
		out->method = slash < 0 ? name : span_slice(name, 0, (size_t)slash);
		out->result = value;
		while (!is_at_end(rest) && (is_good = take_pair(rest, &name, &value, a)))
			if (out->property_count < AUTHENTICATION_PROPERTIES_MOST)
				out->properties[out->property_count++] = (struct authentication_property){name, value};
		if (!is_good)
			*out = (struct authentication_result){0}; /* nonsense among it: nothing of it is believed */
	}
	skip_result(rest, a);
	return true;
}

struct span authentication_result_property(const struct authentication_result *r, struct span name)
{
	for (size_t i = 0; i < r->property_count; i++)
		if (span_equal_nocase(r->properties[i].name, name))
			return r->properties[i].value;
	return SPAN("");
}
