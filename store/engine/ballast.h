/* A file that takes up room on the disk so that there is room when the disk is full.
 *
 * The ballast goes when a commit finds the disk full. The caller then opens the engine anew (engine.h) and has
 * BALLAST_BYTES for what frees space: rows that say what is expunged, and the merging of files that follows. Until the
 * ballast is back, which takes twice its size of free space, the engine takes no blobs, so that new mail cannot eat the
 * room that deletions need. */
#ifndef STORE_ENGINE_BALLAST_H
#define STORE_ENGINE_BALLAST_H

#include <stdbool.h>
#include <stdint.h>

enum { BALLAST_BYTES = 64 * 1024 * 1024 }; /* RocksDB writes one full write buffer at least before it frees anything */

/* True if the folder's disk has this many free bytes. */
bool disk_has(const char *folder, uint64_t bytes);
/* True if the ballast is in the folder or could be made. */
bool ballast_make(const char *folder);
void ballast_drop(const char *folder);

#endif
