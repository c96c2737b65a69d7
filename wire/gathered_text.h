/* The searchable text of a message (wire/message_text.h) as one range of bytes that can be kept, and looked through again without the
 * message: fields of the header, then everything else. A byte that is in no UTF-8 stands in front of each field and each body, so that no
 * text is found across their ends. */
#ifndef WIRE_GATHERED_TEXT_H
#define WIRE_GATHERED_TEXT_H

#include "wire/message_text.h"

enum { GATHERED_TEXT_MAX = 256 * 1024 };

/* Zeroed is ready for a message. */
struct gathered_text {
	struct buf header, body;
	bool is_cut; /* there is more text than GATHERED_TEXT_MAX */
};

struct message_text_sink gathered_text_sink(struct gathered_text *g);
/* Appends all of it, at most GATHERED_TEXT_MAX bytes and one. */
void gathered_text_pack(const struct gathered_text *g, struct buf *out);
void gathered_text_free(struct gathered_text *g);

/* What of a gathered text is body: its text parts, and the headers inside it. */
struct span gathered_text_body(struct span text);

/* True if the text has the needle as text_search would find it (wire/message_text.h). Any bytes may be given for a gathered text. The
 * needle's text has been folded (casefold_search). Linear in the length of the text. */
bool gathered_text_matches(struct span text, const struct text_search_needle *needle);

#endif
