/* MTA-STS: the TXT record that says that a domain has a policy, and the policy (RFC 8461 §3).
 *
 * Pure functions over a byte range, linear in time; nothing is copied. */
#ifndef WIRE_MTA_STS_H
#define WIRE_MTA_STS_H

#include "base/error.h"
#include "base/span.h"

enum {
	MTA_STS_ID_BYTES_MOST = 32,            /* §3.1 */
	MTA_STS_POLICY_BYTES_MOST = 64 * 1024, /* §3.3 suggests it */
	MTA_STS_MAX_AGE_MOST_S = 31557600,     /* §3.2: about a year */
};

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

/* True if it can be the id of a policy. */
bool mta_sts_id_is_valid(struct span id);
/* Looks for the one record among the TXT records of _mta-sts.DOMAIN. 1 with its id; 0 if none is of MTA-STS; -1 with *why if several are,
 * or it is malformed: the domain counts as without one (§3.1). */
int mta_sts_find_id(const struct span *records, size_t count, struct span *id, struct error *why);

struct mta_sts_policy {
	enum mta_sts_mode mode;
	uint32_t max_age_s; /* a longer one is cut to the longest */
	struct span text;   /* all of it */
};

/* Parses a policy file; `text` must live as long as *out is used. Unknown fields are passed over, of a field that stands twice the first
 * counts, but for mx (§3.2). 0, or -1 with *why. */
int mta_sts_policy_parse(struct span text, struct mta_sts_policy *out, struct error *why);
/* True if one of its mx patterns is the host, or has "*" for the host's first label, and for no more (§4.1). */
bool mta_sts_policy_has(const struct mta_sts_policy *p, struct span host);

#endif
