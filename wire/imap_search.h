/* What SEARCH asks for: RFC 3501 §6.4.4. */
#ifndef WIRE_IMAP_SEARCH_H
#define WIRE_IMAP_SEARCH_H

#include "wire/imap_command.h"

enum {
	IMAP_SEARCH_KEYS_MAX = 2000, /* of one command */
	IMAP_SEARCH_TEXT_MAX = 4096, /* bytes of one text to look for, in UTF-8 */
	IMAP_SEARCH_TEXTS_MAX = 64,  /* keys that need a message's content */
};

enum imap_search_kind {
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_AND,       /* children */
	IMAP_SEARCH_OR,        /* two children */
	IMAP_SEARCH_NOT,       /* one child */
	IMAP_SEARCH_SEQUENCE,  /* set, of sequence numbers */
	IMAP_SEARCH_UID,       /* set */
	IMAP_SEARCH_FLAG,      /* flag */
	IMAP_SEARCH_KEYWORD,   /* text */
	IMAP_SEARCH_RECENT,
	IMAP_SEARCH_BEFORE, IMAP_SEARCH_ON, IMAP_SEARCH_SINCE,                /* day */
	IMAP_SEARCH_SENT_BEFORE, IMAP_SEARCH_SENT_ON, IMAP_SEARCH_SENT_SINCE, /* day */
	IMAP_SEARCH_LARGER, IMAP_SEARCH_SMALLER,                              /* number */
	IMAP_SEARCH_HEADER,    /* name, text */
	IMAP_SEARCH_BODY,      /* text */
	IMAP_SEARCH_TEXT,      /* text */
};

struct imap_search_key {
	enum imap_search_kind kind;
	struct imap_search_key *children, *next;
	uint32_t child_count;
	struct imap_sequence_set set;
	enum imap_flag flag;
	struct span name, text; /* text in UTF-8 */
	int64_t day;
	uint32_t number;
};

struct imap_search {
	struct imap_search_key *root; /* an IMAP_SEARCH_AND */
	bool is_bad_charset;          /* nothing else is said then: NO [BADCHARSET] */
};

/* ["CHARSET" SP astring SP] search-key *(SP search-key), up to the end. No deeper than IMAP_NESTING_MAX. */
bool imap_take_search(struct imap_parser *p, struct imap_search *out);

#endif
