/* Greylisting: a stranger's first message to somebody is put off, which a mail server bears and most programs that send spam do not.
 *
 * Rows in the partition "grey": "f" digest of client network, sender and recipient -> u64 when they were first seen (s);
 * "k" digest of client network and the sender's domain -> u64 when one of theirs last passed: these are known, and are not put off again. They
 * are written without a sync: a crash that forgets some puts some mail off once more. */
#ifndef STORE_GREYLIST_H
#define STORE_GREYLIST_H

#include "store/store.h"

/* True if the recipient may be named now. client: an address; what is none is let pass, as is everybody while rows cannot be read. */
bool greylist_lets_pass(struct store *s, struct span client, struct span sender, struct span recipient);
/* Deletes the rows that say nothing any more. Not in the loop's thread. */
void greylist_sweep(struct store *s);

#endif
