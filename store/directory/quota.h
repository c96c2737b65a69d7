/* Quotas: how much mail an account, or all accounts of a domain together, may keep. Rows "q" of the directory
 * (store/directory/directory.h). */
#ifndef STORE_DIRECTORY_QUOTA_H
#define STORE_DIRECTORY_QUOTA_H

#include "store/store.h"

/* 0: as much as there is room. */
struct quota {
	uint64_t bytes, messages;
};

/* What is set under this name: an address, "*@domain" for each account of a domain that has none of its own, "@domain" for all of them
 * together. 1, 0 if nothing is, -1 after a line in the log. */
int quota_get(struct store *s, struct span name, struct quota *out);
/* In the batch, whose commit makes it so. */
void quota_put(struct batch *b, struct span name, const struct quota *q);
void quota_delete(struct batch *b, struct span name);
/* Calls each(context, name, quota) for all that are set, in the order of names. */
void quota_walk(struct store *s, void (*each)(void *context, struct span name, const struct quota *q), void *context);

/* What holds for the account of this address: its own, its domain's, or the setting user_quota. */
struct quota quota_of_account(struct store *s, struct span address);
/* What holds for the address's domain as a whole. */
struct quota quota_of_domain(struct store *s, struct span address);

#endif
