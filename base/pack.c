/* Numbers and strings as bytes. */
#include "base/pack.h"

#include <endian.h>

static inline void pack_number(struct buf *b, uint64_t v, size_t bytes)
{
	uint64_t little = htole64(v);
	memcpy(buf_reserve(b, bytes), &little, bytes);
	b->len += bytes;
}

void pack_u8(struct buf *b, uint8_t v)
{
	pack_number(b, v, 1);
}

void pack_u16(struct buf *b, uint16_t v)
{
	pack_number(b, v, 2);
}

void pack_u32(struct buf *b, uint32_t v)
{
	pack_number(b, v, 4);
}

void pack_u64(struct buf *b, uint64_t v)
{
	pack_number(b, v, 8);
}

void pack_bytes(struct buf *b, struct span bytes)
{
	pack_u32(b, (uint32_t)bytes.len);
	buf_add(b, bytes);
}

static inline uint64_t unpack_number(struct unpacker *u, size_t bytes)
{
	if (u->bad || u->rest.len < bytes) {
		u->bad = true;
		return 0;
	}
	uint64_t little = 0;
	memcpy(&little, u->rest.ptr, bytes);
	u->rest = span_of(u->rest.ptr + bytes, u->rest.len - bytes);
	return le64toh(little);
}

uint8_t unpack_u8(struct unpacker *u)
{
	return (uint8_t)unpack_number(u, 1);
}

uint16_t unpack_u16(struct unpacker *u)
{
	return (uint16_t)unpack_number(u, 2);
}

uint32_t unpack_u32(struct unpacker *u)
{
	return (uint32_t)unpack_number(u, 4);
}

uint64_t unpack_u64(struct unpacker *u)
{
	return unpack_number(u, 8);
}

struct span unpack_bytes(struct unpacker *u, size_t max)
{
	size_t len = unpack_u32(u);
	if (u->bad || len > max || len > u->rest.len) {
		u->bad = true;
		return (struct span){0};
	}
	struct span bytes = span_slice(u->rest, 0, len);
	u->rest = span_skip(u->rest, len);
	return bytes;
}
