/* Searchable text that is kept: see gathered_text.h. */
#include "wire/gathered_text.h"

#include "wire/casefold.h"

enum { START = 0xff, HEADER_END = 0xfe };

static void take(void *context, const struct message_text_chunk *chunk)
{
	struct gathered_text *g = context;
	bool is_root_header = chunk->is_header && chunk->part == 0;
	struct buf *to = is_root_header ? &g->header : &g->body;
	size_t room = GATHERED_TEXT_MAX - g->header.len - g->body.len;
	BUF_AUTO line = {0};
	if (chunk->is_first) {
		buf_add_char(&line, (char)START);
		if (chunk->is_header) {
			casefold_search(chunk->name, &line);
			buf_add_cstr(&line, ": ");
		}
	}
	buf_add(&line, chunk->text);
	g->is_cut |= line.len > room;
	buf_add(to, span_slice(buf_span(&line), 0, room));
}

struct message_text_sink gathered_text_sink(struct gathered_text *g)
{
	return (struct message_text_sink){.take = take, .context = g};
}

void gathered_text_pack(const struct gathered_text *g, struct buf *out)
{
	buf_add(out, buf_span(&g->header));
	buf_add_char(out, (char)HEADER_END);
	buf_add(out, buf_span(&g->body));
}

void gathered_text_free(struct gathered_text *g)
{
	buf_free(&g->header);
	buf_free(&g->body);
}

static bool has(struct span text, struct span needle)
{
	return needle.len == 0 || (text.len >= needle.len && memmem(text.ptr, text.len, needle.ptr, needle.len));
}

/* A field of that name that has the needle. */
static bool field_matches(struct span header, struct span name, struct span needle)
{
	while (header.len) {
		ssize_t start = span_chr(header, (char)START);
		if (start < 0)
			return false;
		header = span_skip(header, (size_t)start + 1);
		ssize_t end = span_chr(header, (char)START);
		struct span field = end < 0 ? header : span_slice(header, 0, (size_t)end);
		if (field.len >= name.len + 2 && span_equal_nocase(span_slice(field, 0, name.len), name) && field.ptr[name.len] == ':' &&
		    has(span_skip(field, name.len + 2), needle))
			return true;
		header = span_skip(header, field.len);
	}
	return false;
}

struct span gathered_text_body(struct span text)
{
	ssize_t end = span_chr(text, (char)HEADER_END);
	return end < 0 ? SPAN("") : span_skip(text, (size_t)end + 1);
}

bool gathered_text_matches(struct span text, const struct text_search_needle *needle)
{
	struct span body = gathered_text_body(text), header = span_slice(text, 0, text.len - body.len);
	switch (needle->key) {
	case TEXT_SEARCH_BODY: return has(body, needle->text);
	case TEXT_SEARCH_TEXT: return has(body, needle->text) || has(header, needle->text);
	case TEXT_SEARCH_HEADER: return field_matches(header, needle->header_name, needle->text);
	}
	return false;
}
