/* A span borrows a range of bytes: it never owns them, is not NUL-terminated, and must not outlive them. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct span {
	const char *ptr;
	size_t len;
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
/* The two arguments of a "%.*s". */
#define SPAN_ARG(s) (int)(s).len, (s).ptr

static inline struct span span_of(const void *ptr, size_t len)
{
	return (struct span){ptr, len};
}

static inline struct span span_cstr(const char *text)
{
	return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The part of `s` from offset `from`, at most `len` bytes; cut to what is there. */
static inline struct span span_slice(struct span s, size_t from, size_t len)
{
	if (from > s.len)
		from = s.len;
	if (len > s.len - from)
		len = s.len - from;
	return (struct span){s.ptr ? s.ptr + from : s.ptr, len};
}

static inline struct span span_skip(struct span s, size_t n)
{
	return span_slice(s, n, s.len);
}

/* ASCII only, whatever the locale: protocol keywords are case-insensitive in ASCII. */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 0 to 15; -1 if it is no hexadecimal digit. */
static inline int ascii_hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_upper(c);
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool span_equal_nocase(struct span a, struct span b);
bool span_starts_with(struct span s, struct span prefix);
bool span_starts_with_nocase(struct span s, struct span prefix);
bool span_ends_with(struct span s, struct span suffix);
int span_compare(struct span a, struct span b); /* bytewise, like memcmp; a prefix sorts first */

/* FNV-1a: it only has to spread; who uses it compares the bytes too. A seed that nobody knows keeps strangers from choosing
 * what shares a hash. */
uint64_t span_hash(struct span s, uint64_t seed);
/* A copy with a NUL behind it, which the caller frees. */
char *span_strdup(struct span s);

/* Offset of the first byte `c`, or of the first occurrence of `what`, in `s`; -1 if there is none. */
ssize_t span_chr(struct span s, char c);
ssize_t span_rchr(struct span s, char c);
ssize_t span_find(struct span s, struct span what);

/* Without leading and trailing SP, HTAB, CR and LF. */
struct span span_trim(struct span s);

/* Reads a decimal number that takes up all of `s` (1 to 20 digits, no sign) and is at most `max`.
 * Returns 0, or -1 if it is not such a number. */
int span_to_u64(struct span s, uint64_t max, uint64_t *out);

/* Takes the next word (bytes without SP and HTAB) off the front of `rest`; empty when there is none left. */
struct span span_next_word(struct span *rest);

#endif
