/* Comparisons and searches over borrowed bytes. */
#include "base/span.h"

#include "base/die.h"

bool span_equal_nocase(struct span a, struct span b)
{
	return a.len == b.len && span_starts_with_nocase(a, b);
}

bool span_starts_with(struct span s, struct span prefix)
{
	return s.len >= prefix.len && span_equal(span_slice(s, 0, prefix.len), prefix);
}

bool span_starts_with_nocase(struct span s, struct span prefix)
{
	if (s.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++)
		if (ascii_lower(s.ptr[i]) != ascii_lower(prefix.ptr[i]))
			return false;
	return true;
}

bool span_ends_with(struct span s, struct span suffix)
{
	return s.len >= suffix.len && span_equal(span_skip(s, s.len - suffix.len), suffix);
}

int span_compare(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

ssize_t span_chr(struct span s, char c)
{
	const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
	return at ? at - s.ptr : -1;
}

ssize_t span_rchr(struct span s, char c)
{
	const char *at = s.len ? memrchr(s.ptr, c, s.len) : NULL;
	return at ? at - s.ptr : -1;
}

ssize_t span_find(struct span s, struct span what)
{
	if (what.len == 0)
		return 0;
	const char *at = s.len ? memmem(s.ptr, s.len, what.ptr, what.len) : NULL;
	return at ? at - s.ptr : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.len && is_blank(s.ptr[0]))
		s = span_skip(s, 1);
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

int span_to_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	if (s.len == 0 || s.len > 20)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (!ascii_is_digit(s.ptr[i]))
			return -1;
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
			return -1;
	}
	if (value > max)
		return -1;
	*out = value;
	return 0;
}

struct span span_next_word(struct span *rest)
{
	while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
		*rest = span_skip(*rest, 1);
	size_t n = 0;
	while (n < rest->len && rest->ptr[n] != ' ' && rest->ptr[n] != '\t')
		n++;
	struct span word = span_slice(*rest, 0, n);
	*rest = span_skip(*rest, n);
	return word;
}

uint64_t span_hash(struct span s, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325u ^ seed;
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
	return hash ^ hash >> 32;
}

char *span_strdup(struct span s)
{
	char *copy = xcalloc(1, s.len + 1);
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return copy;
}
