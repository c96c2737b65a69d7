/* Lists inside one `bytes` field: u32 count, then each word with its length. */
#ifndef IPC_WORDS_H
#define IPC_WORDS_H

#include "base/arena.h"
#include "base/buf.h"

enum { WORDS_MOST = 4096 };

void words_pack(struct buf *out, const struct span *words, size_t count);

/* Number of words, with *words allocated in `a` and pointing into `packed`; -1 if it is no such list. */
ssize_t words_unpack(struct span packed, struct arena *a, struct span **words);

/* Ranges of UIDs or other numbers: u32 first, u32 last, ascending, not touching.
 * True if `packed` is such a list of numbers >= 1. */
bool ranges_are_valid(struct span packed);
size_t ranges_count(struct span packed);
void ranges_get(struct span packed, size_t i, uint32_t *first, uint32_t *last);
/* Appends a number that is larger than all before; joins it to the last range where it touches. */
void ranges_add(struct buf *out, uint32_t number);
void ranges_add_range(struct buf *out, uint32_t first, uint32_t last);
bool ranges_have(struct span packed, uint32_t number);

#endif
