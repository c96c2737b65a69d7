/* Giving back what nobody names any more. */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include "store/store.h"

/* Deletes blobs that several accounts shared and that no account and no queued message names any more. Marks by reading
 * the accounts' counts (not their rows), and leaves alone what is younger than an hour, since a delivery may be under way. */
void sweep_shared(struct store *s);

/* Lets the engine give the space of what was deleted back to the disk, in a thread of its own; one at a time. */
void sweep_compact(struct store *s);

#endif
