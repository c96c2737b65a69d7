/* Any bytes as a rewritten sender: refused, as nobody but us makes one; and any sender that is rewritten comes back as it was. */
#include "auth/srs.h"
#include "base/die.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char key[SRS_KEY_BYTES] = "a key that no input has";
	struct span in = span_of(data, size);
	BUF_AUTO made = {0}, back = {0};
	srs_is(in);
	if (srs_undo(key, in, 20000, &back) == 0 && size < 20)
		die("a hash was guessed");
	buf_clear(&back);
	if (srs_make(key, in, SPAN("ours.example"), 20000, &made))
		return 0;
	struct span local = span_slice(buf_span(&made), 0, (size_t)span_rchr(buf_span(&made), '@'));
	if (span_starts_with(local, SPAN("SRS0=")) && span_chr(span_skip(in, (size_t)(span_rchr(in, '@') + 1)), '=') < 0 &&
	    (srs_undo(key, local, 20000, &back) || !span_equal(buf_span(&back), in)))
		die("a sender does not come back");
	return 0;
}
