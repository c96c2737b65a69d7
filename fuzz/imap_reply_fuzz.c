/* Any bytes as an IMAP server's responses: what is found lies within them, and reading lists of words ends. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/imap_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_within(struct span in, struct span part)
{
	if (part.len && (part.ptr < in.ptr || part.ptr + part.len > in.ptr + in.len))
		die("a part that is outside");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct imap_reply_fetch f;
	struct imap_reply_list l = {0};
	uint32_t number;
	BUF_AUTO word = {0};
	if (imap_reply_fetch(in, &f)) {
		look_within(in, f.flags);
		look_within(in, f.labels);
		for (size_t words = 0; imap_reply_word(&f.labels, &word); words++)
			if (words > size)
				die("words without end");
	}
	if (imap_reply_list(in, &l) && l.name.len > size)
		die("a name that is longer than what it was in");
	imap_reply_list_free(&l);
	imap_reply_code(in, "UIDNEXT", &number);
	while (imap_reply_word(&in, &word))
		continue;
	return 0;
}
