/* Transfer encodings and charsets: pieces make no difference, and what is encoded comes back. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/charset.h"
#include "wire/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(enum transfer_encoding encoding, struct span in, size_t step, struct buf *out)
{
	struct transfer_decoder d = {.encoding = encoding};

	for (size_t at = 0; at < in.len; at += step)
		transfer_decode(&d, span_slice(in, at, step), out);
	transfer_decode_end(&d, out);
	if (out->len > in.len)
		die("more decoded than there was");
}

static void round_trip(enum transfer_encoding encoding, struct span in, size_t step)
{
	struct transfer_encoder e = {.encoding = encoding};
	BUF_AUTO coded = {0};
	BUF_AUTO back = {0};

	for (size_t at = 0; at < in.len; at += step)
		transfer_encode(&e, span_slice(in, at, step), &coded);
	transfer_encode_end(&e, &coded);
	decode(encoding, buf_span(&coded), step, &back);
	if (!span_equal(in, buf_span(&back)) || utf8_has_8bit(buf_span(&coded)))
		die("encoded bytes do not come back");
}

static void convert(struct span in, unsigned which, size_t step, struct buf *out)
{
	static const char *const names[] = {"utf-8",     "utf-7",  "iso-2022-jp", "iso-2022-kr", "gb18030",
	                                    "shift_jis", "utf-16", "hz",          "unknown",     "big5"};
	struct charset_converter *c = charset_new(span_cstr(names[which % 10]));

	for (size_t at = 0; at < in.len; at += step)
		charset_convert(c, span_slice(in, at, step), false, out);
	charset_convert(c, (struct span){0}, true, out);
	charset_free(c);
	if (!utf8_is_valid(buf_span(out)))
		die("text is not UTF-8");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum transfer_encoding encodings[] = {TRANSFER_BASE64, TRANSFER_QUOTED_PRINTABLE};
	BUF_AUTO text = {0};
	struct span in;
	size_t step;

	if (size == 0)
		return 0;
	step = 1 + data[0] % 5;
	in = span_of(data + 1, size - 1);
	for (size_t i = 0; i < 2; i++) {
		BUF_AUTO whole = {0};
		BUF_AUTO pieces = {0};

		decode(encodings[i], in, in.len + 1, &whole);
		decode(encodings[i], in, step, &pieces);
		if (!span_equal(buf_span(&whole), buf_span(&pieces)))
			die("pieces make a difference");
		round_trip(encodings[i], in, step);
	}
	convert(in, data[0] / 5, step, &text);
	return 0;
}
