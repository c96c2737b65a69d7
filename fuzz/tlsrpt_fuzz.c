/* Any bytes as a TXT record of TLSRPT, as a report, as what gzip has packed, and as sums: what is read keeps to its bounds, and sums that are
 * written and read again are the same. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/gzip.h"
#include "wire/tlsrpt_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sums(const struct tlsrpt_sums *s)
{
	BUF_AUTO packed = {0}, again_packed = {0};
	struct tlsrpt_sums again;
	tlsrpt_sums_pack(s, &packed);
	if (packed.len > TLSRPT_SUMS_BYTES_MOST || tlsrpt_sums_unpack(buf_span(&packed), &again))
		die("sums that are none");
	tlsrpt_sums_pack(&again, &again_packed);
	if (!span_equal(buf_span(&packed), buf_span(&again_packed)))
		die("sums that are others when they are read again");
}

static void read_report(struct span json)
{
	ARENA_AUTO a = {0};
	struct tlsrpt_sums s;
	if (tlsrpt_report_read(json, &a, &s, NULL) == 0)
		check_sums(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), uris[TLSRPT_URIS_MOST];
	struct tlsrpt_sums s;
	BUF_AUTO out = {0};
	int count = tlsrpt_find_uris(&in, 1, uris, NULL);
	for (int i = 0; i < count; i++)
		if (!tlsrpt_uri_is_valid(uris[i]))
			die("a URI that is none");
	read_report(in);
	if (tlsrpt_sums_unpack(in, &s) == 0)
		check_sums(&s);
	if (gzip_unpack(in, 100000, &out, NULL) == 0)
		read_report(buf_span(&out));
	return 0;
}
