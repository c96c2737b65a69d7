/* The structure of a message: RFC 5322, RFC 2045, RFC 2046, RFC 2183, RFC 2231.
 *
 * A push parser: it is fed the bytes of a message in pieces of any size, keeps a bounded amount of them, and gives a
 * tree of parts with offsets into the message and the values that IMAP shows. Time is linear in the size whatever the
 * message: lines are compared with boundaries by a hash, and nothing recurses on depth.
 *
 * How a message is read (so that all protocols see the same):
 * - A line ends in CR LF or a bare LF.
 * - A boundary line is "--" boundary ["--"] and white space, all of the line; the innermost open multipart wins.
 * - The line end before a boundary line belongs to the boundary (RFC 2046 §5.1.1).
 * - A multipart without a usable boundary, and whatever lies deeper than the cap, is one opaque part.
 * - The first of several equal fields counts. */
#ifndef WIRE_MIME_H
#define WIRE_MIME_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/transfer.h"

#define MIME_NO_PART UINT32_MAX
#define MIME_BOUNDARY_MAX 200   /* RFC 2046 §5.1.1 says 70; more is seen */
#define MIME_PARAMETERS_MAX 500 /* of one field, RFC 2231 sections counted one by one */

/* Bounds against hostile messages. Zero means the default. */
struct mime_limits {
	uint32_t max_depth;      /* of multiparts and embedded messages: 100, the most there can be */
	uint32_t max_parts;      /* 10,000 */
	uint32_t max_fields;     /* of the root header that are listed: 10,000 */
	size_t max_header_bytes; /* of one part's header that are interpreted: 256 KiB; further ones only count */
	size_t max_kept_bytes;   /* of values in the whole tree: 4 MiB; further values are left empty */
};

struct mime_parameter {
	struct span name;
	struct span value;
};

struct mime_parameters {
	struct mime_parameter *list;
	uint32_t count;
};

/* Values are unfolded and without NUL, otherwise as written (8-bit bytes and encoded words too). */
struct mime_envelope {
	struct span date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id, references;
};

struct mime_part {
	uint32_t parent;                    /* index, MIME_NO_PART for the root */
	uint64_t header_offset, header_len; /* header_len includes the blank line */
	uint64_t body_offset, body_len, lines;
	uint32_t longest_line; /* of the body, in octets without its end; only of lines that are no part's below it */
	bool is_multipart;     /* has a boundary; its children are its parts */
	bool is_message;       /* message/rfc822 or message/global whose one child is the embedded message */
	bool header_has_8bit, body_has_8bit, body_has_nul; /* body: as longest_line */
	struct span type, subtype;             /* lower case; "text" and "plain" if not given (RFC 2045 §5.2) */
	struct mime_parameters params_written; /* as in the field, for IMAP */
	struct mime_parameters params;         /* RFC 2231 joined and decoded to UTF-8, sorted by name */
	struct span encoding, content_id, description, md5, disposition, language, location; /* empty if not given */
	struct mime_parameters disposition_params_written, disposition_params;
	struct mime_envelope *envelope; /* the root's, and that of an is_message part's child; NULL for others */
};

/* One field of the root header; it starts at `offset` with its name. */
struct mime_field {
	uint64_t offset, len; /* folded lines and the last line end included */
	struct span name;     /* empty if the line is no field */
};

struct mime_tree {
	struct mime_part *parts; /* in the order of their headers: parents before children */
	uint32_t part_count;
	struct mime_field *fields;
	uint32_t field_count;
	uint64_t size_bytes; /* of the message */
	uint64_t longest_line;
	bool has_8bit, has_nul, has_bare_cr, has_bare_lf; /* anywhere in the message */
	bool is_truncated;     /* there are more parts than were listed, or values that were not kept */
	bool fields_truncated; /* the root header has more fields than were listed */
	bool is_partial;       /* from a cache that had to leave parts out: parse the message where they are needed */
};

struct mime_parser;

struct mime_parser *mime_parser_new(const struct mime_limits *limits); /* NULL for the defaults */
void mime_parser_free(struct mime_parser *p);

void mime_parser_feed(struct mime_parser *p, struct span piece);

/* The tree as it is before the end, for going through the bytes with a cursor (wire/mime_cursor.h) while they come: of the first
 * *settled bytes it is known to which part they belong, whatever follows. All but some 1,000 of those fed are settled. The part
 * at hand ends there for the time being; the next call moves its end. */
const struct mime_tree *mime_parser_so_far(struct mime_parser *p, uint64_t *settled);

/* Ends the message. The tree belongs to the parser, which takes no more input. There is always at least the root. */
const struct mime_tree *mime_parser_finish(struct mime_parser *p);

/* The decoded value of a parameter; an empty span with a NULL ptr if there is none. */
struct span mime_parameter_value(const struct mime_parameters *params, struct span name);

/* The first child of a part and the next child after `child`; MIME_NO_PART if there is none. Walking all children is
 * linear in the number of parts behind the parent. */
uint32_t mime_first_child(const struct mime_tree *tree, uint32_t part);
uint32_t mime_next_sibling(const struct mime_tree *tree, uint32_t part);

/* Finds the part that IMAP numbers so (RFC 3501 §6.4.5): n = 0 is the root. "1" of a message or part that is not a
 * multipart is itself its only part. Below an embedded message the numbers are those of the message in it. Returns the
 * index of the part whose body the numbers name, or MIME_NO_PART. */
uint32_t mime_find_section(const struct mime_tree *tree, const uint32_t *numbers, size_t n);

#endif
