/* The first words of a message, for lists: PREVIEW (RFC 8970). */
#ifndef WIRE_PREVIEW_H
#define WIRE_PREVIEW_H

#include "wire/mime.h"

enum {
	PREVIEW_CHARACTERS = 200,         /* RFC 8970 §3.2 */
	PREVIEW_SOURCE_BYTES = 16 * 1024, /* of a part that are looked at: enough for the head of an HTML page */
};

/* The part whose text is shown: the first of plain text that is no attachment, else of HTML; MIME_NO_PART if there is none. */
uint32_t preview_part(const struct mime_tree *tree);

/* Appends the text of such a part, of which `bytes` is the beginning as it is in the message: decoded, in UTF-8, white space as one space,
 * at most PREVIEW_CHARACTERS. */
void preview_make(const struct mime_part *part, struct span bytes, struct buf *out);

#endif
