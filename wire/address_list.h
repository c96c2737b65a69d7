/* Address lists in header fields: RFC 5322 §3.4 and §4.4, as lenient as mail needs: any input gives a list.
 *
 * One pass, linear in the length; comments nest by a counter. */
#ifndef WIRE_ADDRESS_LIST_H
#define WIRE_ADDRESS_LIST_H

#include "base/buf.h"

/* Entries of one list that are given; what follows is ignored. */
#define ADDRESS_LIST_MAX 50000

enum address_list_kind {
	ADDRESS_LIST_MAILBOX,
	ADDRESS_LIST_GROUP_START, /* name is the group's */
	ADDRESS_LIST_GROUP_END,
};

/* Spans without quotes and backslashes; encoded words are left as they are. Valid until the next call. */
struct address_list_entry {
	enum address_list_kind kind;
	struct span name;    /* display name, or a comment that stands for one */
	struct span route;   /* obsolete source route "@a,@b" */
	struct span mailbox; /* local part */
	struct span domain;  /* empty if there is none; a literal keeps its brackets */
};

/* Start with {.rest = unfolded value}; end with address_list_reader_free. */
struct address_list_reader {
	struct span rest;
	struct buf name, route, mailbox, domain, comment, word;
	bool in_group;
	bool has_skipped; /* set for good once something stood where no address can be, and was left out, or was taken for a name */
	size_t count;
};

/* Gives the next entry; false at the end. An open group is ended before. */
bool address_list_next(struct address_list_reader *r, struct address_list_entry *out);
void address_list_reader_free(struct address_list_reader *r);

#endif
