/* Frames and messages as a hostile process would send them: every message type's unpacker. */
#include "ipc/frame.h"
#include "ipc/messages.gen.h"
#include "ipc/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct frame frame;
	ssize_t taken;
	while ((taken = frame_parse(in, &frame)) > 0) {
		msg_check(frame.type, frame.payload);
		in = span_skip(in, (size_t)taken);
	}
	if (size > 2)
		msg_check((uint16_t)(data[0] % 128), span_of(data + 1, size - 1));
	ARENA_AUTO a = {0};
	struct span *words;
	words_unpack(span_of(data, size), &a, &words);
	ranges_are_valid(span_of(data, size));
	return 0;
}
