/* Parts of messages that APPEND takes from messages which are there already: CATENATE, RFC 4469. */
#include "edge/imap/append.h"

#include "wire/header.h"
#include "wire/message_cache.h"

enum {
	PIECE_BYTES = 64 * 1024,
	HEADER_BYTES_MOST = 1024 * 1024, /* of a header that is taken apart, as of FETCH */
};

/* RFC 4469 §4.1 */
static void fail(struct imap_session *s)
{
	BUF_AUTO text = {0};
	buf_add_cstr(&text, "[BADURL \"");
	struct span url = span_slice(s->appending->url, 0, 500);
	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] > ' ' && url.ptr[i] < 0x7f && !strchr("\"\\]", url.ptr[i]))
			buf_add_char(&text, url.ptr[i]);
	buf_add_cstr(&text, "\"] There is no such message or part");
	imap_append_fail(s, buf_cstr(&text));
}

static void cut(struct imap_appending *w)
{
	uint64_t length = w->end - w->offset, from = w->part.is_partial && w->part.origin < length ? w->part.origin : w->part.is_partial ? length : 0;
	uint64_t most = w->part.length && w->part.length < length - from ? w->part.length : length - from;
	w->offset += from;
	w->end = w->offset + most;
}

static void set_range(struct imap_appending *w, uint64_t offset, uint64_t length)
{
	w->offset = offset;
	w->end = offset + length;
}

/* Where the bytes are; for HEADER.FIELDS the header that they are taken from. False if there is no such part. */
static bool find_range(struct imap_appending *w, const struct imap_fetch_item *item, const struct mime_tree *tree)
{
	uint32_t at = item->number_count ? mime_find_section(tree, item->numbers, item->number_count) : 0;
	bool is_inside = item->number_count && item->section != IMAP_SECTION_ALL && item->section != IMAP_SECTION_MIME;
	if (at != MIME_NO_PART && is_inside)
		at = tree->parts[at].is_message ? mime_first_child(tree, at) : MIME_NO_PART;
	if (at == MIME_NO_PART)
		return false;
	const struct mime_part *part = &tree->parts[at];
	switch (item->section) {
	case IMAP_SECTION_ALL: case IMAP_SECTION_TEXT: set_range(w, part->body_offset, part->body_len); return true;
	case IMAP_SECTION_HEADER: case IMAP_SECTION_MIME: set_range(w, part->header_offset, part->header_len); return true;
	case IMAP_SECTION_FIELDS: case IMAP_SECTION_FIELDS_NOT:
		set_range(w, part->header_offset, part->header_len < HEADER_BYTES_MOST ? part->header_len : HEADER_BYTES_MOST);
		w->fields = item;
		return true;
	}
	return false;
}

static bool find_part(struct imap_session *s, uint32_t size, struct span cache)
{
	struct imap_appending *w = s->appending;
	struct imap_parser p = {.arena = &s->arena};
	struct imap_fetch fetch;
	struct mime_tree tree;
	BUF_AUTO item = {0};
	if (w->part.section.len == 0) {
		set_range(w, 0, size);
		return true;
	}
	buf_printf(&item, "BODY.PEEK[%.*s]", (int)w->part.section.len, w->part.section.ptr);
	p.rest = arena_dup(&s->arena, buf_span(&item));
	return imap_take_fetch(&p, &fetch) && p.rest.len == 0 && message_cache_unpack(cache, &s->arena, &tree, NULL) == 0 && !tree.is_partial &&
	       find_range(w, &fetch.items[0], &tree);
}

static void ask_piece(struct imap_session *s);

/* What is wanted is known, and how much it is. */
static void begin(struct imap_session *s)
{
	struct imap_appending *w = s->appending;
	uint64_t most = child_config(s->connection->edge->self)->message_size_limit_bytes;
	cut(w);
	if (w->end - w->offset > most - delivery_size(s->delivery))
		imap_append_fail(s, "[TOOBIG] The message becomes too large");
	else
		imap_catenate_go_on(s);
}

/* Takes a piece of the header that has the fields; when it is whole they are what is written. */
static void gather(struct imap_session *s, struct span bytes)
{
	struct imap_appending *w = s->appending;
	buf_add(&w->fields_bytes, bytes);
	if (w->offset < w->end) {
		ask_piece(s);
		return;
	}
	struct buf header = w->fields_bytes;
	w->fields_bytes = (struct buf){0};
	header_filter_fields(buf_span(&header), w->fields->fields, w->fields->field_count, w->fields->section == IMAP_SECTION_FIELDS_NOT, &w->fields_bytes);
	buf_free(&header);
	w->fields = NULL;
	w->has_fields = true;
	set_range(w, 0, w->fields_bytes.len);
	begin(s);
}

static void on_row(struct imap_session *s, const struct msg_fetch_rows *m)
{
	struct imap_appending *w = s->appending;
	struct unpacker u = {.rest = m->rows};
	struct imap_row row;
	imap_row_unpack(&u, &row);
	unpack_u64(&u);
	uint32_t size = unpack_u32(&u);
	struct span cache = unpack_bytes(&u, u.rest.len);
	if (u.bad || !find_part(s, size, cache))
		fail(s);
	else if (w->fields)
		gather(s, SPAN(""));
	else
		begin(s);
}

static void on_piece(struct imap_session *s, const struct msg_body_piece *m)
{
	struct imap_appending *w = s->appending;
	struct span bytes = m->is_there ? span_slice(m->bytes, 0, w->end - w->offset) : SPAN("");
	if (bytes.len == 0) {
		fail(s);
		return;
	}
	w->offset += bytes.len;
	if (w->fields) {
		gather(s, bytes);
		return;
	}
	w->is_blocked = !delivery_write(s->delivery, bytes);
	if (!w->is_blocked)
		ask_piece(s);
}

static void on_none(struct imap_session *s, const struct msg_request_done *m)
{
	(void)m;
	fail(s);
}

static const struct imap_answers answers = {.rows = on_row, .piece = on_piece, .done = on_none};

static void ask(struct imap_session *s, uint32_t length)
{
	const struct imap_appending *w = s->appending;
	imap_ask(s, &answers, message_ask, .mailbox = w->part.mailbox, .uidvalidity = w->part.uidvalidity, .uid = w->part.uid, .offset = w->offset,
	         .length = length);
}

static void ask_piece(struct imap_session *s)
{
	const struct imap_appending *w = s->appending;
	uint64_t left = w->end - w->offset;
	if (left)
		ask(s, (uint32_t)(left < PIECE_BYTES ? left : PIECE_BYTES));
	else
		imap_append_go_on(s);
}

static void write_fields(struct imap_session *s)
{
	struct imap_appending *w = s->appending;
	while (w->offset < w->end && !w->is_blocked) {
		struct span piece = span_slice(buf_span(&w->fields_bytes), w->offset, w->end - w->offset < PIECE_BYTES ? w->end - w->offset : PIECE_BYTES);
		w->offset += piece.len;
		w->is_blocked = !delivery_write(s->delivery, piece);
	}
	if (!w->is_blocked)
		imap_append_go_on(s);
}

void imap_catenate_go_on(struct imap_session *s)
{
	struct imap_appending *w = s->appending;
	w->is_blocked = false;
	if (w->has_fields)
		write_fields(s);
	else
		ask_piece(s);
}

void imap_catenate_url(struct imap_session *s, struct span url)
{
	struct imap_appending *w = s->appending;
	w->url = url;
	w->offset = 0;
	w->fields = NULL;
	w->has_fields = false;
	buf_clear(&w->fields_bytes);
	if (!imap_url_parse(url, &s->arena, &w->part)) {
		fail(s);
		return;
	}
	ask(s, 0);
}
