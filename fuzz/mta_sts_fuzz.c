/* Any bytes as a TXT record of MTA-STS, and as a policy: what is read keeps to its bounds, and a policy that is read again is the same. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), id;
	struct mta_sts_policy p, again;
	ssize_t end = span_chr(in, '\0');
	struct span records[2] = {end < 0 ? in : span_slice(in, 0, (size_t)end), end < 0 ? SPAN("") : span_skip(in, (size_t)end + 1)};
	if (mta_sts_find_id(records, 2, &id, NULL) > 0 && !mta_sts_id_is_valid(id))
		die("an id that is none");
	if (mta_sts_policy_parse(in, &p, NULL))
		return 0;
	if (p.max_age_s > MTA_STS_MAX_AGE_MOST_S || p.mode > MTA_STS_ENFORCE || mta_sts_policy_parse(p.text, &again, NULL) || p.mode != again.mode)
		die("a policy that is none");
	if (mta_sts_policy_has(&p, SPAN("")) || mta_sts_policy_has(&p, SPAN("*")))
		die("no host is in a policy");
	mta_sts_policy_has(&p, span_slice(in, size / 2, 20));
	return 0;
}
