/* The searchable text of a message: see message_text.h.
 *
 * The parser runs ahead by the line at hand, which is held until it is known to be no boundary (mime_parser_so_far); what is
 * settled goes through a cursor over the tree as far as it has grown. */
#include "wire/message_text.h"

#include <stdlib.h>

#include "base/die.h"
#include "wire/casefold.h"
#include "wire/charset.h"
#include "wire/encoded_word.h"
#include "wire/header.h"
#include "wire/html_text.h"
#include "wire/mime_cursor.h"
#include "wire/transfer.h"

/* Input is decoded in steps of this size, so that no buffer grows with the piece. */
#define STEP_BYTES 16384

struct message_text {
	struct mime_parser *parser;
	struct mime_cursor cursor;
	struct buf held; /* fed to the parser, and not settled yet */
	struct message_text_sink sink;
	enum mime_range_kind kind; /* of the range at hand; BETWEEN also where nothing of the part is wanted */
	uint32_t part;
	/* a header */
	struct buf header;     /* of it, what has not been given */
	size_t header_len;     /* so far */
	bool field_goes_on;    /* a long field is given in pieces */
	struct buf field_name; /* of that; empty if it has none, and is none */
	/* a text body */
	struct transfer_decoder decoder;
	struct charset_converter *charset; /* NULL while no text body is being read */
	bool is_first; /* piece of a body or a long field */
	bool is_html;
	struct html_text html;
	struct buf decoded, text, shown, folded;
};

struct message_text *message_text_new(struct mime_parser *parser, struct message_text_sink sink)
{
	struct message_text *t = xcalloc(1, sizeof(*t));

	t->parser = parser;
	t->sink = sink;
	return t;
}

void message_text_free(struct message_text *t)
{
	if (!t)
		return;
	charset_free(t->charset);
	buf_free(&t->held);
	buf_free(&t->header);
	buf_free(&t->field_name);
	buf_free(&t->decoded);
	buf_free(&t->text);
	buf_free(&t->shown);
	buf_free(&t->folded);
	free(t);
}

/* ---- headers ---- */

/* Gives a value, or a piece of one, that stands unfolded in t->decoded. */
static void give_value(struct message_text *t, struct span name, bool is_first)
{
	buf_clear(&t->text);
	buf_clear(&t->folded);
	encoded_words_decode(buf_span(&t->decoded), &t->text);
	casefold_search(buf_span(&t->text), &t->folded);
	t->sink.take(t->sink.context, &(struct message_text_chunk){.part = t->part,
	                                                           .is_header = true,
	                                                           .name = name,
	                                                           .text = buf_span(&t->folded),
	                                                           .is_first = is_first});
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* How much of a field can go without the bytes behind it: not an LF at its end, since what follows that shows whether the field
 * goes on. */
static size_t without_last_lf(struct span bytes)
{
	return bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\n' ? bytes.len - 1 : bytes.len;
}

/* Where a long value is cut: before white space behind a word that is no encoded one, since those belong together (RFC 2047
 * §6.2); anywhere if its second half has no such place. */
static size_t place_to_cut(struct span value)
{
	for (size_t at = value.len - 1; at > value.len / 2; at--)
		if (is_white(value.ptr[at]) && !is_white(value.ptr[at - 1]) && !span_ends_with(span_slice(value, 0, at), SPAN("?=")))
			return at;
	return without_last_lf(value);
}

/* Like header_unfold, but only the last piece loses the white space at its end. */
static void unfold_piece(struct span piece, bool is_last, struct buf *out)
{
	while (is_last && piece.len > 0 && is_white(piece.ptr[piece.len - 1]))
		piece.len--;
	for (size_t i = 0; i < piece.len; i++)
		if (piece.ptr[i] != '\r' && piece.ptr[i] != '\n' && piece.ptr[i] != '\0')
			buf_add_char(out, piece.ptr[i]);
}

/* Gives pieces of the value that goes on, all of it if it ends here. How many bytes have been taken. */
static size_t give_pieces(struct message_text *t, struct span value, bool is_last)
{
	size_t taken = 0;

	if (t->field_name.len == 0)
		return is_last ? value.len : without_last_lf(value);
	while (is_last ? taken < value.len : value.len - taken >= MESSAGE_TEXT_FIELD_MAX) {
		struct span rest = span_slice(span_skip(value, taken), 0, MESSAGE_TEXT_FIELD_MAX);
		bool is_end = is_last && taken + rest.len == value.len;
		size_t n = is_end ? rest.len : place_to_cut(rest);

		buf_clear(&t->decoded);
		unfold_piece(span_slice(rest, 0, n), is_end, &t->decoded);
		give_value(t, buf_span(&t->field_name), t->is_first);
		t->is_first = false;
		taken += n;
	}
	return taken;
}

/* A field that does not fit begins. How many of its bytes have been taken. */
static size_t begin_long_field(struct message_text *t, const struct header_field *field)
{
	struct span value = field->value;

	t->field_goes_on = t->is_first = true;
	buf_clear(&t->field_name);
	if (field->name.len >= MESSAGE_TEXT_FIELD_MAX / 2 || field->name.len == 0)
		return give_pieces(t, field->whole, false);
	buf_add(&t->field_name, field->name);
	value.len = (size_t)(field->whole.ptr + field->whole.len - value.ptr);
	while (value.len > 1 && is_white(value.ptr[0]))
		value = span_skip(value, 1);
	return (size_t)(value.ptr - field->whole.ptr) + give_pieces(t, value, false);
}

/* Length of what still belongs to the field that goes on: up to a line that does not begin with white space. */
static size_t rest_of_field(struct span bytes)
{
	for (size_t at = 0;;) {
		ssize_t lf = span_chr(span_skip(bytes, at), '\n');

		at += (size_t)lf + 1;
		if (lf < 0 || at == bytes.len)
			return bytes.len;
		if (bytes.ptr[at] != ' ' && bytes.ptr[at] != '\t')
			return at;
	}
}

/* Gives the fields that are whole, and, of one that is too long to wait for its end, what there is. */
static void give_fields(struct message_text *t, bool is_end)
{
	struct header_reader r = {.header = buf_span(&t->header)};
	struct header_field field;

	if (t->field_goes_on) {
		size_t len = rest_of_field(r.header);

		t->field_goes_on = !is_end && len == r.header.len;
		r.at = give_pieces(t, span_slice(r.header, 0, len), !t->field_goes_on);
	}
	while (!t->field_goes_on && header_next(&r, &field)) {
		if (r.at == r.header.len && !is_end) {
			/* it may go on */
			r.at = field.offset;
			if (field.whole.len < MESSAGE_TEXT_FIELD_MAX)
				break;
			r.at += begin_long_field(t, &field);
		} else if (field.name.len > 0) {
			buf_clear(&t->decoded);
			header_unfold(field.value, &t->decoded);
			give_value(t, field.name, true);
		}
	}
	buf_drop_front(&t->header, r.at);
}

static void take_header(struct message_text *t, struct span bytes)
{
	bytes = span_slice(bytes, 0, MESSAGE_TEXT_HEADER_MAX - t->header_len);
	t->header_len += bytes.len;
	buf_add(&t->header, bytes);
	/* twice as much as may stay, so that no byte is looked at often */
	if (t->header.len >= 2 * MESSAGE_TEXT_FIELD_MAX)
		give_fields(t, false);
}

/* ---- bodies ---- */

static void start_body(struct message_text *t, const struct mime_part *part)
{
	if (!span_equal(part->type, SPAN("text")))
		return;
	t->charset = charset_new(mime_parameter_value(&part->params, SPAN("charset")));
	t->decoder = (struct transfer_decoder){.encoding = transfer_encoding_named(part->encoding)};
	t->is_first = true;
	t->is_html = span_equal(part->subtype, SPAN("html"));
	t->html = (struct html_text){.is_spaced = true};
}

/* What a person sees of the text that has been converted: of HTML, no tags. */
static struct span shown_text(struct message_text *t, bool is_last)
{
	if (!t->is_html)
		return buf_span(&t->text);
	buf_clear(&t->shown);
	html_text_feed(&t->html, buf_span(&t->text), &t->shown);
	if (is_last)
		html_text_end(&t->html, &t->shown);
	return buf_span(&t->shown);
}

/* Converts and gives what has been decoded. */
static void give_decoded(struct message_text *t, bool is_last)
{
	buf_clear(&t->text);
	buf_clear(&t->folded);
	charset_convert(t->charset, buf_span(&t->decoded), is_last, &t->text);
	casefold_search(shown_text(t, is_last), &t->folded);
	buf_clear(&t->decoded);
	t->sink.take(t->sink.context, &(struct message_text_chunk){
					  .part = t->part, .text = buf_span(&t->folded), .is_first = t->is_first});
	t->is_first = false;
}

static void end_body(struct message_text *t)
{
	if (!t->charset)
		return;
	buf_clear(&t->decoded);
	transfer_decode_end(&t->decoder, &t->decoded);
	give_decoded(t, true);
	charset_free(t->charset);
	t->charset = NULL;
}

static void take_body(struct message_text *t, struct span rest)
{
	buf_clear(&t->decoded);
	for (; t->charset && rest.len > 0; rest = span_skip(rest, STEP_BYTES)) {
		transfer_decode(&t->decoder, span_slice(rest, 0, STEP_BYTES), &t->decoded);
		give_decoded(t, false);
	}
}

/* ---- the message ---- */

static void end_range(struct message_text *t)
{
	if (t->kind == MIME_RANGE_HEADER)
		give_fields(t, true);
	else if (t->kind == MIME_RANGE_BODY)
		end_body(t);
	buf_clear(&t->header);
	t->header_len = 0;
	t->field_goes_on = false;
	t->kind = MIME_RANGE_BETWEEN;
}

/* The end of a header or a body is known by what follows: in a tree that grows, the cursor does not know it. */
static void take_range(struct message_text *t, const struct mime_tree *tree, const struct mime_range *range)
{
	if (range->kind != t->kind || range->part != t->part) {
		end_range(t);
		t->kind = range->kind;
		t->part = range->part;
		if (range->kind == MIME_RANGE_BODY)
			start_body(t, &tree->parts[range->part]);
	}
	if (range->kind == MIME_RANGE_HEADER)
		take_header(t, range->bytes);
	else if (range->kind == MIME_RANGE_BODY)
		take_body(t, range->bytes);
}

static void take_settled(struct message_text *t, struct span *piece)
{
	uint64_t settled;
	struct mime_range range;

	t->cursor.tree = mime_parser_so_far(t->parser, &settled);
	struct span now = span_slice(*piece, 0, settled > t->cursor.offset ? settled - t->cursor.offset : 0);
	*piece = span_skip(*piece, now.len);
	while (mime_cursor_next(&t->cursor, &now, &range))
		take_range(t, t->cursor.tree, &range);
}

void message_text_feed(struct message_text *t, struct span piece)
{
	BUF_AUTO before = t->held;

	mime_parser_feed(t->parser, piece);
	t->held = (struct buf){0};
	struct span held = buf_span(&before);
	take_settled(t, &held);
	if (held.len == 0)
		take_settled(t, &piece);
	buf_add(&t->held, held);
	buf_add(&t->held, piece);
}

void message_text_finish(struct message_text *t)
{
	struct span held = buf_span(&t->held);

	mime_parser_finish(t->parser);
	take_settled(t, &held);
	end_range(t);
}
