/* Bytes of messages for FETCH: sections, partial ones too, as literals that are written while they come. */
#include "edge/imap/fetch.h"

#include "base/log.h"
#include "wire/header.h"
#include "wire/imap_structure.h"
#include "wire/message_cache.h"

enum {
	PIECE_BYTES = 64 * 1024,
	HEADER_BYTES_MOST = 1024 * 1024, /* of a header that is taken apart; longer ones are seen in few attacks and no mail */
};

/* What an item stands for: bytes at hand, or a range of the message. */
struct section {
	bool is_nil, is_at_hand;
	struct span bytes;
	uint64_t offset, length;
};

void imap_fetch_end_row(struct imap_fetching *f)
{
	mime_parser_free(f->parser);
	arena_free(&f->arena);
	f->parser = NULL;
	f->has_tree = f->has_header = f->has_row = f->has_gathered = false;
	if (f->gathered.cap > PIECE_BYTES * 2)
		buf_free(&f->gathered);
}

/* No literal has a NUL (RFC 3501 §9, CHAR8), but a message that came by BINARYMIME may: 0x80 is shown for it, as Dovecot does. */
static struct span without_nul(struct span bytes, struct buf *copy)
{
	if (span_chr(bytes, 0) < 0)
		return bytes;
	buf_add(copy, bytes);
	for (size_t i = 0; i < copy->len; i++)
		if (!copy->ptr[i])
			copy->ptr[i] = (char)0x80;
	return buf_span(copy);
}

/* ---- pulling bytes ---- */

void imap_fetch_begin_pull(struct imap_fetching *f, enum imap_pull what, uint64_t offset, uint64_t length)
{
	f->pull = length ? what : PULL_NOTHING;
	f->offset = offset;
	f->end = offset + length;
}

void imap_fetch_pull(struct imap_session *s, struct imap_fetching *f)
{
	uint64_t left = f->end - f->offset;
	f->is_asked = true;
	channel_send(s->connection->edge->store, body_ask, .session = s->connection->session, .request = s->request, .uid = f->row.uid,
	             .offset = f->offset, .length = (uint32_t)(left < PIECE_BYTES ? left : PIECE_BYTES));
}

/* Offset behind the blank line that ends a header; the length of the bytes if there is none. */
static size_t header_length(struct span bytes)
{
	struct header_reader r = {.header = bytes};
	struct header_field field;
	while (header_next(&r, &field))
		;
	struct span rest = span_skip(bytes, r.at);
	size_t end = span_starts_with(rest, SPAN("\r\n")) ? 2 : span_starts_with(rest, SPAN("\n")) ? 1 : 0;
	return r.at + end;
}

/* The blank line may be cut between two pieces. */
static bool has_blank_line(struct span bytes, size_t from)
{
	struct span tail = span_skip(bytes, from > 3 ? from - 3 : 0);
	return span_find(tail, SPAN("\n\r\n")) >= 0 || span_find(tail, SPAN("\n\n")) >= 0;
}

static void end_tree(struct imap_fetching *f)
{
	f->tree = *mime_parser_finish(f->parser);
	f->has_tree = true;
	f->pull = PULL_NOTHING;
}

static void lose_literal(struct imap_session *s, struct imap_fetching *f)
{
	log_event(LOG_LEVEL_WARNING, "imap-literal-lost", log_s("user", buf_span(&s->connection->user)), log_n("uid", f->row.uid),
	          log_n("offset", (int64_t)f->offset));
	connection_close(s->connection);
}

void imap_fetch_piece(struct imap_session *s, const struct msg_body_piece *m)
{
	struct imap_fetching *f = s->fetching;
	struct span bytes = m->is_there ? span_slice(m->bytes, 0, f->end - f->offset) : SPAN("");
	BUF_AUTO copy = {0};
	size_t before = f->gathered.len;
	bool is_end = bytes.len == 0 || bytes.len == f->end - f->offset;
	if (!f->is_asked)
		return;
	f->is_asked = false;
	f->offset += bytes.len;
	switch (f->pull) {
	case PULL_NOTHING: return;
	case PULL_LITERAL:
		if (bytes.len == 0) {
			lose_literal(s, f); /* its length has been promised */
			return;
		}
		connection_write(s->connection, without_nul(bytes, &copy));
		break;
	case PULL_MEASURE: imap_fetch_measure(f, bytes, is_end); break;
	case PULL_DECODED:
		if (bytes.len == 0) {
			lose_literal(s, f);
			return;
		}
		imap_fetch_decoded(s, f, bytes, is_end);
		if (is_end)
			f->binary = (struct imap_binary){0};
		break;
	case PULL_TREE:
		mime_parser_feed(f->parser, bytes);
		if (is_end)
			end_tree(f);
		break;
	case PULL_BEGINNING: buf_add(&f->gathered, bytes); break;
	case PULL_RANGE:
		buf_add(&f->gathered, bytes);
		is_end |= has_blank_line(buf_span(&f->gathered), before);
		break;
	}
	if (is_end)
		f->pull = PULL_NOTHING;
	imap_fetch_go_on(s);
}

enum imap_step imap_fetch_tree(struct imap_session *s, struct imap_fetching *f)
{
	(void)s;
	if (f->has_tree)
		return STEP_ON;
	f->work += f->cache.len + f->bytes.len;
	f->has_tree = f->cache.len && message_cache_unpack(f->cache, &f->arena, &f->tree, NULL) == 0 && !f->tree.is_partial;
	if (f->has_tree)
		return STEP_ON;
	f->parser = mime_parser_new(NULL);
	if (f->has_bytes && (f->want & FETCH_BODY)) {
		mime_parser_feed(f->parser, f->bytes);
		end_tree(f);
		return STEP_ON;
	}
	imap_fetch_begin_pull(f, PULL_TREE, 0, f->size_bytes);
	if (f->pull == PULL_NOTHING)
		end_tree(f);
	else
		imap_fetch_pull(s, f);
	return f->pull == PULL_NOTHING ? STEP_ON : STEP_WAIT;
}

bool imap_fetch_gather(struct imap_session *s, struct imap_fetching *f, enum imap_pull what, uint64_t offset, uint64_t length, struct span *out)
{
	if (f->has_bytes && (f->want & FETCH_BODY)) {
		*out = span_slice(f->bytes, offset, length);
		return true;
	}
	if (f->has_gathered && f->gathered_offset == offset) {
		*out = span_slice(buf_span(&f->gathered), 0, length);
		return true;
	}
	buf_clear(&f->gathered);
	f->has_gathered = true;
	f->has_header = false; /* it may have pointed there */
	f->gathered_offset = offset;
	imap_fetch_begin_pull(f, what, offset, length < HEADER_BYTES_MOST ? length : HEADER_BYTES_MOST);
	*out = SPAN("");
	if (f->pull == PULL_NOTHING)
		return true;
	imap_fetch_pull(s, f);
	return false;
}

static bool root_header(struct imap_session *s, struct imap_fetching *f)
{
	if (f->has_header)
		return true;
	struct span bytes = f->bytes;
	if (!f->has_bytes && !imap_fetch_gather(s, f, PULL_RANGE, 0, f->size_bytes, &bytes))
		return false;
	f->header = span_slice(bytes, 0, header_length(bytes));
	f->has_header = true;
	return true;
}

/* ---- which bytes ---- */

static void filter_fields(struct imap_fetching *f, const struct imap_fetch_item *item, struct span header, struct section *out)
{
	BUF_AUTO fields = {0};
	f->work += header.len;
	header_filter_fields(header, item->fields, item->field_count, item->section == IMAP_SECTION_FIELDS_NOT, &fields);
	out->bytes = arena_dup(&f->arena, buf_span(&fields));
	out->is_at_hand = true;
}

static void set_range(struct section *out, uint64_t offset, uint64_t length)
{
	out->offset = offset;
	out->length = length;
}

/* Sections of the message itself. */
static enum imap_step find_in_message(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item,
                                      struct section *out)
{
	switch (item->section) {
	case IMAP_SECTION_ALL: set_range(out, 0, f->size_bytes); break;
	case IMAP_SECTION_TEXT:
		if (imap_fetch_tree(s, f) == STEP_WAIT)
			return STEP_WAIT;
		set_range(out, f->tree.parts[0].body_offset, f->tree.parts[0].body_len);
		break;
	case IMAP_SECTION_HEADER: case IMAP_SECTION_FIELDS: case IMAP_SECTION_FIELDS_NOT: case IMAP_SECTION_MIME:
		if (!root_header(s, f))
			return STEP_WAIT;
		if (item->section == IMAP_SECTION_HEADER)
			*out = (struct section){.is_at_hand = true, .bytes = f->header};
		else
			filter_fields(f, item, f->header, out);
		break;
	}
	return STEP_ON;
}

/* Sections with part numbers: RFC 3501 §6.4.5. */
static enum imap_step find_in_part(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item,
                                   struct section *out)
{
	struct span header;
	if (imap_fetch_tree(s, f) == STEP_WAIT)
		return STEP_WAIT;
	f->work += f->tree.part_count * sizeof *f->tree.parts;
	uint32_t at = mime_find_section(&f->tree, item->numbers, item->number_count);
	/* HEADER and TEXT are those of the message that the part holds */
	if (at != MIME_NO_PART && item->section != IMAP_SECTION_ALL && item->section != IMAP_SECTION_MIME)
		at = f->tree.parts[at].is_message ? mime_first_child(&f->tree, at) : MIME_NO_PART;
	out->is_nil = at == MIME_NO_PART;
	if (out->is_nil)
		return STEP_ON;
	const struct mime_part *part = &f->tree.parts[at];
	switch (item->section) {
	case IMAP_SECTION_ALL: case IMAP_SECTION_TEXT: set_range(out, part->body_offset, part->body_len); break;
	case IMAP_SECTION_MIME: case IMAP_SECTION_HEADER: set_range(out, part->header_offset, part->header_len); break;
	case IMAP_SECTION_FIELDS: case IMAP_SECTION_FIELDS_NOT:
		if (!imap_fetch_gather(s, f, PULL_RANGE, part->header_offset, part->header_len, &header))
			return STEP_WAIT;
		filter_fields(f, item, header, out);
		break;
	}
	return STEP_ON;
}

static void cut(const struct imap_fetch_item *item, struct section *x)
{
	uint64_t most = x->is_at_hand ? x->bytes.len : x->length;
	uint64_t from = item->is_partial ? item->origin < most ? item->origin : most : 0;
	uint64_t length = item->is_partial && item->length < most - from ? item->length : most - from;
	x->bytes = span_slice(x->bytes, from, length);
	x->offset += from;
	x->length = length;
}

void imap_begin_literal(struct imap_session *s, uint64_t length, const char *mark)
{
	/* RFC 3501 §4.3 allows a literal of no bytes too, but iOS Mail waits behind it for bytes that do not come */
	if (length)
		buf_printf(&s->out, " %s{%llu}\r\n", mark, (unsigned long long)length);
	else
		buf_add_cstr(&s->out, " \"\"");
}

enum imap_step imap_fetch_section(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	struct section x = {0};
	enum imap_step result = item->number_count ? find_in_part(s, f, item, &x) : find_in_message(s, f, item, &x);
	if (result == STEP_WAIT)
		return STEP_WAIT;
	if (f->next_item++)
		buf_add_char(&s->out, ' ');
	buf_add(&s->out, item->label);
	if (x.is_nil) {
		buf_add_cstr(&s->out, " NIL");
		return STEP_ON;
	}
	cut(item, &x);
	if (!x.is_at_hand && f->has_bytes && (f->want & FETCH_BODY)) {
		x.bytes = span_slice(f->bytes, x.offset, x.length);
		x.is_at_hand = true;
		x.length = x.bytes.len;
	}
	imap_begin_literal(s, x.length, "");
	if (x.length == 0)
		return STEP_ON;
	if (x.is_at_hand) {
		BUF_AUTO copy = {0};
		buf_add(&s->out, without_nul(x.bytes, &copy));
		return STEP_ON;
	}
	imap_flush(s);
	imap_fetch_begin_pull(f, PULL_LITERAL, x.offset, x.length);
	return STEP_ON;
}
