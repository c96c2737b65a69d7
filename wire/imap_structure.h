/* What IMAP's FETCH says of a message's structure: RFC 3501 §7.4.2, RFC 9051 §7.5.2. Rendered from a tree, whether
 * parsed or from the cache; the texts are what stands behind the name of the data item. */
#ifndef WIRE_IMAP_STRUCTURE_H
#define WIRE_IMAP_STRUCTURE_H

#include "wire/mime.h"

enum imap_structure_flags {
	IMAP_STRUCTURE_UTF8 = 1, /* valid UTF-8 may stand in quoted strings (RFC 6855 §3, RFC 9051) */
};

/* Appends "(date subject ((name route mailbox host)) ...)". envelope may be NULL: all NIL. Values with control
 * characters, or 8-bit without the flag, are literals. */
void imap_render_envelope(const struct mime_envelope *envelope, unsigned flags, struct buf *out);

/* Appends BODY (extended = false) or BODYSTRUCTURE of a part and all below it; 0 for the message. Text is valid for
 * every tree: a container without parts gets an empty text part, and what the parser left opaque is shown as
 * application/octet-stream. */
void imap_render_body(const struct mime_tree *tree, uint32_t part, bool extended, unsigned flags, struct buf *out);

/* Appends a quoted string, whatever is in it: the caller knows that it may be quoted. */
void imap_render_quoted(struct span text, struct buf *out);
/* Appends a word, with a space in front unless out has nothing behind `start`. */
void imap_render_word(struct span word, size_t start, struct buf *out);
/* Appends the names of system flags (enum imap_flag) in the same way. */
void imap_render_system_flags(unsigned flags, size_t start, struct buf *out);
/* Appends an IMAP string (never NIL), and the same with NIL for a span without ptr. */
void imap_render_string(struct span text, unsigned flags, struct buf *out);
void imap_render_nstring(struct span text, unsigned flags, struct buf *out);

#endif
