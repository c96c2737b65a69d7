/* The one error type: a text that a person can act on, and where the fault is. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

struct error {
	int code;      /* what the function says it is: an SMTP reply code, an errno, 0 */
	size_t offset; /* of the fault in the input, where there is one */
	char text[256];
};

/* Fills *why (which may be NULL) and returns -1, so that a function can `return error_set(...)`. */
int error_set(struct error *why, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with the offset of the fault. */
int error_at(struct error *why, size_t offset, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
