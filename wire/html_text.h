/* What a person reads of HTML: its text without tags, comments, scripts and styles, with character references resolved. Good for
 * searching, not for showing: no layout, no entities beyond the usual ones.
 *
 * Takes pieces cut anywhere, keeps some bytes of state, and is linear in the length. */
#ifndef WIRE_HTML_TEXT_H
#define WIRE_HTML_TEXT_H

#include "base/buf.h"

enum { HTML_WORD_MAX = 12, HTML_TAG_MAX = 64 * 1024 /* bytes of one tag or comment: what is longer is taken for text behind that */ };

enum html_state {
	HTML_TEXT, HTML_OPEN /* "<" */, HTML_NAME, HTML_TAG, HTML_QUOTED, HTML_MARKUP /* "<!" */, HTML_COMMENT, HTML_REFERENCE /* "&" */,
};

/* Zeroed is ready for a document. */
struct html_text {
	enum html_state state;
	char word[HTML_WORD_MAX]; /* of a tag's name, of a reference */
	unsigned word_len, dashes;
	size_t tag_len;
	char quote;
	bool is_hidden;           /* inside of script or style */
	bool is_spaced;           /* the last byte that was given was a space */
};

/* Appends the text of the next UTF-8 bytes. */
void html_text_feed(struct html_text *h, struct span piece, struct buf *out);
void html_text_end(struct html_text *h, struct buf *out);

#endif
