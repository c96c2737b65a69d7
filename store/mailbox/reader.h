/* Reading accounts without a worker, from an engine that nobody changes meanwhile: a backup's, or a damaged store's.
 *
 * Every row is looked up by its key, and none is found by scanning; so one that cannot be read costs what stands in it, and nothing behind
 * it. */
#ifndef STORE_MAILBOX_READER_H
#define STORE_MAILBOX_READER_H

#include "store/mailbox/account.h"

struct reader {
	void *context;
	/* A mailbox begins: false passes it over. One whose record cannot be read is named "mailbox-" and its number, and has no keywords. */
	bool (*mailbox)(void *context, const struct mailbox *m);
	/* A message of it; a row without flags where those cannot be read. */
	void (*message)(void *context, const struct mailbox *m, const struct row *row);
	/* What cannot be read: a line. */
	void (*fault)(void *context, const char *text);
	bool is_damaged; /* rows may be missing that should be there: looks for mailboxes that nothing names */
};

/* Reads all mailboxes and messages of an account. How many mailboxes there are. */
size_t reader_account(struct engine *e, uint64_t id, const struct reader *r);

#endif
