/* What others than its owner have seen of a mailbox: each reader has a \Seen of his own (RFC 4314 §2.1, right "s"), the owner's is in the rows.
 *
 * "z" mailbox reader block -> a bit for each of 4096 UIDs. A mailbox's are in memory once one of its readers has come. What cannot be read is
 * logged, is taken for unseen, and is never written over. */
#ifndef STORE_MAILBOX_SEEN_H
#define STORE_MAILBOX_SEEN_H

#include "store/mailbox/account.h"

/* The flags of a message as the reader (0: the owner) has them. */
uint8_t seen_flags(struct mailbox *m, uint64_t reader, const struct row *row);
/* The reader sets \Seen of one message, or clears it; to be written with seen_flush. True if that changes anything; what cannot be read stays. */
bool seen_set(struct mailbox *m, uint64_t reader, uint32_t uid, bool is_seen);
/* Into account->batch. */
void seen_flush(struct mailbox *m, uint64_t reader);
/* How many messages the reader has not seen. */
uint32_t seen_unseen(struct mailbox *m, uint64_t reader);
/* These UIDs have gone. Into account->batch. */
void seen_removed(struct mailbox *m, struct span ranges);
void seen_forget(struct mailbox *m); /* in memory only */

#endif
