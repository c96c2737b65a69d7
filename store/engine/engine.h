/* The storage engine as the store sees it. Nothing of the engine behind it shows through.
 *
 * A partition (an account, a shard of the queue, the directory) has ordered keys, changed by atomic batches and read by
 * point look-ups and range scans. Blobs are immutable bytes in numbered pieces beside the partitions; they are written
 * before the batch that refers to them, and several partitions may name one blob.
 *
 * No transaction spans two partitions: the store keeps to that; an embedded engine cannot tell.
 *
 * Threads: every function may be called from any thread, but one scan or one batch is used by one thread at a time.
 * Commits are made by one thread (store/commit.c). */
#ifndef STORE_ENGINE_ENGINE_H
#define STORE_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/error.h"

enum {
	PARTITION_NAME_BYTES_MOST = 255,
	KEY_BYTES_MOST = 1024,
	BLOB_PIECE_BYTES = 64 * 1024, /* every piece of a blob but its last one has this size */
};

struct blob_id {
	unsigned char bytes[16];
};

struct engine;
struct engine_scan;
struct engine_batch;

/* Opens what is kept in the folder `path`, making it if it is not there. NULL with *why on failure: a folder that
 * another process has open, a damaged log, a disk that is full. `is_memory` engines keep nothing. */
struct engine *engine_open_rocksdb(const char *path, struct error *why);
struct engine *engine_open_memory(void);
/* The same for reading alone: nothing may be committed, and the folder stays as it is but for the library's own LOG. is_damaged: opens it as well as it
 * goes; what cannot be read is told by the call that reads it, and rows of the log that are behind a damaged one may be missing. It refuses a list of
 * its files that lacks one: for engine_repair_rocksdb. */
struct engine *engine_open_rocksdb_to_read(const char *path, bool is_damaged, struct error *why);
/* Makes the list of its files anew from what is in the files themselves, where that list is damaged: changes the folder, and leaves out files
 * that cannot be read. -1 with *why. */
int engine_repair_rocksdb(const char *path, struct error *why);
/* For an engine that was opened to read, and whose list may lack files of blobs, as one made anew does: what engine_blob_get does not find is looked for
 * in all such files of `folder` (store/engine/blob_files.h), also what was deleted not long ago. The names of those that cannot be read go to *skipped.
 * -1 with *why. */
int engine_read_blob_files(struct engine *e, const char *folder, struct buf *skipped, struct error *why);
/* Names all blobs that are there, each at least once, in no order, as far as they can be read; those of engine_read_blob_files too. */
void engine_walk_blobs(struct engine *e, void (*each)(void *context, struct blob_id id), void *context);
void engine_close(struct engine *e);

/* Appends the value to *value. Returns 1 if the key is there, 0 if not, -1 with *why. */
int engine_get(struct engine *e, struct span partition, struct span key, struct buf *value, struct error *why);

/* Reads keys >= from and < to (to empty: to the partition's end) in order, as they were when the scan was opened.
 * engine_scan_next: 1 with key and value valid until the next call, 0 at the end, -1 with *why. */
struct engine_scan *engine_scan_open(struct engine *e, struct span partition, struct span from, struct span to);
int engine_scan_next(struct engine_scan *s, struct span *key, struct span *value, struct error *why);
void engine_scan_close(struct engine_scan *s);

/* The names of all partitions that hold a key and start with `prefix`, in order; stops when `each` returns non-zero
 * and returns that; 0 at the end, -1 with *why. */
int engine_partitions(struct engine *e, struct span prefix, int (*each)(void *context, struct span partition),
                      void *context, struct error *why);

/* A batch collects changes and is applied whole or not at all. It copies what it is given. */
struct engine_batch *engine_batch_new(struct engine *e);
void engine_batch_free(struct engine_batch *b);
void engine_batch_clear(struct engine_batch *b);
void engine_batch_put(struct engine_batch *b, struct span partition, struct span key, struct span value);
void engine_batch_delete(struct engine_batch *b, struct span partition, struct span key);
/* All keys >= from and < to (to empty: to the partition's end). */
void engine_batch_delete_range(struct engine_batch *b, struct span partition, struct span from, struct span to);
void engine_batch_blob_put(struct engine_batch *b, struct blob_id id, uint32_t piece, struct span bytes);
void engine_batch_blob_delete(struct engine_batch *b, struct blob_id id, uint32_t piece);

/* Applies the batch. is_durable: it and every batch applied before it are on the disk (synced) when this returns 0.
 * -1 with *why: a failed sync leaves the engine's state unknown; the caller must close and open it anew. why->code is
 * ENOSPC where the disk is full. */
int engine_commit(struct engine *e, struct engine_batch *b, bool is_durable, struct error *why);

/* Appends the piece to *bytes. 1, 0 if there is no such piece, -1 with *why (damaged: why->code EBADMSG). */
int engine_blob_get(struct engine *e, struct blob_id id, uint32_t piece, struct buf *bytes, struct error *why);

/* True if the disk has room for messages. Asked before one is taken: a commit that finds the disk full is a failed one. */
bool engine_has_room(struct engine *e);

/* Makes the folder `path`, which must not be there, with the state at this moment in files of its own that no later change touches (links,
 * where the disk is the same one). Takes as long as one flush; never blocks the other calls. -1 with *why; a memory engine refuses. */
int engine_checkpoint(struct engine *e, const char *path, struct error *why);

/* Gives the space of deleted blobs and ranges back to the disk; may take long, never blocks the other calls. Does nothing where none was
 * deleted since the last time. */
int engine_compact(struct engine *e, struct error *why);

#endif
