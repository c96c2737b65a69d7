/* Numbers and strings as bytes. */
#include "base/pack.h"

void pack_bytes(struct buf *b, struct span bytes)
{
	pack_u32(b, (uint32_t)bytes.len);
	buf_add(b, bytes);
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
