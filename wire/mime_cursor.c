/* Going through the bytes of a message: see mime_cursor.h.
 *
 * Headers and leaf bodies do not overlap and lie in the order of the tree, so one look ahead is enough. */
#include "wire/mime_cursor.h"

/* The header or body that the cursor looks at; len 0 if the part has none. */
static void current(const struct mime_cursor *c, uint64_t *offset, uint64_t *len)
{
	const struct mime_part *part = &c->tree->parts[c->part];

	*offset = c->in_body ? part->body_offset : part->header_offset;
	*len = c->in_body ? part->body_len : part->header_len;
	if (c->in_body && (part->is_multipart || part->is_message))
		*len = 0;
}

static void step(struct mime_cursor *c)
{
	if (c->in_body)
		c->part++;
	c->in_body = !c->in_body;
}

static struct span take(struct mime_cursor *c, struct span *in, uint64_t max)
{
	size_t n = max < in->len ? (size_t)max : in->len;
	struct span taken = span_slice(*in, 0, n);

	*in = span_skip(*in, n);
	c->offset += n;
	return taken;
}

bool mime_cursor_next(struct mime_cursor *c, struct span *in, struct mime_range *out)
{
	uint64_t offset = 0, len = 0;

	*out = (struct mime_range){.kind = MIME_RANGE_BETWEEN};
	if (in->len == 0)
		return false;
	for (; c->part < c->tree->part_count; step(c)) {
		current(c, &offset, &len);
		if (len > 0 && c->offset < offset + len)
			break;
	}
	if (c->part >= c->tree->part_count || c->offset < offset) {
		out->bytes = take(c, in, c->part >= c->tree->part_count ? UINT64_MAX : offset - c->offset);
		return true;
	}
	out->kind = c->in_body ? MIME_RANGE_BODY : MIME_RANGE_HEADER;
	out->part = c->part;
	out->is_start = c->offset == offset;
	out->bytes = take(c, in, offset + len - c->offset);
	out->is_end = c->offset == offset + len;
	return true;
}
