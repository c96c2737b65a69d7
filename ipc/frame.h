/* A frame is 12 bytes of head and a payload:
 *   u32 length of the payload, u16 type, u8 version, u8 zero, u32 epoch of the configuration. */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include "base/buf.h"

enum {
	FRAME_HEAD_BYTES = 12,
	FRAME_VERSION = 1,
	FRAME_PAYLOAD_BYTES_MOST = 2 * 1024 * 1024 + 128 * 1024, /* the largest message of messages.def */
};

struct frame {
	uint16_t type;
	uint32_t epoch;
	struct span payload;
};

/* Starts a frame at the end of `frames` and returns where; frame_end fills its length in. */
size_t frame_begin(struct buf *frames, uint16_t type, uint32_t epoch);
void frame_end(struct buf *frames, size_t start);

/* Takes one frame off the front of `in`: the bytes taken, 0 if it is not whole yet, -1 if it is not a frame of ours. */
ssize_t frame_parse(struct span in, struct frame *out);

#endif
