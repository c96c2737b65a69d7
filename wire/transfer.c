/* Content-Transfer-Encodings: see transfer.h. */
#include "wire/transfer.h"

#define LINE_MAX_CHARS 76 /* RFC 2045 §6.7 rule 5, §6.8 */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits[] = "0123456789ABCDEF";

enum transfer_encoding transfer_encoding_named(struct span name)
{
	static const struct {
		const char *name;
		enum transfer_encoding encoding;
	} known[] = {{"7bit", TRANSFER_7BIT},
	             {"8bit", TRANSFER_8BIT},
	             {"binary", TRANSFER_BINARY},
	             {"quoted-printable", TRANSFER_QUOTED_PRINTABLE},
	             {"base64", TRANSFER_BASE64}};

	name = span_trim(name);
	if (name.len == 0)
		return TRANSFER_7BIT;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_equal_nocase(name, span_cstr(known[i].name)))
			return known[i].encoding;
	return TRANSFER_UNKNOWN;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Characters outside the alphabet are ignored (RFC 2045 §6.8). Padding ends a quantum; more may follow it, as when two
 * encoded texts were joined. */
static void base64_decode(struct transfer_decoder *d, struct span piece, struct buf *out)
{
	char *to = buf_reserve(out, piece.len);
	size_t n = 0;

	for (size_t i = 0; i < piece.len; i++) {
		int value = base64_value(piece.ptr[i]);

		if (piece.ptr[i] == '=') {
			d->bits = 0;
			d->bit_count = 0;
		}
		if (value < 0)
			continue;
		d->bits = (d->bits << 6 | (unsigned)value) & 0xffff;
		d->bit_count += 6;
		if (d->bit_count >= 8) {
			d->bit_count -= 8;
			to[n++] = (char)(d->bits >> d->bit_count & 0xff);
		}
	}
	out->len += n;
}

static void release_held(struct transfer_decoder *d, struct buf *out)
{
	buf_add(out, span_of(d->held, d->held_len));
	d->held_len = 0;
}

/* "=" [WSP] CR LF is a soft line break, "=" 2HEX a byte; anything else stays as it is (RFC 2045 §6.7). */
static void qp_escape_byte(struct transfer_decoder *d, char c, struct buf *out)
{
	char last = d->held[d->held_len - 1];

	if (c == '\n') {
		d->held_len = 0;
	} else if (d->held_len == 2 && ascii_hex_value(last) >= 0 && ascii_hex_value(c) >= 0) {
		buf_add_char(out, (char)(ascii_hex_value(last) * 16 + ascii_hex_value(c)));
		d->held_len = 0;
	} else if ((d->held_len == 1 && ascii_hex_value(c) >= 0) ||
	           ((last == '=' || last == ' ' || last == '\t') && (c == ' ' || c == '\t' || c == '\r'))) {
		/* More white space than any line has is text. */
		if (d->held_len < sizeof(d->held)) {
			d->held[d->held_len++] = c;
			return;
		}
		release_held(d, out);
		buf_add_char(out, c);
	} else {
		release_held(d, out);
		transfer_decode(d, span_of(&c, 1), out);
	}
}

/* White space at the end of a line was added in transport and goes (RFC 2045 §6.7 rule 3). */
static void qp_byte(struct transfer_decoder *d, char c, struct buf *out)
{
	if (d->held_len > 0 && d->held[0] == '=') {
		qp_escape_byte(d, c, out);
		return;
	}
	if (c == ' ' || c == '\t') {
		if (d->held_len == sizeof(d->held))
			release_held(d, out);
		d->held[d->held_len++] = c;
		return;
	}
	if (c == '\r' || c == '\n')
		d->held_len = 0;
	release_held(d, out);
	if (c == '=')
		d->held[d->held_len++] = c;
	else
		buf_add_char(out, c);
}

void transfer_decode(struct transfer_decoder *d, struct span piece, struct buf *out)
{
	switch (d->encoding) {
	case TRANSFER_BASE64: base64_decode(d, piece, out); return;
	case TRANSFER_QUOTED_PRINTABLE:
		for (size_t i = 0; i < piece.len; i++)
			qp_byte(d, piece.ptr[i], out);
		return;
	case TRANSFER_7BIT:
	case TRANSFER_8BIT:
	case TRANSFER_BINARY:
	case TRANSFER_UNKNOWN: buf_add(out, piece); return;
	}
}

void transfer_decode_end(struct transfer_decoder *d, struct buf *out)
{
	/* A lone "=" at the end is a soft line break whose line end was cut off. */
	if (d->held_len > 0 && !(d->held[0] == '=' && d->held_len == 1))
		release_held(d, out);
	d->held_len = 0;
	d->bits = 0;
	d->bit_count = 0;
}

static void base64_quantum(struct transfer_encoder *e, struct buf *out)
{
	unsigned bits;
	char text[4];

	for (size_t i = e->held_len; i < 3; i++)
		e->held[i] = 0;
	bits = (unsigned)e->held[0] << 16 | (unsigned)e->held[1] << 8 | e->held[2];
	for (size_t i = 0; i < 4; i++)
		text[i] = i <= e->held_len ? base64_digits[bits >> (18 - 6 * i) & 63] : '=';
	buf_add(out, span_of(text, 4));
	e->held_len = 0;
	e->column += 4;
	if (e->column >= LINE_MAX_CHARS) {
		buf_add_cstr(out, "\r\n");
		e->column = 0;
	}
}

static void qp_soft_break(struct transfer_encoder *e, size_t need, struct buf *out)
{
	/* One column stays free for the "=" of a soft break. */
	if (e->column + need > LINE_MAX_CHARS - 1) {
		buf_add_cstr(out, "=\r\n");
		e->column = 0;
	}
}

static void qp_escaped(struct transfer_encoder *e, unsigned char c, struct buf *out)
{
	char text[3] = {'=', hex_digits[c >> 4], hex_digits[c & 15]};

	qp_soft_break(e, 3, out);
	buf_add(out, span_of(text, 3));
	e->column += 3;
}

static void qp_plain(struct transfer_encoder *e, unsigned char c, struct buf *out)
{
	qp_soft_break(e, 1, out);
	buf_add_char(out, (char)c);
	e->column++;
}

/* The byte held back is white space, which must be encoded before a line end, or a CR that may start one. */
static void qp_encode_byte(struct transfer_encoder *e, unsigned char c, struct buf *out)
{
	unsigned char held = e->held_len > 0 ? e->held[0] : 0;

	if (held == '\r' && c == '\n') {
		buf_add_cstr(out, "\r\n");
		e->held_len = 0;
		e->column = 0;
		return;
	}
	if (e->held_len > 0) {
		if (held == '\r' || c == '\r')
			qp_escaped(e, held, out);
		else
			qp_plain(e, held, out);
		e->held_len = 0;
	}
	if (c == ' ' || c == '\t' || c == '\r')
		e->held[e->held_len++] = c;
	else if (c >= 33 && c <= 126 && c != '=')
		qp_plain(e, c, out);
	else
		qp_escaped(e, c, out);
}

void transfer_encode(struct transfer_encoder *e, struct span piece, struct buf *out)
{
	if (e->encoding != TRANSFER_BASE64 && e->encoding != TRANSFER_QUOTED_PRINTABLE) {
		buf_add(out, piece);
		return;
	}
	for (size_t i = 0; i < piece.len; i++) {
		if (e->encoding == TRANSFER_QUOTED_PRINTABLE) {
			qp_encode_byte(e, (unsigned char)piece.ptr[i], out);
			continue;
		}
		e->held[e->held_len++] = (unsigned char)piece.ptr[i];
		if (e->held_len == 3)
			base64_quantum(e, out);
	}
}

void transfer_encode_end(struct transfer_encoder *e, struct buf *out)
{
	if (e->encoding == TRANSFER_QUOTED_PRINTABLE && e->held_len > 0)
		qp_escaped(e, e->held[0], out);
	if (e->encoding == TRANSFER_BASE64) {
		if (e->held_len > 0)
			base64_quantum(e, out);
		if (e->column > 0)
			buf_add_cstr(out, "\r\n");
	}
	e->held_len = 0;
	e->column = 0;
}
