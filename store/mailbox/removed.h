/* Messages that were deleted and can still be brought back: for undelete_grace they keep their bytes and what was known of them.
 *
 * "g" time number   up to 256 messages that went from one mailbox at one time: its name, its keywords, their rows */
#ifndef STORE_MAILBOX_REMOVED_H
#define STORE_MAILBOX_REMOVED_H

#include "store/mailbox/account.h"

/* The rows are leaving the mailbox for good: writes them to account->batch, or gives up their blobs where there is no grace. */
void removed_keep(struct mailbox *m, const struct row *const *rows, size_t count);

/* One entry as it is told to people. */
struct removed_entry {
	uint64_t removed_ms;
	uint32_t number;
	struct span mailbox;
	uint32_t messages;
	uint64_t bytes;
};

/* Calls each(context, entry), oldest first. What is read must be on the disk. -1 with *why. */
int removed_walk(struct account *a, void (*each)(void *context, const struct removed_entry *e), void *context, struct error *why);

/* Which ones to bring back. */
struct removed_choice {
	struct span mailbox;   /* empty: of any */
	uint64_t since_ms;     /* removed since then */
	bool is_one;           /* only the entry of this time and number */
	uint64_t removed_ms;
	uint32_t number;
};

/* Brings messages back to the mailboxes that they were in, which are made again where they have gone, with new UIDs and without \Deleted.
 * Into account->batch. How many; -1 with *why. */
ssize_t removed_restore(struct account *a, const struct removed_choice *choice, struct error *why);

/* Gives up what went before that time, at most so many entries. How many; -1 with *why. Into account->batch. */
ssize_t removed_purge(struct account *a, uint64_t before_ms, size_t most, struct error *why);

#endif
