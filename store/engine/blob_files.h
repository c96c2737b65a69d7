/* All blob files of a folder, read without the list that says which of them are in use: the last resort of `carteiro salvage`.
 *
 * Where each record stands is kept in memory, 40 bytes a record. What was deleted, and not yet given back to the disk, is there too. A record that is
 * damaged costs itself: the next one behind it is searched for. */
#ifndef STORE_ENGINE_BLOB_FILES_H
#define STORE_ENGINE_BLOB_FILES_H

#include "base/buf.h"
#include "base/error.h"

struct blob_files;

/* Goes over all files "NUMBER.blob" of the folder; changes nothing. NULL with *why if the folder cannot be read; a file that cannot be read, or is
 * none, is left out, and told in *skipped by its name. */
struct blob_files *blob_files_open(const char *folder, struct buf *skipped, struct error *why);
void blob_files_close(struct blob_files *f);
/* Appends the value of the key. 1, 0 if no file has it, -1 with *why (EBADMSG: each that has it is damaged). */
int blob_files_get(struct blob_files *f, struct span key, struct buf *value, struct error *why);
/* The least key that is greater than `key`; empty if there is none. Points into *f. */
struct span blob_files_next(const struct blob_files *f, struct span key);

#endif
