/* Bytes that have to be read again and are too many for memory: one file without a name, opened before the sandbox closes, in blocks that
 * whoever needs them shares. It shrinks to nothing when nobody does, and goes with the process. */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H

#include "base/buf.h"
#include "base/error.h"

struct spool;

/* In that folder. NULL with *why. */
struct spool *spool_new(const char *folder, struct error *why);

/* What one user has in it; zeroed is ready. */
struct spooled {
	uint32_t *blocks;
	size_t block_count;
	uint64_t size;
};

/* 0, or -1 with *why: the disk is full or broken. */
int spool_add(struct spool *s, struct spooled *what, struct span bytes, struct error *why);
/* Appends at most `most` bytes from `at` on, at least one if there are any. 0, or -1 with *why. */
int spool_read(struct spool *s, const struct spooled *what, uint64_t at, size_t most, struct buf *out, struct error *why);
/* Gives its blocks back; it is as zeroed. */
void spool_free(struct spool *s, struct spooled *what);

#endif
