/* Substring search in pieces: see message_text.h. Knuth-Morris-Pratt, since its state is one number that survives the
 * end of a piece, and no text makes it slow. */
#include <stdlib.h>

#include "base/die.h"
#include "wire/casefold.h"
#include "wire/message_text.h"

struct needle {
	enum text_search_key key;
	struct buf name, text;
	uint32_t *fallback; /* [i]: length of the longest border of the first i + 1 bytes */
	uint32_t state;     /* bytes matched so far */
	bool matched;
};

struct text_search {
	struct needle *needles;
	size_t count, unmatched;
};

static void prepare(struct needle *n)
{
	uint32_t border = 0;

	n->fallback = xcalloc(n->text.len + 1, sizeof(*n->fallback));
	for (size_t i = 1; i < n->text.len; i++) {
		while (border > 0 && n->text.ptr[i] != n->text.ptr[border])
			border = n->fallback[border - 1];
		if (n->text.ptr[i] == n->text.ptr[border])
			border++;
		n->fallback[i] = border;
	}
}

struct text_search *text_search_new(const struct text_search_needle *needles, size_t count)
{
	struct text_search *s = xcalloc(1, sizeof(*s));

	s->needles = xcalloc(count > 0 ? count : 1, sizeof(*s->needles));
	s->count = count;
	for (size_t i = 0; i < count; i++) {
		s->needles[i].key = needles[i].key;
		buf_add(&s->needles[i].name, needles[i].header_name);
		casefold_search(needles[i].text, &s->needles[i].text);
		prepare(&s->needles[i]);
	}
	text_search_reset(s);
	return s;
}

void text_search_free(struct text_search *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++) {
		buf_free(&s->needles[i].name);
		buf_free(&s->needles[i].text);
		free(s->needles[i].fallback);
	}
	free(s->needles);
	free(s);
}

void text_search_reset(struct text_search *s)
{
	s->unmatched = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct needle *n = &s->needles[i];

		n->state = 0;
		n->matched = n->key != TEXT_SEARCH_HEADER && n->text.len == 0;
		s->unmatched += n->matched ? 0 : 1;
	}
}

static void match(struct text_search *s, struct needle *n, struct span text)
{
	const char *needle = n->text.ptr;

	for (size_t i = 0; i < text.len && !n->matched && n->text.len > 0; i++) {
		if (n->state == 0) {
			ssize_t first = span_chr(span_skip(text, i), needle[0]);

			if (first < 0)
				return;
			i += (size_t)first;
		}
		while (n->state > 0 && text.ptr[i] != needle[n->state])
			n->state = n->fallback[n->state - 1];
		if (text.ptr[i] == needle[n->state])
			n->state++;
		n->matched = n->state == n->text.len;
	}
	n->matched |= n->text.len == 0;
	s->unmatched -= n->matched ? 1 : 0;
}

static void match_field(struct text_search *s, struct needle *n, const struct message_text_chunk *chunk)
{
	BUF_AUTO line = {0};

	if (chunk->is_first)
		n->state = 0;
	if (n->key == TEXT_SEARCH_HEADER) {
		if (chunk->part == 0 && span_equal_nocase(chunk->name, buf_span(&n->name)))
			match(s, n, chunk->text);
		return;
	}
	if (n->key == TEXT_SEARCH_BODY && chunk->part == 0)
		return;
	if (!chunk->is_first) {
		match(s, n, chunk->text);
		return;
	}
	casefold_search(chunk->name, &line);
	buf_add_cstr(&line, ": ");
	buf_add(&line, chunk->text);
	match(s, n, buf_span(&line));
}

static void take(void *context, const struct message_text_chunk *chunk)
{
	struct text_search *s = context;

	for (size_t i = 0; i < s->count && s->unmatched > 0; i++) {
		struct needle *n = &s->needles[i];

		if (n->matched)
			continue;
		if (chunk->is_header) {
			match_field(s, n, chunk);
			continue;
		}
		if (chunk->is_first)
			n->state = 0;
		if (n->key != TEXT_SEARCH_HEADER)
			match(s, n, chunk->text);
	}
}

struct message_text_sink text_search_sink(struct text_search *s)
{
	return (struct message_text_sink){.take = take, .context = s};
}

bool text_search_matched(const struct text_search *s, size_t needle)
{
	return needle < s->count && s->needles[needle].matched;
}

bool text_search_is_done(const struct text_search *s)
{
	return s->unmatched == 0;
}
