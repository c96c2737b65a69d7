/* Goes through the bytes of a message in order, and says of each range what it is in the tree. */
#ifndef WIRE_MIME_CURSOR_H
#define WIRE_MIME_CURSOR_H

#include "wire/mime.h"

enum mime_range_kind {
	MIME_RANGE_BETWEEN, /* boundary lines, preambles, epilogues */
	MIME_RANGE_HEADER,
	MIME_RANGE_BODY, /* of a part that has no parts of its own */
};

struct mime_range {
	enum mime_range_kind kind;
	uint32_t part; /* of header and body */
	struct span bytes;
	bool is_start, is_end; /* the first, the last piece of this header or body; empty ones are not reported */
};

/* Start with {.tree = ...}; the tree must outlive it. */
struct mime_cursor {
	const struct mime_tree *tree;
	uint64_t offset;
	uint32_t part;
	bool in_body; /* looking at the part's body; its header is behind */
};

/* Takes the next range off the front of *in. False when *in is empty. */
bool mime_cursor_next(struct mime_cursor *c, struct span *in, struct mime_range *out);

#endif
