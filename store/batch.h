/* Changes to one partition, collected by whoever makes them and handed to the committer, which joins what waits into one
 * atomic, synced write (store/commit.h). */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "base/ids.h"
#include "store/engine/engine.h"

struct batch {
	struct buf operations; /* packed; applied in order */
	bool is_durable;       /* someone waits for it to be on the disk */
};

void batch_put(struct batch *b, struct span partition, struct span key, struct span value);
void batch_delete(struct batch *b, struct span partition, struct span key);
void batch_delete_range(struct batch *b, struct span partition, struct span from, struct span to);
void batch_blob_put(struct batch *b, struct id128 blob, uint32_t piece, struct span bytes);
void batch_blob_delete(struct batch *b, struct id128 blob, uint32_t piece);
bool batch_is_empty(const struct batch *b);
void batch_free(struct batch *b);
/* Repeats the changes on the engine's batch. */
void batch_apply(const struct batch *b, struct engine_batch *to);

#endif
