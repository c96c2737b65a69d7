/* Who may have been let in to whose mailboxes: what an account's sessions look for when they list others' mailboxes. What exactly they may do stands in the
 * lists of rights (store/mailbox/acl.h), which alone decide.
 *
 * Must stay true: whoever has a right has a row, since without one he would not find the mailbox. So the row is written before his first entry in the account, and
 * goes after his last. A crash between the two leaves a row that allows nothing; it goes when an entry for that reader is made and taken away again, or one of the two
 * accounts is removed. */
#ifndef STORE_DIRECTORY_SHARES_H
#define STORE_DIRECTORY_SHARES_H

#include "store/store.h"

/* From any thread, as the next: the batch must be submitted before the entry itself. reader: an account, or ACL_ANYONE for all of the owner's domain. */
void shares_put(struct engine *e, struct batch *b, uint64_t reader, uint64_t owner);
/* In a batch that is submitted after the one that takes the last entry away. */
void shares_drop(struct engine *e, struct batch *b, uint64_t reader, uint64_t owner);
/* Whether an account of that domain has a row for that owner, its own or its domain's. Not, where that cannot be read. */
bool shares_have(struct store *s, uint64_t reader, struct span domain, uint64_t owner);
/* Calls each(context, owner), twice for who is in both. */
void shares_walk(struct store *s, uint64_t reader, struct span domain, void (*each)(void *context, uint64_t owner), void *context);
/* All rows about an account that is removed. */
void shares_delete(struct store *s, struct batch *b, uint64_t account);

#endif
