/* Modified UTF-7: see imap_utf7.h. */
#include "wire/imap_utf7.h"

#include "base/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_printable(uint32_t codepoint)
{
	return codepoint >= 0x20 && codepoint <= 0x7e;
}

static int value_of(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

/* UTF-16 as it comes out of a run of base64. */
struct units {
	uint32_t high; /* the first half of a surrogate pair; 0: none */
	struct buf *out;
};

static int take_unit(struct units *u, uint32_t unit)
{
	bool is_high = unit >= 0xd800 && unit <= 0xdbff, is_low = unit >= 0xdc00 && unit <= 0xdfff;
	if (is_low != (u->high != 0))
		return -1;
	if (is_high) {
		u->high = unit;
		return 0;
	}
	if (is_low)
		unit = 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00);
	u->high = 0;
	if (unit == 0 || is_printable(unit))
		return -1;
	utf8_add(u->out, unit);
	return 0;
}

/* Decodes what stands between "&" and "-". */
static int decode_run(struct span run, struct buf *out)
{
	struct units u = {.out = out};
	uint32_t bits = 0;
	unsigned count = 0;
	for (size_t i = 0; i < run.len; i++) {
		int value = value_of(run.ptr[i]);
		if (value < 0)
			return -1;
		bits = (bits << 6 | (uint32_t)value) & 0x3fffff;
		count += 6;
		if (count < 16)
			continue;
		count -= 16;
		if (take_unit(&u, bits >> count & 0xffff))
			return -1;
	}
	/* no more than the bits that fill the last character, and those are zero */
	return u.high || count >= 6 || (bits & ((1U << count) - 1)) ? -1 : 0;
}

static int decode(struct span name, struct buf *out)
{
	bool after_run = false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!is_printable((unsigned char)c))
			return -1;
		if (c != '&') {
			buf_add_char(out, c);
			after_run = false;
			continue;
		}
		ssize_t end = span_chr(span_skip(name, i + 1), '-');
		if (end < 0)
			return -1;
		if (end == 0) {
			buf_add_char(out, '&');
			after_run = false;
		} else if (after_run || decode_run(span_slice(name, i + 1, (size_t)end), out)) {
			return -1; /* RFC 3501 §5.1.3: no null shifts, which is what two runs that touch would be */
		} else {
			after_run = true;
		}
		i += (size_t)end + 1;
	}
	return 0;
}

int imap_utf7_decode(struct span name, struct buf *out)
{
	size_t before = out->len;
	if (decode(name, out) == 0)
		return 0;
	out->len = before;
	return -1;
}

/* A run of base64 that is being written. */
struct run {
	struct buf *out;
	uint32_t bits;
	unsigned count;
	bool is_open;
};

static void add_unit(struct run *r, uint32_t unit)
{
	r->bits = r->bits << 16 | unit;
	r->count += 16;
	while (r->count >= 6) {
		r->count -= 6;
		buf_add_char(r->out, alphabet[r->bits >> r->count & 0x3f]);
	}
	r->bits &= 0x3f;
}

static void open_run(struct run *r)
{
	if (!r->is_open)
		buf_add_char(r->out, '&');
	r->is_open = true;
}

static void close_run(struct run *r)
{
	if (!r->is_open)
		return;
	if (r->count)
		buf_add_char(r->out, alphabet[r->bits << (6 - r->count) & 0x3f]);
	buf_add_char(r->out, '-');
	*r = (struct run){.out = r->out};
}

/* The codepoint at the start of `s`, which has `len` bytes of valid UTF-8. */
static uint32_t codepoint_of(const char *s, size_t len)
{
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t codepoint = (unsigned char)s[0] & masks[len];
	for (size_t i = 1; i < len; i++)
		codepoint = codepoint << 6 | ((unsigned char)s[i] & 0x3f);
	return codepoint;
}

void imap_utf7_encode(struct span name, struct buf *out)
{
	struct run r = {.out = out};
	while (name.len) {
		size_t len = utf8_char_length(name);
		uint32_t codepoint = len ? codepoint_of(name.ptr, len) : 0xfffd;
		name = span_skip(name, len ? len : 1);
		if (is_printable(codepoint)) {
			close_run(&r);
			buf_add_char(out, (char)codepoint);
			if (codepoint == '&')
				buf_add_char(out, '-');
			continue;
		}
		open_run(&r);
		if (codepoint >= 0x10000) {
			add_unit(&r, 0xd800 + ((codepoint - 0x10000) >> 10));
			codepoint = 0xdc00 + ((codepoint - 0x10000) & 0x3ff);
		}
		add_unit(&r, codepoint);
	}
	close_run(&r);
}
