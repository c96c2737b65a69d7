/* DMARC policy records as text: RFC 9989 §4.7 (before it RFC 7489 §6.3). */
#ifndef WIRE_DMARC_H
#define WIRE_DMARC_H

#include "base/span.h"

enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };
enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_NO, DMARC_PSD_YES };

struct dmarc_record {
	enum dmarc_policy policy, subdomain_policy, nonexistent_policy; /* sp= falls back to p=, np= to sp= */
	bool has_nonexistent_policy;
	bool is_dkim_strict, is_spf_strict;
	bool is_testing;         /* t=y */
	enum dmarc_psd psd;
	struct span reports_to;  /* rua= as it stands; empty: none */
};

/* True if a TXT record says that it is one: others are not looked at. */
bool dmarc_is_record(struct span txt);
/* Parses one; spans point into it. 0, or -1 if it counts as none: it is no list of tags, or has no policy and nobody to report to.
 * Unknown tags and values are passed over (§4.8 of RFC 9989). */
int dmarc_parse(struct span txt, struct dmarc_record *out);

#endif
