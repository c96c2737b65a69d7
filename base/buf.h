/* A buf owns bytes that grow at the end. Start with `struct buf b = {0}`; end with buf_free.
 * Memory that cannot be had ends the process (base/die.h), so appending never fails. Whoever appends bytes from
 * outside bounds them first. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/span.h"

struct buf {
	char *ptr;
	size_t len, cap;
};

#define BUF_AUTO __attribute__((cleanup(buf_free))) struct buf

void buf_free(struct buf *b);
void buf_clear(struct buf *b); /* empties it and keeps its memory */

char *buf_grow(struct buf *b, size_t more); /* for buf_reserve */

/* Room for at least `more` bytes behind the end; returns where they start. */
static inline char *buf_reserve(struct buf *b, size_t more)
{
	return b->ptr && more <= b->cap - b->len ? b->ptr + b->len : buf_grow(b, more);
}

static inline void buf_add(struct buf *b, struct span bytes)
{
	if (bytes.len == 0)
		return;
	memcpy(buf_reserve(b, bytes.len), bytes.ptr, bytes.len);
	b->len += bytes.len;
}

static inline void buf_add_cstr(struct buf *b, const char *text)
{
	buf_add(b, span_cstr(text));
}

void buf_add_number(struct buf *b, uint64_t number); /* in decimal digits */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));

static inline void buf_add_char(struct buf *b, char c)
{
	*buf_reserve(b, 1) = c;
	b->len++;
}

/* Takes the first n bytes (at most all) away. */
void buf_drop_front(struct buf *b, size_t n);

/* The content as a NUL-terminated string; the NUL is not counted in len. Valid until the next change. */
const char *buf_cstr(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){b->ptr, b->len};
}

#endif
