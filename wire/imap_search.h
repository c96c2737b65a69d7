/* What SEARCH, SORT, THREAD and ESEARCH ask for: RFC 3501 §6.4.4 and RFC 9051 §6.4.4; what is returned: RFC 4731, RFC 5182, RFC 5267,
 * RFC 9394; orders: RFC 5256, RFC 5957; several mailboxes: RFC 7377. */
#ifndef WIRE_IMAP_SEARCH_H
#define WIRE_IMAP_SEARCH_H

#include "wire/imap_modifiers.h"

enum {
	IMAP_SEARCH_KEYS_MAX = 2000, /* of one command */
	IMAP_SEARCH_TEXT_MAX = 4096, /* bytes of one text to look for, in UTF-8 */
	IMAP_SEARCH_TEXTS_MAX = 64,  /* keys that need a message's content */
	IMAP_SORT_KEYS_MAX = 16,     /* of one command: there are 10 of them */
	IMAP_SOURCES_MAX = 256,      /* mailboxes that one ESEARCH names */
};

enum imap_search_kind {
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_AND,       /* children */
	IMAP_SEARCH_OR,        /* two children */
	IMAP_SEARCH_NOT,       /* one child */
	IMAP_SEARCH_FUZZY,     /* two children: what was asked for, and the same with each text taken as words (RFC 6203) */
	IMAP_SEARCH_SEQUENCE,  /* set, of sequence numbers */
	IMAP_SEARCH_UID,       /* set */
	IMAP_SEARCH_FLAG,      /* flag */
	IMAP_SEARCH_KEYWORD,   /* text */
	IMAP_SEARCH_RECENT,
	IMAP_SEARCH_BEFORE, IMAP_SEARCH_ON, IMAP_SEARCH_SINCE,                /* day */
	IMAP_SEARCH_SAVED_BEFORE, IMAP_SEARCH_SAVED_ON, IMAP_SEARCH_SAVED_SINCE, /* day: RFC 8514 */
	IMAP_SEARCH_SENT_BEFORE, IMAP_SEARCH_SENT_ON, IMAP_SEARCH_SENT_SINCE, /* day */
	IMAP_SEARCH_OLDER, IMAP_SEARCH_YOUNGER,                               /* number, seconds: RFC 5032 */
	IMAP_SEARCH_LARGER, IMAP_SEARCH_SMALLER,                              /* number */
	IMAP_SEARCH_MODSEQ,    /* modseq: RFC 7162 §3.1.5 */
	IMAP_SEARCH_EMAIL_ID, IMAP_SEARCH_THREAD_ID, /* text: RFC 8474 */
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
	uint64_t modseq;
};

/* Return options, as bits. */
enum imap_return {
	IMAP_RETURN_MIN = 1,
	IMAP_RETURN_MAX = 2,
	IMAP_RETURN_ALL = 4,
	IMAP_RETURN_COUNT = 8,
	IMAP_RETURN_SAVE = 16,       /* RFC 5182 */
	IMAP_RETURN_PARTIAL = 32,    /* RFC 5267 §4.4, RFC 9394 */
	IMAP_RETURN_RELEVANCY = 64,  /* RFC 6203 §4 */
	IMAP_RETURN_UPDATE = 128,    /* RFC 5267 §4.3 */
	IMAP_RETURN_CONTEXT = 256,   /* a hint that nothing is made of */
};

enum imap_sort {
	IMAP_SORT_ARRIVAL, IMAP_SORT_CC, IMAP_SORT_DATE, IMAP_SORT_FROM, IMAP_SORT_SIZE, IMAP_SORT_SUBJECT, IMAP_SORT_TO,
	IMAP_SORT_DISPLAY_FROM, IMAP_SORT_DISPLAY_TO, /* RFC 5957 */
	IMAP_SORT_RELEVANCY,                          /* RFC 6203 §6 */
};

struct imap_sort_key {
	enum imap_sort sort;
	bool is_reverse;
};

enum imap_thread { IMAP_THREAD_ORDEREDSUBJECT, IMAP_THREAD_REFERENCES, IMAP_THREAD_REFS };

/* filter-mailboxes of RFC 5465 §6, as RFC 7377 §2.2 has it. */
enum imap_source {
	IMAP_SOURCE_SELECTED, IMAP_SOURCE_INBOXES, IMAP_SOURCE_PERSONAL, IMAP_SOURCE_SUBSCRIBED,
	IMAP_SOURCE_SUBTREE, IMAP_SOURCE_SUBTREE_ONE, IMAP_SOURCE_MAILBOXES, /* with names */
};

struct imap_search_source {
	enum imap_source source;
	struct span *names; /* UTF-8 */
	size_t name_count;
};

struct imap_search {
	struct imap_search_key *root; /* an IMAP_SEARCH_AND */
	bool has_charset;
	bool is_bad_charset;          /* nothing else is said then: NO [BADCHARSET] */
	bool has_modseq, has_fuzzy;   /* there are such keys */
	bool is_extended;             /* RETURN was given; without an option it means ALL */
	unsigned want;                /* bits of enum imap_return */
	struct imap_partial partial;
	struct span partial_label;    /* as it was asked for */
	struct imap_sort_key sort[IMAP_SORT_KEYS_MAX];
	size_t sort_count;
	enum imap_thread thread;
	struct imap_search_source *sources;
	size_t source_count;          /* 0: none were given */
};

/* All of them stand behind the command's name and its space and go up to the end. No deeper than IMAP_NESTING_MAX. */

/* [search-return-opts SP] ["CHARSET" SP astring SP] search-key *(SP search-key) */
bool imap_take_search(struct imap_parser *p, struct imap_search *out);
/* [search-return-opts SP] "(" sort-criteria ")" SP charset SP search-key *(SP search-key): RFC 5256 §5, RFC 5267 §5 */
bool imap_take_sort(struct imap_parser *p, struct imap_search *out);
/* thread-alg SP charset SP search-key *(SP search-key): RFC 5256 §5 */
bool imap_take_thread(struct imap_parser *p, struct imap_search *out);
/* [esearch-source-opts SP] and as SEARCH: RFC 7377 §4 */
bool imap_take_esearch(struct imap_parser *p, struct imap_search *out);
/* 1*(SP quoted), of CANCELUPDATE (RFC 5267 §5): tags, at most `room`. */
bool imap_take_tags(struct imap_parser *p, struct span *tags, size_t room, size_t *count);

/* ---- imap_search_options.c, for imap_search.c ---- */

/* "RETURN" has been taken. */
bool imap_take_return(struct imap_parser *p, struct imap_search *out);
bool imap_take_sort_criteria(struct imap_parser *p, struct imap_search *out);
bool imap_take_sources(struct imap_parser *p, struct imap_search *out);

#endif
