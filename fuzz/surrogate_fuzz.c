/* Headers of internationalized messages: a surrogate has no UTF-8 any more. */
#include "wire/surrogate.h"

#include "base/die.h"
#include "base/utf8.h"
#include "wire/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BUF_AUTO made = {0};
	surrogate_header(span_of(data, size), &made);
	struct header_reader r = {.header = buf_span(&made)};
	struct header_field f;
	while (header_next(&r, &f))
		if (utf8_has_8bit(f.whole) && utf8_is_valid(f.whole))
			die("a surrogate has UTF-8");
	return 0;
}
