/* Who asks the DNS for the checks in this folder: filter by way of resolve, a command by itself. A check takes one and never
 * knows which.
 *
 * A question is answered once, by `done`, always later than `ask` returns; or it is cancelled, and never answered then. Answers
 * come from strangers: the number and the size of records is bounded, their content is not checked. */
#ifndef AUTH_DNS_H
#define AUTH_DNS_H

#include "base/span.h"

/* RFC 1035 §3.2.2, RFC 3596, RFC 6698 §7.1: the numbers of the types. */
enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };

enum dns_outcome {
	DNS_ANSWER,  /* records of the type, or none ("NODATA") */
	DNS_NO_NAME, /* NXDOMAIN */
	DNS_LATER,   /* time-out, SERVFAIL, bogus DNSSEC: may be asked again */
};

enum { DNS_RECORDS_MOST = 256 };

/* Records are
 *   A, AAAA  4 or 16 bytes
 *   MX       the preference in two bytes (RFC 1035 §3.3.9), then the host's name as text, empty for the root
 *   PTR      the name as text
 *   TXT      the record's strings one after the other, without anything between them (RFC 7208 §3.3, RFC 6376 §3.6.2.2)
 *   TLSA     as on the wire
 * Names have no dot at their end and are in lower case. All of it is valid during the call only. */
struct dns_answer {
	enum dns_outcome outcome;
	bool is_secure; /* DNSSEC has proved it */
	const struct span *records;
	size_t count;
	struct span text; /* of DNS_LATER: why, printable ASCII */
};

typedef void dns_done_fn(void *context, const struct dns_answer *answer);

struct dns_question; /* the client's own */

struct dns_client {
	/* name: without a dot at its end; one that no question can have (too long, an empty label, a byte that is no printable
	 * ASCII, a backslash) is answered with DNS_NO_NAME. */
	struct dns_question *(*ask)(struct dns_client *c, enum dns_type type, struct span name, dns_done_fn *done, void *context);
	void (*cancel)(struct dns_client *c, struct dns_question *q);
};

#endif
