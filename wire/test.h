/* What the tests of this folder share. */
#ifndef WIRE_TEST_H
#define WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

/* Fails unless the two are equal, and shows both. */
static inline void assert_span(struct span got, const char *want)
{
	if (!span_equal(got, span_cstr(want)))
		fail_msg("got  \"%.*s\"\nwant \"%s\"", SPAN_ARG(got), want);
}

/* Fails unless `what` is in `text`. */
static inline void assert_contains(struct span text, const char *what)
{
	if (span_find(text, span_cstr(what)) < 0)
		fail_msg("\"%s\" is not in\n%.*s", what, SPAN_ARG(text));
}

static inline void assert_lacks(struct span text, const char *what)
{
	if (span_find(text, span_cstr(what)) >= 0)
		fail_msg("\"%s\" is in\n%.*s", what, SPAN_ARG(text));
}

static inline void repeat(struct buf *out, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_add_cstr(out, text);
}

#endif
