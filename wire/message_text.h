/* The text of a message as people would search it, and the search: RFC 3501 §6.4.4 (BODY, TEXT, HEADER).
 *
 * Header values with encoded words decoded, text parts with transfer encoding and charset decoded, HTML without its tags, all
 * folded for searching (wire/casefold.h). Nothing is kept of a message but its structure, the line at hand and MESSAGE_TEXT_FIELD_MAX of a
 * field; time is linear in the message times the number of needles, and a match is found wherever pieces are cut. */
#ifndef WIRE_MESSAGE_TEXT_H
#define WIRE_MESSAGE_TEXT_H

#include "wire/mime.h"

/* Bytes of one header that are looked at. */
#define MESSAGE_TEXT_HEADER_MAX (1024 * 1024)
/* Bytes of one field that are taken at once. A longer one is taken in pieces, cut between words where it has any. */
#define MESSAGE_TEXT_FIELD_MAX (64 * 1024)

struct message_text_chunk {
	uint32_t part;
	bool is_header;   /* a field, or a piece of a long one; otherwise a piece of the part's body */
	struct span name; /* of the field, as written */
	struct span text; /* folded; valid during the call */
	bool is_first;    /* piece of a field or a body: no match reaches across its start */
};

struct message_text_sink {
	void (*take)(void *context, const struct message_text_chunk *chunk);
	void *context;
};

struct message_text;

/* Feeds the parser, which must outlive it and has been fed nothing yet, with what it is fed itself: the bytes of the whole message
 * in order, in pieces of any size. The parser may go on alone when no more text is wanted. */
struct message_text *message_text_new(struct mime_parser *parser, struct message_text_sink sink);
void message_text_feed(struct message_text *t, struct span piece);
void message_text_finish(struct message_text *t); /* finishes the parser too */
void message_text_free(struct message_text *t);

enum text_search_key {
	TEXT_SEARCH_BODY,   /* text parts, and the headers inside the message's body */
	TEXT_SEARCH_TEXT,   /* that and the header, "name: value" */
	TEXT_SEARCH_HEADER, /* fields of that name in the header; an empty needle finds any such field */
};

struct text_search_needle {
	enum text_search_key key;
	struct span header_name;
	struct span text; /* UTF-8 in any case */
};

struct text_search;

/* Copies the needles; one that is empty is in every text. */
struct text_search *text_search_new(const struct text_search_needle *needles, size_t count);
void text_search_free(struct text_search *s);
/* Makes it ready for the next message. */
void text_search_reset(struct text_search *s);

/* The sink that feeds this search. */
struct message_text_sink text_search_sink(struct text_search *s);

bool text_search_matched(const struct text_search *s, size_t needle);
/* True if every needle has matched: nothing more need be read. */
bool text_search_is_done(const struct text_search *s);

#endif
