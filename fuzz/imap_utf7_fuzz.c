/* Modified UTF-7: what decodes encodes to the same bytes again; what is encoded decodes to the same name. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/imap_utf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	BUF_AUTO name = {0};
	BUF_AUTO encoded = {0};
	BUF_AUTO again = {0};

	if (imap_utf7_decode(in, &name) == 0) {
		imap_utf7_encode(buf_span(&name), &encoded);
		if (!utf8_is_valid(buf_span(&name)) || !span_equal(buf_span(&encoded), in))
			die("two encodings of one name");
	}
	buf_clear(&name);
	buf_clear(&encoded);
	imap_utf7_encode(in, &encoded);
	if (utf8_has_8bit(buf_span(&encoded)))
		die("8-bit in an encoded name");
	if (utf8_is_valid(in) && span_chr(in, 0) < 0 && (imap_utf7_decode(buf_span(&encoded), &again) || !span_equal(buf_span(&again), in)))
		die("a name does not come back");
	return 0;
}
