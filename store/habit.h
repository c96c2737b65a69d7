/* What an account usually sends to others' servers, and what becomes of it when it suddenly sends unlike itself: a password that was
 * stolen sends as much as it can, to addresses of which many are not there. Then all that it sends waits in the queue, its owner and
 * the administrator are told, and wait for one of `carteiro user release`, `revoke` and `purge`.
 *
 * An account's row in the directory: "h" u64 account. What it has done in the present hour is in memory only: a restart forgets it.
 * All of it is for the loop's thread. */
#ifndef STORE_HABIT_H
#define STORE_HABIT_H

#include "store/store.h"

/* The account sends a message to so many recipients elsewhere. True: it is held, now or since before, and so is this message. */
bool habit_sends(struct store *s, uint64_t account, size_t recipients);
/* A recipient elsewhere of what it has sent is not there (is_unknown), or was delivered to. */
void habit_hears(struct store *s, uint64_t account, bool is_unknown);
/* What it has sent waits. False for account 0. */
bool habit_is_held(struct store *s, uint64_t account);
/* Appends "held since ..., because ..." and an end of line; nothing where it is not held. */
void habit_print(struct store *s, uint64_t account, struct buf *out);
/* In the batch: it is held no more, and what it has sent in this hour is usual from now on. False if it was not held. */
bool habit_release(struct store *s, struct batch *b, uint64_t account);
/* Calls each(context, account) for all that are held. */
void habit_walk_held(struct store *s, void (*each)(void *context, uint64_t account), void *context);
/* In the batch: the account has gone. */
void habit_delete(struct store *s, struct batch *b, uint64_t account);

#endif
