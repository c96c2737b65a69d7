/* Previews: see preview.h. */
#include "wire/preview.h"

#include "base/utf8.h"
#include "wire/charset.h"
#include "wire/html_text.h"

static bool is_text(const struct mime_part *part, struct span subtype)
{
	return span_equal(part->type, SPAN("text")) && span_equal(part->subtype, subtype) && !span_equal_nocase(part->disposition, SPAN("attachment")) &&
	       !part->is_multipart && part->body_len > 0;
}

uint32_t preview_part(const struct mime_tree *tree)
{
	static const struct span wanted[] = {{"plain", 5}, {"html", 4}};
	for (size_t w = 0; w < sizeof wanted / sizeof wanted[0]; w++)
		for (uint32_t i = 0; i < tree->part_count; i++)
			if (is_text(&tree->parts[i], wanted[w]))
				return i;
	return MIME_NO_PART;
}

/* White space, and what is as good as that in mails, becomes one space; what is cut in the middle goes. */
static void squeeze(struct span text, struct buf *out)
{
	size_t at = 0;
	unsigned count = 0;
	bool is_spaced = true;
	while (at < text.len && count < PREVIEW_CHARACTERS) {
		size_t length = utf8_char_length(span_skip(text, at));
		if (length == 0)
			break;
		unsigned char c = (unsigned char)text.ptr[at];
		struct span character = span_slice(text, at, length);
		bool is_space = c <= ' ' || c == 0x7f || span_equal(character, SPAN("\302\240")) || span_equal(character, SPAN("\342\200\213")) ||
		                span_equal(character, SPAN("\342\200\214")) || span_equal(character, SPAN("\357\273\277"));
		if (!is_space)
			buf_add(out, character);
		else if (!is_spaced)
			buf_add_char(out, ' ');
		count += !is_space || !is_spaced;
		is_spaced = is_space;
		at += length;
	}
	while (out->len && out->ptr[out->len - 1] == ' ')
		out->len--;
}

void preview_make(const struct mime_part *part, struct span bytes, struct buf *out)
{
	BUF_AUTO decoded = {0}, text = {0}, plain = {0};
	struct transfer_decoder decoder = {.encoding = part->encoding.len ? transfer_encoding_named(part->encoding) : TRANSFER_7BIT};
	struct charset_converter *charset = charset_new(mime_parameter_value(&part->params, SPAN("charset")));
	transfer_decode(&decoder, span_slice(bytes, 0, PREVIEW_SOURCE_BYTES), &decoded);
	transfer_decode_end(&decoder, &decoded);
	charset_convert(charset, buf_span(&decoded), true, &text);
	charset_free(charset);
	if (span_equal(part->subtype, SPAN("html"))) {
		struct html_text html = {0};
		html_text_feed(&html, buf_span(&text), &plain);
		html_text_end(&html, &plain);
		squeeze(buf_span(&plain), out);
	} else {
		squeeze(buf_span(&text), out);
	}
}
