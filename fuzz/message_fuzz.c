/* Search and downgrade over whole messages: a downgraded message needs no more, and is its own downgrade. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/downgrade.h"
#include "wire/message_text.h"
#include "wire/mime_cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void downgrade(struct span in, const struct mime_tree *tree, size_t step, struct buf *out)
{
	struct downgrade *d = downgrade_new(tree);

	for (size_t at = 0; at < in.len; at += step)
		downgrade_feed(d, span_slice(in, at, step), out);
	downgrade_free(d);
}

static unsigned search(struct span in, size_t step)
{
	const struct text_search_needle needles[] = {{TEXT_SEARCH_BODY, {0}, SPAN("aab")},
	                                             {TEXT_SEARCH_TEXT, {0}, SPAN("b\xc3\xa9")},
	                                             {TEXT_SEARCH_HEADER, SPAN("subject"), SPAN("a")}};
	struct text_search *s = text_search_new(needles, 3);
	struct mime_parser *p = mime_parser_new(NULL);
	struct message_text *t = message_text_new(p, text_search_sink(s));
	unsigned found = 0;

	for (size_t at = 0; at < in.len; at += step)
		message_text_feed(t, span_slice(in, at, step));
	message_text_finish(t);
	for (unsigned i = 0; i < 3; i++)
		found |= text_search_matched(s, i) ? 1u << i : 0;
	message_text_free(t);
	mime_parser_free(p);
	text_search_free(s);
	return found;
}

/* What a cursor says of the bytes, over the whole tree or over one that grows while they come. */
static uint64_t ranges_of(struct span in, size_t step, bool is_live)
{
	struct mime_parser *p = mime_parser_new(NULL);
	struct mime_cursor c = {0};
	struct mime_range range;
	uint64_t hash = 1, settled;

	for (size_t at = 0; at <= in.len; at += step) {
		mime_parser_feed(p, span_slice(in, at, step));
		if (at + step > in.len)
			mime_parser_finish(p);
		else if (!is_live)
			continue;
		c.tree = mime_parser_so_far(p, &settled);
		if (settled < c.offset)
			die("what was settled is not");
		struct span now = span_slice(in, c.offset, settled - c.offset);
		while (mime_cursor_next(&c, &now, &range))
			for (size_t i = 0; i < range.bytes.len; i++)
				hash = (hash ^ (range.part * 4 + range.kind)) * 1099511628211u;
	}
	mime_parser_free(p);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct mime_parser *p = mime_parser_new(NULL);
	const struct mime_tree *tree;
	BUF_AUTO whole = {0};
	BUF_AUTO pieces = {0};

	mime_parser_feed(p, in);
	tree = mime_parser_finish(p);
	if (search(in, size + 1) != search(in, 2))
		die("pieces make a difference to a search");
	if (ranges_of(in, 3, true) != ranges_of(in, 3, false))
		die("a tree that grows says something else than the whole one");
	downgrade(in, tree, size + 1, &whole);
	downgrade(in, tree, 2, &pieces);
	if (!span_equal(buf_span(&whole), buf_span(&pieces)))
		die("pieces make a difference to a downgrade");
	if (utf8_has_8bit(buf_span(&whole))) {
		bool in_header = false;

		for (uint32_t i = 0; i < tree->part_count; i++)
			in_header |= tree->parts[i].header_has_8bit;
		if (!in_header)
			die("a downgraded message has 8-bit bytes");
	}
	mime_parser_free(p);
	return 0;
}
