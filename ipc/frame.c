/* Frames: the unit in which messages travel between processes. */
#include "ipc/frame.h"

#include "base/pack.h"

size_t frame_begin(struct buf *frames, uint16_t type, uint32_t epoch)
{
	size_t start = frames->len;
	pack_u32(frames, 0);
	pack_u16(frames, type);
	pack_u8(frames, FRAME_VERSION);
	pack_u8(frames, 0);
	pack_u32(frames, epoch);
	return start;
}

void frame_end(struct buf *frames, size_t start)
{
	size_t len = frames->len - start - FRAME_HEAD_BYTES;
	for (size_t i = 0; i < 4; i++)
		frames->ptr[start + i] = (char)(len >> (8 * i));
}

ssize_t frame_parse(struct span in, struct frame *out)
{
	if (in.len < FRAME_HEAD_BYTES)
		return 0;
	struct unpacker u = {.rest = in};
	size_t len = unpack_u32(&u);
	out->type = unpack_u16(&u);
	uint8_t version = unpack_u8(&u), zero = unpack_u8(&u);
	out->epoch = unpack_u32(&u);
	if (version != FRAME_VERSION || zero != 0 || len > FRAME_PAYLOAD_BYTES_MOST)
		return -1;
	if (u.rest.len < len)
		return 0;
	out->payload = span_slice(u.rest, 0, len);
	return (ssize_t)(FRAME_HEAD_BYTES + len);
}
