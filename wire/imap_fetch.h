/* What FETCH asks for: RFC 3501 §6.4.5. */
#ifndef WIRE_IMAP_FETCH_H
#define WIRE_IMAP_FETCH_H

#include "wire/imap_command.h"

enum {
	IMAP_FETCH_ITEMS_MAX = 256,   /* of one command: bounds what one command makes the server say */
	IMAP_SECTION_DEPTH_MAX = 128, /* numbers of one section: more than messages are parsed deep. Attack E77 */
	IMAP_FIELDS_MAX = 256,        /* names of header fields, of all items of one command */
};

enum imap_fetch_kind {
	IMAP_FETCH_FLAGS,
	IMAP_FETCH_UID,
	IMAP_FETCH_INTERNALDATE,
	IMAP_FETCH_SIZE,
	IMAP_FETCH_MODSEQ,        /* RFC 7162 §3.1.4.2 */
	IMAP_FETCH_ENVELOPE,
	IMAP_FETCH_BODY,          /* without a section */
	IMAP_FETCH_BODYSTRUCTURE,
	IMAP_FETCH_SAVEDATE,      /* RFC 8514 */
	IMAP_FETCH_EMAILID, IMAP_FETCH_THREADID, /* RFC 8474 */
	IMAP_FETCH_PREVIEW,       /* RFC 8970 */
	IMAP_FETCH_BINARY,        /* BINARY[...]: RFC 9051 §6.4.5, RFC 3516 */
	IMAP_FETCH_BINARY_SIZE,
	IMAP_FETCH_SECTION,       /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
};

enum imap_section {
	IMAP_SECTION_ALL,         /* "": the message, or the body of the part */
	IMAP_SECTION_HEADER,
	IMAP_SECTION_FIELDS,
	IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_TEXT,
	IMAP_SECTION_MIME,
};

struct imap_fetch_item {
	enum imap_fetch_kind kind;
	struct span label;        /* as the response names it, with "<origin>" where there is one */
	/* of a section: */
	enum imap_section section;
	bool is_peek;             /* does not set \Seen */
	uint32_t *numbers;        /* of the part */
	size_t number_count;
	struct span *fields;      /* sorted for header_filter_fields (wire/header.h) */
	size_t field_count;
	bool is_partial;
	uint32_t origin, length;
};

struct imap_fetch {
	struct imap_fetch_item *items;
	size_t count;
	size_t field_count;       /* of all items */
};

/* "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")". An item that is asked for twice is there once. */
bool imap_take_fetch(struct imap_parser *p, struct imap_fetch *out);
/* Puts an item that a command implies in front of the others, unless it is there. */
void imap_fetch_imply(struct imap_parser *p, struct imap_fetch *f, enum imap_fetch_kind kind);

#endif
