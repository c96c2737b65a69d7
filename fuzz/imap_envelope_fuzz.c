/* A kept ENVELOPE: hostile bytes that pass are one item of FETCH, without line ends and 8-bit bytes, whose parentheses match. */
#include <stddef.h>
#include <stdint.h>

#include "wire/imap_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_quoted = false;
	size_t depth = 0;
	if (!imap_envelope_is_valid(span_of(data, size)))
		return 0;
	for (size_t i = 0; i < size; i++) {
		if ((data[i] < ' ' && data[i] != '\t') || data[i] > '~')
			__builtin_trap();
		if (is_quoted && data[i] == '\\')
			i++;
		else if (data[i] == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && data[i] == '(')
			depth++;
		else if (!is_quoted && data[i] == ')' && --depth == 0 && i + 1 != size)
			__builtin_trap();
	}
	if (is_quoted || depth)
		__builtin_trap();
	return 0;
}
