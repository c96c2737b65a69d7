/* Mail out of a store that no server has open, as Maildirs: what `carteiro backup extract` and `carteiro salvage` share. */
#ifndef CLI_EXTRACT_H
#define CLI_EXTRACT_H

#include "base/buf.h"
#include "base/error.h"
#include "store/store.h"

/* A folder of links to the files of a store, so that reading one leaves it untouched. */
struct extract_links {
	char path[64];
};

struct extraction {
	struct store store;    /* its engine, and nothing else of it */
	struct span mailbox;   /* the only one; empty: all */
	uint32_t uid;          /* the only one; 0: all */
	bool is_damaged;
	/* what came of it */
	size_t messages, faults;
	size_t faults_of_rows; /* of those: what cannot be read is not a message, but what says where messages are */
	uint64_t bytes;
	struct buf found;      /* struct id128: the blobs of all rows, damaged or not */
	bool is_stopped;       /* by what cannot be written: no use in going on */
	/* of the account and the mailbox at hand */
	const char *name, *to;
	struct buf folder;
};

/* -1 with a message on stderr. */
int extract_links_make(struct extract_links *l);
int extract_links_add(const struct extract_links *l, const char *name, const char *file);
void extract_links_remove(const struct extract_links *l);

/* Writes what is wanted of an account, called `name` in messages, into the Maildir `to`; tells on stderr what cannot be read. How many
 * mailboxes it has. */
size_t extract_account(struct extraction *x, uint64_t account, const char *name, const char *to);
void extract_end(struct extraction *x);

#endif
