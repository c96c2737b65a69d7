/* 8-bit to 7-bit: see downgrade.h. */
#include "wire/downgrade.h"

#include <stdlib.h>

#include "base/die.h"
#include "wire/mime_cursor.h"
#include "wire/transfer.h"

/* As much of a line as tells which field it starts: the longest name that matters, and a colon. */
#define NAME_HEAD_MAX 32
#define STEP_BYTES 16384

enum change { KEEP, TO_7BIT, TO_QUOTED_PRINTABLE, TO_BASE64 };

struct downgrade {
	struct mime_cursor cursor;
	uint8_t *changes; /* enum change, for each part */
	/* The header at hand. */
	char head[NAME_HEAD_MAX];
	size_t head_len;
	bool head_is_out; /* the rest of the line follows what has been decided */
	bool dropping;    /* this field */
	bool saw_version, saw_type, blank_seen;
	/* The body at hand. */
	struct transfer_decoder decoder;
	struct transfer_encoder encoder;
	struct buf decoded;
};

static bool is_container(const struct mime_part *part)
{
	return part->is_multipart || part->is_message;
}

/* Binary data may have line ends that are none (RFC 2045 §2.9), whatever bytes are in it. */
static bool is_unsendable(const struct mime_part *part)
{
	bool is_binary = !is_container(part) && transfer_encoding_named(part->encoding) == TRANSFER_BINARY;

	return is_binary || part->body_has_8bit || part->body_has_nul || part->longest_line > DOWNGRADE_LINE_MAX;
}

static enum change own_change(const struct mime_part *part)
{
	enum transfer_encoding encoding = transfer_encoding_named(part->encoding);

	if (is_container(part))
		return encoding == TRANSFER_7BIT ? KEEP : TO_7BIT;
	if (is_unsendable(part))
		return span_equal(part->type, SPAN("text")) || span_equal(part->type, SPAN("multipart")) ||
		               span_equal(part->type, SPAN("message"))
		           ? TO_QUOTED_PRINTABLE
		           : TO_BASE64;
	return encoding == TRANSFER_8BIT ? TO_7BIT : KEEP;
}

bool downgrade_is_needed(const struct mime_tree *tree)
{
	for (uint32_t i = 0; i < tree->part_count; i++)
		if (is_unsendable(&tree->parts[i]))
			return true;
	return false;
}

struct downgrade *downgrade_new(const struct mime_tree *tree)
{
	struct downgrade *d = xcalloc(1, sizeof(*d));

	d->cursor.tree = tree;
	d->changes = xcalloc(tree->part_count > 0 ? tree->part_count : 1, sizeof(*d->changes));
	for (uint32_t i = 0; i < tree->part_count; i++)
		d->changes[i] = (uint8_t)own_change(&tree->parts[i]);
	return d;
}

void downgrade_free(struct downgrade *d)
{
	if (!d)
		return;
	free(d->changes);
	buf_free(&d->decoded);
	free(d);
}

static bool head_names(const struct downgrade *d, struct span name)
{
	struct span head = span_of(d->head, d->head_len);
	ssize_t colon = span_chr(head, ':');

	return colon >= 0 && span_equal_nocase(span_trim(span_slice(head, 0, (size_t)colon)), name);
}

/* The fields that say what became of the part: before the blank line. */
static void add_fields(struct downgrade *d, uint32_t index, struct buf *out)
{
	const struct mime_part *part = &d->cursor.tree->parts[index];
	enum change change = (enum change)d->changes[index];
	bool is_message_header = part->envelope != NULL;

	if (change == KEEP)
		return;
	if (is_message_header && !d->saw_version)
		buf_add_cstr(out, "MIME-Version: 1.0\r\n");
	/* RFC 1428 §3: 8-bit text of which nobody said what it is. */
	if (!d->saw_type && change == TO_QUOTED_PRINTABLE && span_equal(part->type, SPAN("text")))
		buf_add_cstr(out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	buf_add_cstr(out, "Content-Transfer-Encoding: ");
	buf_add_cstr(out, change == TO_7BIT               ? "7bit\r\n"
	                  : change == TO_QUOTED_PRINTABLE ? "quoted-printable\r\n"
	                                                  : "base64\r\n");
}

/* Enough of a line is there to know what it is. */
static void decide_line(struct downgrade *d, uint32_t index, struct buf *out)
{
	bool folded = d->head[0] == ' ' || d->head[0] == '\t';
	bool blank = d->head[0] == '\n' || (d->head[0] == '\r' && d->head_len > 1 && d->head[1] == '\n');

	if (!folded)
		d->dropping = d->changes[index] != KEEP && head_names(d, SPAN("Content-Transfer-Encoding"));
	d->saw_version |= !folded && head_names(d, SPAN("MIME-Version"));
	d->saw_type |= !folded && head_names(d, SPAN("Content-Type"));
	if (blank && !d->blank_seen) {
		d->blank_seen = true;
		add_fields(d, index, out);
	}
	if (!d->dropping)
		buf_add(out, span_of(d->head, d->head_len));
	d->head_is_out = true;
}

static void take_header(struct downgrade *d, const struct mime_range *range, struct buf *out)
{
	if (range->is_start) {
		d->head_len = 0;
		d->head_is_out = d->dropping = d->saw_version = d->saw_type = d->blank_seen = false;
	}
	for (size_t i = 0; i < range->bytes.len; i++) {
		char c = range->bytes.ptr[i];

		if (!d->head_is_out) {
			d->head[d->head_len++] = c;
			if (c == '\n' || c == ':' || d->head_len == NAME_HEAD_MAX)
				decide_line(d, range->part, out);
		} else if (!d->dropping) {
			buf_add_char(out, c);
		}
		if (c == '\n') {
			d->head_len = 0;
			d->head_is_out = false;
		}
	}
	if (range->is_end && d->head_len > 0 && !d->head_is_out)
		decide_line(d, range->part, out);
}

static void encode(struct downgrade *d, struct span piece, struct buf *out)
{
	for (; piece.len > 0; piece = span_skip(piece, STEP_BYTES)) {
		buf_clear(&d->decoded);
		transfer_decode(&d->decoder, span_slice(piece, 0, STEP_BYTES), &d->decoded);
		transfer_encode(&d->encoder, buf_span(&d->decoded), out);
	}
}

/* A body that breaks the encoding its header names is decoded by it, as its reader would have done. */
static void take_body(struct downgrade *d, const struct mime_range *range, struct buf *out)
{
	const struct mime_part *part = &d->cursor.tree->parts[range->part];
	enum change change = (enum change)d->changes[range->part];

	if (change == KEEP || change == TO_7BIT) {
		buf_add(out, range->bytes);
		return;
	}
	if (range->is_start) {
		d->decoder = (struct transfer_decoder){.encoding = transfer_encoding_named(part->encoding)};
		d->encoder = (struct transfer_encoder){.encoding = change == TO_BASE64 ? TRANSFER_BASE64
		                                                                       : TRANSFER_QUOTED_PRINTABLE};
	}
	encode(d, range->bytes, out);
	if (range->is_end) {
		buf_clear(&d->decoded);
		transfer_decode_end(&d->decoder, &d->decoded);
		transfer_encode(&d->encoder, buf_span(&d->decoded), out);
		transfer_encode_end(&d->encoder, out);
	}
}

static void take_between(struct span bytes, struct buf *out)
{
	char *to = buf_reserve(out, bytes.len);

	for (size_t i = 0; i < bytes.len; i++)
		to[i] = (unsigned char)bytes.ptr[i] >= 0x80 || bytes.ptr[i] == '\0' ? '?' : bytes.ptr[i];
	out->len += bytes.len;
}

void downgrade_feed(struct downgrade *d, struct span piece, struct buf *out)
{
	struct mime_range range;

	while (mime_cursor_next(&d->cursor, &piece, &range)) {
		switch (range.kind) {
		case MIME_RANGE_BETWEEN: take_between(range.bytes, out); break;
		case MIME_RANGE_HEADER: take_header(d, &range, out); break;
		case MIME_RANGE_BODY: take_body(d, &range, out); break;
		}
	}
}
