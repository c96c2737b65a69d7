/* LIST and LSUB: what is asked for (RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154) and which names match; CREATE. */
#ifndef WIRE_IMAP_LIST_H
#define WIRE_IMAP_LIST_H

#include "wire/imap_command.h"

enum { IMAP_PATTERNS_MAX = 64, IMAP_PATTERN_MAX = 2000 }; /* reference and pattern, in bytes of UTF-8 */

enum imap_list_option {
	/* selection */
	IMAP_LIST_SUBSCRIBED = 1,
	IMAP_LIST_RECURSIVE = 2,
	IMAP_LIST_SPECIAL_USE = 4,
	/* return */
	IMAP_LIST_RETURN_SUBSCRIBED = 8,
	IMAP_LIST_RETURN_CHILDREN = 16,
	IMAP_LIST_RETURN_SPECIAL_USE = 32,
	IMAP_LIST_RETURN_MYRIGHTS = 64, /* RFC 8440 */
};

struct imap_list {
	bool is_extended;        /* has options or several patterns: RFC 5258 §3 */
	unsigned options;
	struct span *patterns;   /* in UTF-8 with the reference in front; ptr is NULL for one that can match nothing */
	size_t pattern_count;
	struct span *entries;    /* of METADATA, to be told of each mailbox: RFC 9590 */
	size_t entry_count;
	unsigned status_items;   /* bits of enum imap_status_item to be told of each mailbox: RFC 5819 */
	bool is_root;            /* the one pattern is "" and it is not extended: the delimiter is asked for */
};

/* The arguments of LIST, or (is_lsub) of LSUB, which has no options. */
bool imap_take_list(struct imap_parser *p, bool is_lsub, struct imap_list *out);

/* Special uses as RFC 6154 names them; the numbers are those of ipc/terms.h. */
enum imap_use { IMAP_USE_NONE, IMAP_USE_DRAFTS, IMAP_USE_SENT, IMAP_USE_JUNK, IMAP_USE_TRASH, IMAP_USE_ARCHIVE };

struct imap_create {
	struct span name;
	enum imap_use use;
	bool is_bad_use; /* several, or one that is not known */
};

/* The arguments of CREATE: RFC 3501 §6.3.3, RFC 6154 §3. */
bool imap_take_create(struct imap_parser *p, struct imap_create *out);

/* A pattern made ready for many names. */
struct imap_pattern;
struct imap_pattern *imap_pattern_new(struct span pattern);
void imap_pattern_free(struct imap_pattern *m);
/* "*" matches anything, "%" anything without "/". Time is linear in the name, whatever the pattern: attack E78. */
bool imap_pattern_matches(const struct imap_pattern *m, struct span name);

#endif
