/* Who may have been let in to whose mailboxes: what an account's sessions look for when they list others' mailboxes. What exactly they may do stands in the
 * lists of rights (store/mailbox/acl.h), which alone decide; a row here may have outlived its last entry there. */
#ifndef STORE_DIRECTORY_SHARES_H
#define STORE_DIRECTORY_SHARES_H

#include "store/store.h"

/* In the batch, which must be submitted before the entry itself. */
void shares_put(struct batch *b, uint64_t reader, uint64_t owner);
/* The same for all accounts of a domain. */
void shares_put_domain(struct batch *b, struct span domain, uint64_t owner);
/* Whether an account of that domain has a row for that owner, its own or its domain's. Not, where that cannot be read. */
bool shares_have(struct store *s, uint64_t reader, struct span domain, uint64_t owner);
/* Calls each(context, owner), twice for who is in both. */
void shares_walk(struct store *s, uint64_t reader, struct span domain, void (*each)(void *context, uint64_t owner), void *context);
/* All rows about an account that is removed. */
void shares_delete(struct store *s, struct batch *b, uint64_t account);

#endif
