/* MIME: pieces make no difference; ranges are inside; the cache comes back; rendering is valid in any case. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/imap_structure.h"
#include "wire/message_cache.h"
#include "wire/preview.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const struct mime_tree *tree, struct buf *out)
{
	imap_render_body(tree, 0, true, 0, out);
	imap_render_envelope(tree->parts[0].envelope, 0, out);
}

static struct mime_parser *parse(struct span in, size_t step, const struct mime_tree **tree)
{
	struct mime_parser *p = mime_parser_new(NULL);

	for (size_t at = 0; at < in.len; at += step)
		mime_parser_feed(p, span_slice(in, at, step));
	*tree = mime_parser_finish(p);
	return p;
}

static void check_ranges(const struct mime_tree *tree)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < tree->part_count; i++) {
		const struct mime_part *part = &tree->parts[i];

		if (part->header_offset < end || part->body_offset != part->header_offset + part->header_len ||
		    part->body_offset + part->body_len > tree->size_bytes || part->lines > part->body_len)
			die("part %u has a wrong range", i);
		end = part->body_offset;
	}
	for (uint32_t i = 1; i < tree->field_count; i++)
		if (tree->fields[i].offset < tree->fields[i - 1].offset + tree->fields[i - 1].len)
			die("field %u has a wrong range", i);
}

static void check_preview(const struct mime_tree *tree, struct span in)
{
	BUF_AUTO text = {0};
	uint32_t n = preview_part(tree);
	if (n == MIME_NO_PART)
		return;
	if (n >= tree->part_count)
		die("the preview is of part %u", n);
	const struct mime_part *part = &tree->parts[n];
	preview_make(part, span_slice(in, part->body_offset, part->body_len < PREVIEW_SOURCE_BYTES ? part->body_len : PREVIEW_SOURCE_BYTES), &text);
	if (!utf8_is_valid(buf_span(&text)) || text.len > 4 * PREVIEW_CHARACTERS)
		die("a preview that cannot be sent");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	const struct mime_tree *whole, *pieces;
	struct mime_parser *p = parse(in, size + 1, &whole);
	struct mime_parser *q = parse(in, 3, &pieces);
	struct mime_tree cached;
	ARENA_AUTO arena = {0};
	BUF_AUTO bytes = {0};
	BUF_AUTO a = {0};
	BUF_AUTO b = {0};
	BUF_AUTO c = {0};

	check_ranges(whole);
	check_preview(whole, in);
	message_cache_pack(whole, &bytes);
	if (message_cache_unpack(buf_span(&bytes), &arena, &cached, NULL) < 0)
		die("a cache does not come back");
	render(whole, &a);
	render(pieces, &b);
	render(&cached, &c);
	if (!span_equal(buf_span(&a), buf_span(&b)))
		die("pieces make a difference");
	if (!cached.is_partial && !span_equal(buf_span(&a), buf_span(&c)))
		die("the cache makes a difference");
	mime_parser_free(p);
	mime_parser_free(q);
	return 0;
}
