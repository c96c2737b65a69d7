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

/* A row has one MODSEQ for all who read it, and it rises with a reader's own \Seen too: he may have other sessions, and CHANGEDSINCE and QRESYNC must find the change
 * for them. Sessions of others are not told of it while they are open (RFC 7162 §3.2, example 14); who comes back later may be told of a message that is as it was,
 * and a STORE of his with UNCHANGEDSINCE may have to be said again, which both are harmless.
 *
 * All that got this MODSEQ is about the \Seen of this reader (0: the owner's); `before` is the highest MODSEQ that any of it had. In memory. */
void seen_note_change(struct mailbox *m, uint64_t reader, uint64_t modseq, uint64_t before);
/* True if a change with this MODSEQ is nothing to this reader, who has heard of all until `since`. */
bool seen_is_of_another(const struct mailbox *m, uint64_t reader, uint64_t modseq, uint64_t since);
void seen_forget(struct mailbox *m); /* in memory only */

#endif
