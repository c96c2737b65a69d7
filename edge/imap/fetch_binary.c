/* BINARY, BINARY.PEEK and BINARY.SIZE: parts without their Content-Transfer-Encoding (RFC 9051 §6.4.5 and §7.5.2, RFC 3516).
 *
 * A literal's length stands in front of it, and what is decoded has a length that only the decoding tells: so a part is read twice,
 * first to measure it, then to write it. */
#include "edge/imap/fetch.h"

#include "wire/transfer.h"

static bool is_known_encoding(const struct mime_part *part)
{
	return part->encoding.len == 0 || transfer_encoding_named(part->encoding) != TRANSFER_UNKNOWN;
}

/* A part that has parts of its own is not encoded itself: RFC 2045 §6.4. */
static enum transfer_encoding encoding_of(const struct mime_part *part)
{
	return part->is_multipart || part->is_message || part->encoding.len == 0 ? TRANSFER_BINARY : transfer_encoding_named(part->encoding);
}

static void begin(struct imap_fetching *f, const struct mime_part *part, enum imap_pull what)
{
	f->binary = (struct imap_binary){.decoder = {.encoding = encoding_of(part)}, .size = f->binary.size, .has_nul = f->binary.has_nul,
	                                 .is_measured = what == PULL_DECODED};
	imap_fetch_begin_pull(f, what, part->body_offset, part->body_len);
}

void imap_fetch_measure(struct imap_fetching *f, struct span bytes, bool is_end)
{
	BUF_AUTO decoded = {0};
	transfer_decode(&f->binary.decoder, bytes, &decoded);
	if (is_end)
		transfer_decode_end(&f->binary.decoder, &decoded);
	f->binary.size += decoded.len;
	f->binary.has_nul |= span_chr(buf_span(&decoded), 0) >= 0;
	f->binary.is_measured = is_end;
	f->work += bytes.len;
}

void imap_fetch_decoded(struct imap_session *s, struct imap_fetching *f, struct span bytes, bool is_end)
{
	struct imap_binary *b = &f->binary;
	BUF_AUTO decoded = {0};
	transfer_decode(&b->decoder, bytes, &decoded);
	if (is_end)
		transfer_decode_end(&b->decoder, &decoded);
	struct span piece = buf_span(&decoded);
	size_t skipped = b->skip < piece.len ? (size_t)b->skip : piece.len;
	piece = span_slice(span_skip(piece, skipped), 0, b->left);
	b->skip -= skipped;
	b->left -= piece.len;
	f->work += bytes.len;
	connection_write(s->connection, piece);
}

static void say_label(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	if (f->next_item++)
		buf_add_char(&s->out, ' ');
	buf_add(&s->out, item->label);
}

/* There is nothing to be said of it. */
static enum imap_step say_nothing(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	say_label(s, f, item);
	buf_add_cstr(&s->out, item->kind == IMAP_FETCH_BINARY_SIZE ? " 0" : " NIL");
	return STEP_ON;
}

static void say_part(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item, const struct mime_part *part)
{
	uint64_t size = f->binary.size, from = item->is_partial ? item->origin < size ? item->origin : size : 0;
	uint64_t length = item->is_partial && item->length < size - from ? item->length : size - from;
	/* literal8, for clients that know it, where a literal cannot have it (RFC 9051 §4.3.1) */
	imap_begin_literal(s, length, f->binary.has_nul ? "~" : "");
	imap_flush(s);
	if (length == 0)
		return;
	begin(f, part, PULL_DECODED);
	f->binary.skip = from;
	f->binary.left = length;
}

enum imap_step imap_fetch_binary(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	if (imap_fetch_tree(s, f) == STEP_WAIT)
		return STEP_WAIT;
	/* no number: the whole message, which is not encoded */
	struct mime_part whole = {.body_len = f->size_bytes};
	uint32_t at = item->number_count ? mime_find_section(&f->tree, item->numbers, item->number_count) : 0;
	if (at == MIME_NO_PART)
		return say_nothing(s, f, item);
	const struct mime_part *part = item->number_count ? &f->tree.parts[at] : &whole;
	if (!is_known_encoding(part)) {
		f->has_unknown_encoding = true;
		return say_nothing(s, f, item);
	}
	if (!f->binary.is_measured && part->body_len) {
		f->binary = (struct imap_binary){0};
		begin(f, part, PULL_MEASURE);
		return STEP_ON;
	}
	say_label(s, f, item);
	if (item->kind == IMAP_FETCH_BINARY_SIZE)
		buf_printf(&s->out, " %llu", (unsigned long long)f->binary.size);
	else
		say_part(s, f, item, part);
	if (f->pull == PULL_NOTHING)
		f->binary = (struct imap_binary){0};
	return STEP_ON;
}
