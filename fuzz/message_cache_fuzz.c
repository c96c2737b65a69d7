/* The message cache as hostile bytes; and an ENVELOPE without literals can be kept. */
#include <stddef.h>
#include <stdint.h>

#include "wire/imap_envelope.h"
#include "wire/imap_structure.h"
#include "wire/message_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO arena = {0};
	BUF_AUTO out = {0}, envelope = {0};
	struct mime_tree tree;
	uint32_t numbers[] = {1, 2, 1};

	if (message_cache_unpack(span_of(data, size), &arena, &tree, NULL) < 0)
		return 0;
	imap_render_body(&tree, 0, true, 0, &out);
	imap_render_envelope(tree.parts[0].envelope, 0, &envelope);
	if (!imap_envelope_is_valid(buf_span(&envelope)) && span_chr(buf_span(&envelope), '\n') < 0)
		__builtin_trap();
	mime_find_section(&tree, numbers, 3);
	return 0;
}
