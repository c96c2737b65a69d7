/* RFC 3629 §4, the table of well-formed sequences. */
#include "base/utf8.h"

size_t utf8_char_length(struct span s)
{
	if (s.len == 0)
		return 0;
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (s.len < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool utf8_is_valid(struct span s)
{
	while (s.len) {
		size_t n = utf8_char_length(s);
		if (n == 0)
			return false;
		s = span_skip(s, n);
	}
	return true;
}

bool utf8_has_8bit(struct span s)
{
	enum { AT_ONCE = 64 }; /* bytes that are looked at together: whole messages pass here */
	unsigned char seen = 0;
	size_t at = 0;
	for (; !(seen & 0x80) && s.len - at >= AT_ONCE; at += AT_ONCE)
		for (size_t i = 0; i < AT_ONCE; i++)
			seen |= (unsigned char)s.ptr[at + i];
	for (; at < s.len; at++)
		seen |= (unsigned char)s.ptr[at];
	return seen & 0x80;
}

void utf8_add(struct buf *out, uint32_t c)
{
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	if (c < 0x80) {
		buf_add_char(out, (char)c);
	} else if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | (c >> 6)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xe0 | (c >> 12)));
		buf_add_char(out, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xf0 | (c >> 18)));
		buf_add_char(out, (char)(0x80 | ((c >> 12) & 0x3f)));
		buf_add_char(out, (char)(0x80 | ((c >> 6) & 0x3f)));
		buf_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}
