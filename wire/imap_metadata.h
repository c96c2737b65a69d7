/* GETMETADATA and SETMETADATA: RFC 5464. */
#ifndef WIRE_IMAP_METADATA_H
#define WIRE_IMAP_METADATA_H

#include "wire/imap_command.h"

enum { IMAP_METADATA_ENTRIES_MAX = 64 /* of one command */, IMAP_METADATA_NAME_MAX = 250 };

enum imap_metadata_depth { IMAP_DEPTH_NONE, IMAP_DEPTH_CHILDREN, IMAP_DEPTH_ALL };

struct imap_metadata_get {
	struct span mailbox;      /* empty: the server */
	bool has_maxsize;
	uint32_t maxsize;
	enum imap_metadata_depth depth;
	struct span *entries;     /* in lower case */
	size_t count;
};

/* The arguments of GETMETADATA. The options may stand before the mailbox, as the grammar has them, or behind it, as all examples have. */
bool imap_take_getmetadata(struct imap_parser *p, struct imap_metadata_get *out);

struct imap_metadata_value {
	struct span entry, value;
	bool is_nil;
};

struct imap_metadata_set {
	struct span mailbox;
	struct imap_metadata_value *values;
	size_t count;
};

bool imap_take_setmetadata(struct imap_parser *p, struct imap_metadata_set *out);

/* entry / "(" entry *(SP entry) ")", with entries of at most IMAP_METADATA_NAME_MAX bytes below /private or /shared. */
bool imap_take_metadata_entries(struct imap_parser *p, struct span **entries, size_t *count);

#endif
