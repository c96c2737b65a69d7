/* The tree of a message as bytes, kept with it, so that most IMAP commands never parse a message again. */
#ifndef WIRE_MESSAGE_CACHE_H
#define WIRE_MESSAGE_CACHE_H

#include "base/error.h"
#include "wire/mime.h"

#define MESSAGE_CACHE_MAX (1024 * 1024)

/* Appends the tree, at most MESSAGE_CACHE_MAX bytes. A tree that is larger loses first its list of header fields, then
 * everything below the root and the root's values; the unpacked one then has fields_truncated or is_partial. */
void message_cache_pack(const struct mime_tree *tree, struct buf *out);

/* Reads back what message_cache_pack wrote. The bytes are copied into the arena, where all of *out lives; they may be
 * hostile: offsets, counts and the shape of the tree are checked. Returns 0, or -1 with *why. */
int message_cache_unpack(struct span bytes, struct arena *arena, struct mime_tree *out, struct error *why);

#endif
