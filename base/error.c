/* Errors with a text for people. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *why, int code, const char *format, ...)
{
	if (!why)
		return -1;
	why->code = code;
	why->offset = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	return -1;
}

int error_at(struct error *why, size_t offset, int code, const char *format, ...)
{
	if (!why)
		return -1;
	why->code = code;
	why->offset = offset;
	va_list args;
	va_start(args, format);
	vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	return -1;
}
