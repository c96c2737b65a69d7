/* Ending a process that cannot go on. */
#include "base/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void die(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text - 1, format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	if ((size_t)n > sizeof text - 2)
		n = sizeof text - 2;
	text[n++] = '\n';
	/* the logger may be what is broken: straight to stderr */
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(71);
	abort();
}

static void *must(void *memory)
{
	if (!memory)
		die("carteiro: out of memory");
	return memory;
}

void *xmalloc(size_t size)
{
	return must(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
	return must(realloc(old, size ? size : 1));
}

void *xrealloc_array(void *old, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		die("carteiro: an array of %zu x %zu bytes", count, size);
	return xrealloc(old, bytes);
}

char *xstrdup(const char *text)
{
	return must(strdup(text));
}
