/* The searchable text of a message: see message_text.h. */
#include "wire/message_text.h"

#include <stdlib.h>

#include "base/die.h"
#include "wire/casefold.h"
#include "wire/charset.h"
#include "wire/encoded_word.h"
#include "wire/header.h"
#include "wire/mime_cursor.h"
#include "wire/transfer.h"

/* Input is decoded in steps of this size, so that no buffer grows with the piece. */
#define STEP_BYTES 16384

struct message_text {
	struct mime_cursor cursor;
	struct message_text_sink sink;
	struct buf header;
	struct transfer_decoder decoder;
	struct charset_converter *charset; /* NULL while no text body is being read */
	struct buf decoded, text, folded;
	uint32_t part;
	bool is_first;
};

struct message_text *message_text_new(const struct mime_tree *tree, struct message_text_sink sink)
{
	struct message_text *t = xcalloc(1, sizeof(*t));

	t->cursor.tree = tree;
	t->sink = sink;
	return t;
}

void message_text_free(struct message_text *t)
{
	if (!t)
		return;
	charset_free(t->charset);
	buf_free(&t->header);
	buf_free(&t->decoded);
	buf_free(&t->text);
	buf_free(&t->folded);
	free(t);
}

static void give_header(struct message_text *t, uint32_t part)
{
	struct header_reader r = {.header = buf_span(&t->header)};
	struct header_field field;

	while (header_next(&r, &field)) {
		if (field.name.len == 0)
			continue;
		buf_clear(&t->decoded);
		buf_clear(&t->text);
		buf_clear(&t->folded);
		header_unfold(field.value, &t->decoded);
		encoded_words_decode(buf_span(&t->decoded), &t->text);
		casefold_utf8(buf_span(&t->text), &t->folded);
		t->sink.take(t->sink.context, &(struct message_text_chunk){.part = part,
		                                                           .is_header = true,
		                                                           .name = field.name,
		                                                           .text = buf_span(&t->folded),
		                                                           .is_first = true});
	}
	buf_clear(&t->header);
}

static void start_body(struct message_text *t, uint32_t index)
{
	const struct mime_part *part = &t->cursor.tree->parts[index];

	charset_free(t->charset);
	t->charset = NULL;
	if (!span_equal(part->type, SPAN("text")))
		return;
	t->charset = charset_new(mime_parameter_value(&part->params, SPAN("charset")));
	t->decoder = (struct transfer_decoder){.encoding = transfer_encoding_named(part->encoding)};
	t->part = index;
	t->is_first = true;
}

/* Converts and gives what has been decoded. */
static void give_decoded(struct message_text *t, bool is_last)
{
	buf_clear(&t->text);
	buf_clear(&t->folded);
	charset_convert(t->charset, buf_span(&t->decoded), is_last, &t->text);
	casefold_utf8(buf_span(&t->text), &t->folded);
	buf_clear(&t->decoded);
	t->sink.take(t->sink.context, &(struct message_text_chunk){
					  .part = t->part, .text = buf_span(&t->folded), .is_first = t->is_first});
	t->is_first = false;
}

static void end_body(struct message_text *t)
{
	if (!t->charset)
		return;
	transfer_decode_end(&t->decoder, &t->decoded);
	give_decoded(t, true);
	charset_free(t->charset);
	t->charset = NULL;
}

static void take_body(struct message_text *t, const struct mime_range *range)
{
	if (range->is_start)
		start_body(t, range->part);
	for (struct span rest = range->bytes; t->charset && rest.len > 0; rest = span_skip(rest, STEP_BYTES)) {
		transfer_decode(&t->decoder, span_slice(rest, 0, STEP_BYTES), &t->decoded);
		give_decoded(t, false);
	}
	if (range->is_end)
		end_body(t);
}

void message_text_feed(struct message_text *t, struct span piece)
{
	struct mime_range range;

	while (mime_cursor_next(&t->cursor, &piece, &range)) {
		switch (range.kind) {
		case MIME_RANGE_BETWEEN: break;
		case MIME_RANGE_HEADER:
			buf_add(&t->header, span_slice(range.bytes, 0, MESSAGE_TEXT_HEADER_MAX - t->header.len));
			if (range.is_end)
				give_header(t, range.part);
			break;
		case MIME_RANGE_BODY: take_body(t, &range); break;
		}
	}
}

void message_text_finish(struct message_text *t)
{
	/* Only a message shorter than its tree leaves something open. */
	end_body(t);
}
