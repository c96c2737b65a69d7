/* Addresses: what is accepted has a canonical form that is accepted again and is its own canonical form. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/address.h"
#include "wire/next_hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(const struct address *a)
{
	BUF_AUTO once = {0};
	BUF_AUTO twice = {0};
	struct address again;

	if (a->is_null || a->is_postmaster || address_canonical(a, &once, NULL) < 0)
		return;
	/* Folding may make a local part longer than its limit. */
	if (address_parse_mailbox(buf_span(&once), ADDRESS_UTF8 | ADDRESS_LOOSE, &again, NULL) < 0)
		return;
	if (address_canonical(&again, &twice, NULL) < 0 || !span_equal(buf_span(&once), buf_span(&twice)))
		die("the canonical form is not stable");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address a;
	struct error why;
	struct span in;
	unsigned flags;
	ssize_t taken;

	if (size == 0)
		return 0;
	flags = data[0] & 15;
	in = span_of(data + 1, size - 1);
	taken = address_parse_path(in, flags, &a, &why);
	if (taken > (ssize_t)in.len)
		die("more taken than there was");
	if (taken >= 0)
		check_canonical(&a);
	if (address_parse_mailbox(in, flags, &a, &why) == 0)
		check_canonical(&a);
	struct next_hop hop;
	if (next_hop_parse(in, &hop, &why) == 0 && (hop.host.len == 0 || hop.host.len > 255))
		die("a next hop that is no host");
	return 0;
}
