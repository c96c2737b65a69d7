/* Numbers and strings as bytes, for ipc frames and stored values: little-endian, lengths in front.
 *
 * An unpacker never reads beyond its span; the first fault makes all later reads give zero and sets `bad`. */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buf.h"

#include <endian.h>

/* The first bytes of a number as it stands in memory. */
static inline void pack_memory(struct buf *b, uint64_t memory, size_t bytes)
{
	memcpy(buf_reserve(b, bytes), &memory, bytes);
	b->len += bytes;
}

static inline void pack_little_endian(struct buf *b, uint64_t v, size_t bytes)
{
	pack_memory(b, htole64(v), bytes);
}

static inline void pack_u8(struct buf *b, uint8_t v)
{
	pack_little_endian(b, v, 1);
}

static inline void pack_u16(struct buf *b, uint16_t v)
{
	pack_little_endian(b, v, 2);
}

static inline void pack_u32(struct buf *b, uint32_t v)
{
	pack_little_endian(b, v, 4);
}

static inline void pack_u64(struct buf *b, uint64_t v)
{
	pack_little_endian(b, v, 8);
}

/* Highest byte first, so that bytes sort as numbers do: in keys. */
static inline void pack_sorted(struct buf *b, uint64_t v, size_t bytes)
{
	pack_memory(b, htobe64(v << (64 - 8 * bytes)), bytes);
}

static inline void pack_sorted_u16(struct buf *b, uint16_t v)
{
	pack_sorted(b, v, 2);
}

static inline void pack_sorted_u32(struct buf *b, uint32_t v)
{
	pack_sorted(b, v, 4);
}

static inline void pack_sorted_u64(struct buf *b, uint64_t v)
{
	pack_sorted(b, v, 8);
}

void pack_bytes(struct buf *b, struct span bytes); /* u32 length, then the bytes */

struct unpacker {
	struct span rest;
	bool bad;
};

static inline uint64_t unpack_memory(struct unpacker *u, size_t bytes)
{
	uint64_t memory = 0;
	if (u->bad || u->rest.len < bytes) {
		u->bad = true;
		return 0;
	}
	memcpy(&memory, u->rest.ptr, bytes);
	u->rest = span_of(u->rest.ptr + bytes, u->rest.len - bytes);
	return memory;
}

static inline uint64_t unpack_little_endian(struct unpacker *u, size_t bytes)
{
	return le64toh(unpack_memory(u, bytes));
}

static inline uint8_t unpack_u8(struct unpacker *u)
{
	return (uint8_t)unpack_little_endian(u, 1);
}

static inline uint16_t unpack_u16(struct unpacker *u)
{
	return (uint16_t)unpack_little_endian(u, 2);
}

static inline uint32_t unpack_u32(struct unpacker *u)
{
	return (uint32_t)unpack_little_endian(u, 4);
}

static inline uint64_t unpack_u64(struct unpacker *u)
{
	return unpack_little_endian(u, 8);
}

static inline uint64_t unpack_sorted(struct unpacker *u, size_t bytes)
{
	return be64toh(unpack_memory(u, bytes)) >> (64 - 8 * bytes);
}

static inline uint32_t unpack_sorted_u32(struct unpacker *u)
{
	return (uint32_t)unpack_sorted(u, 4);
}

static inline uint64_t unpack_sorted_u64(struct unpacker *u)
{
	return unpack_sorted(u, 8);
}

struct span unpack_bytes(struct unpacker *u, size_t max); /* longer than max is a fault */

/* True if nothing was wrong and nothing is left over. */
static inline bool unpack_done(const struct unpacker *u)
{
	return !u->bad && u->rest.len == 0;
}

#endif
