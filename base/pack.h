/* Numbers and strings as bytes, for ipc frames and stored values: little-endian, lengths in front.
 *
 * An unpacker never reads beyond its span; the first fault makes all later reads give zero and sets `bad`. */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buf.h"

void pack_u8(struct buf *b, uint8_t v);
void pack_u16(struct buf *b, uint16_t v);
void pack_u32(struct buf *b, uint32_t v);
void pack_u64(struct buf *b, uint64_t v);
void pack_bytes(struct buf *b, struct span bytes); /* u32 length, then the bytes */

struct unpacker {
	struct span rest;
	bool bad;
};

uint8_t unpack_u8(struct unpacker *u);
uint16_t unpack_u16(struct unpacker *u);
uint32_t unpack_u32(struct unpacker *u);
uint64_t unpack_u64(struct unpacker *u);
struct span unpack_bytes(struct unpacker *u, size_t max); /* longer than max is a fault */

/* True if nothing was wrong and nothing is left over. */
static inline bool unpack_done(const struct unpacker *u)
{
	return !u->bad && u->rest.len == 0;
}

#endif
