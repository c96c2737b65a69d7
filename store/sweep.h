/* Giving back what nobody names any more, every ten minutes, in a thread of its own:
 *   - trace records that are older than trace_lifetime (store/trace.h)
 *   - blobs that several accounts shared and that no account and no queued message names any more. Marks by reading the
 *     accounts' counts (not their rows), and leaves alone what is younger than an hour.
 *   - what is greylisted or known no longer (store/greylist.h)
 *   - the space of what was deleted (engine_compact) */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include "store/store.h"

/* Before any worker has something to do. */
void sweep_prepare(struct store *s);
void sweep_start(struct store *s);
/* When no worker has anything to do any more. */
void sweep_end(struct store *s);
/* The second of these, now; in_use: blobs, by id128_hash, of deliveries that were on their way when the sweep began; those of the queue are
 * put to it. Reads every account: not in the loop's thread. */
void sweep_blobs(struct store *s, struct map *in_use);

/* From any thread: a blob that moves from one account to another. A sweep that is under way may have looked at the one before it named the blob no more, and
 * at the other before it did: neither this sweep nor the next one takes it. */
void sweep_spare(struct store *s, struct id128 blob);

#endif
