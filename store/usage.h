/* How much mail accounts and domains keep, beside what they may (store/directory/quota.h).
 *
 * An account's worker says what it keeps with each change; the loop asks at RCPT. So this is the one table that both look at, under a
 * lock. What no worker has said yet since the start is read from the disk. */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/directory/quota.h"

struct usages *usages_new(void);

struct usage {
	struct quota used, most;
};

/* In the loop's thread: the account, with its limits as they are now. */
struct usage usage_of_account(struct store *s, uint64_t account);
/* In the loop's thread: all accounts of the address's domain. */
struct usage usage_of_domain(struct store *s, struct span address);
/* In the loop's thread: whether there is room for a message of so many bytes. */
bool usage_has_room(struct store *s, uint64_t account, uint64_t bytes);
/* The loop has changed what is set: limits are read anew. */
void usage_limits_changed(struct store *s);
/* The account is removed. */
void usage_forget(struct store *s, uint64_t account);

/* What a worker learns when it says what an account keeps. */
struct usage_said {
	struct usage account;
	bool domain_nears_end; /* nine tenths are full, and were not before */
};

/* In the account's worker. */
struct usage_said usage_say(struct store *s, uint64_t account, const struct quota *used);

/* From any thread: whether there is room for so much more, by the limits as the loop knew them last. */
bool usage_fits(struct store *s, uint64_t account, uint64_t bytes, uint64_t messages);

/* Nine tenths of it are full. */
bool usage_nears_end(const struct usage *u);

#endif
