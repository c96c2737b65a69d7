/* Encoded words: see encoded_word.h. */
#include "wire/encoded_word.h"

#include "base/utf8.h"
#include "wire/charset.h"
#include "wire/transfer.h"

struct word {
	struct span charset;
	char encoding; /* 'b' or 'q' */
	struct span text;
	size_t length; /* of all of it */
};

/* Length of what is before the next '?' at the front, at most max; -1 if white space or the end comes first. A failed
 * try never looks beyond a '?', which the next try starts behind, so decoding stays linear. */
static ssize_t until_question_mark(struct span in, size_t max, bool spaces)
{
	for (size_t i = 0; i < in.len && i <= max; i++) {
		if (in.ptr[i] == '?')
			return (ssize_t)i;
		if (!spaces && (in.ptr[i] == ' ' || in.ptr[i] == '\t'))
			return -1;
	}
	return -1;
}

/* "=?" charset ["*" language] "?" encoding "?" text "?=" (RFC 2047 §2, RFC 2231 §5). Longer words than the 75
 * characters allowed are common; spaces in Q text are too. */
static bool parse_word(struct span in, struct word *out)
{
	size_t at = 2;
	ssize_t n;
	ssize_t star;

	if (in.len < 8 || in.ptr[0] != '=' || in.ptr[1] != '?')
		return false;
	n = until_question_mark(span_skip(in, at), CHARSET_NAME_MAX + 40, false);
	if (n <= 0)
		return false;
	out->charset = span_slice(in, at, (size_t)n);
	star = span_chr(out->charset, '*');
	if (star >= 0)
		out->charset.len = (size_t)star;
	at += (size_t)n + 1;
	if (in.len - at < 3 || in.ptr[at + 1] != '?')
		return false;
	out->encoding = ascii_lower(in.ptr[at]);
	if (out->encoding != 'b' && out->encoding != 'q')
		return false;
	at += 2;
	n = until_question_mark(span_skip(in, at), in.len, true);
	if (n < 0 || at + (size_t)n + 1 >= in.len || in.ptr[at + (size_t)n + 1] != '=')
		return false;
	out->text = span_slice(in, at, (size_t)n);
	out->length = at + (size_t)n + 2;
	return true;
}

static void decode_word(const struct word *word, struct buf *out)
{
	struct transfer_decoder d = {.encoding = word->encoding == 'b' ? TRANSFER_BASE64 : TRANSFER_QUOTED_PRINTABLE};

	if (word->encoding == 'b') {
		transfer_decode(&d, word->text, out);
	} else {
		/* RFC 2047 §4.2: "_" is a space, also at the end. */
		for (size_t i = 0; i < word->text.len; i++) {
			if (word->text.ptr[i] == '_' || word->text.ptr[i] == ' ')
				transfer_decode(&d, SPAN("=20"), out);
			else
				transfer_decode(&d, span_slice(word->text, i, 1), out);
		}
	}
	transfer_decode_end(&d, out);
}

static void add_plain(struct span text, struct buf *out)
{
	if (utf8_is_valid(text)) {
		buf_add(out, text);
		return;
	}
	while (text.len > 0) {
		size_t width = utf8_char_length(text);

		if (width > 0)
			buf_add(out, span_slice(text, 0, width));
		else
			utf8_add(out, 0xfffd);
		text = span_skip(text, width > 0 ? width : 1);
	}
}

/* Bytes decoded and not yet converted, all of one charset. */
struct pending {
	struct span charset;
	struct buf bytes;
};

static void flush_pending(struct pending *p, struct buf *out)
{
	struct charset_converter *c;

	if (p->bytes.len > 0) {
		c = charset_new(p->charset);
		charset_convert(c, buf_span(&p->bytes), true, out);
		charset_free(c);
	}
	buf_clear(&p->bytes);
	p->charset = (struct span){0};
}

void encoded_words_decode(struct span value, struct buf *out)
{
	struct pending pending = {0};
	size_t plain_from = 0, at = 0;
	bool after_word = false;
	struct word word;

	while (at < value.len) {
		struct span gap;

		if (value.ptr[at] != '=' || !parse_word(span_skip(value, at), &word)) {
			at++;
			continue;
		}
		gap = span_slice(value, plain_from, at - plain_from);
		if (!after_word || span_trim(gap).len > 0) {
			flush_pending(&pending, out);
			add_plain(gap, out);
		} else if (!span_equal_nocase(pending.charset, word.charset)) {
			flush_pending(&pending, out);
		}
		pending.charset = word.charset;
		decode_word(&word, &pending.bytes);
		after_word = true;
		at += word.length;
		plain_from = at;
	}
	flush_pending(&pending, out);
	buf_free(&pending.bytes);
	add_plain(span_skip(value, plain_from), out);
}

static bool needs_encoding(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 32 || (unsigned char)text.ptr[i] > 126)
			return true;
	return span_find(text, SPAN("=?")) >= 0 || text.len > 900;
}

/* 45 bytes are 60 characters of base64; with "=?utf-8?B?" and "?=" that is 72. */
#define WORD_BYTES_MAX 45

static void encode_word(struct span bytes, struct buf *out)
{
	struct transfer_encoder e = {.encoding = TRANSFER_BASE64};

	buf_add_cstr(out, "=?utf-8?B?");
	transfer_encode(&e, bytes, out);
	transfer_encode_end(&e, out);
	out->len -= 2; /* the line end of base64 */
	buf_add_cstr(out, "?=");
}

void encoded_word_encode(struct span text, struct buf *out)
{
	BUF_AUTO clean = {0};
	struct span rest;

	for (size_t i = 0; i < text.len; i++)
		buf_add_char(&clean, (unsigned char)text.ptr[i] < 32 || text.ptr[i] == 127 ? ' ' : text.ptr[i]);
	rest = buf_span(&clean);
	if (!needs_encoding(rest)) {
		buf_add(out, rest);
		return;
	}
	while (rest.len > 0) {
		size_t n = 0;

		while (n < rest.len && n < WORD_BYTES_MAX - 3) {
			size_t width = utf8_char_length(span_skip(rest, n));

			n += width > 0 ? width : 1;
		}
		encode_word(span_slice(rest, 0, n), out);
		rest = span_skip(rest, n);
		if (rest.len > 0)
			buf_add_cstr(out, "\r\n ");
	}
}
