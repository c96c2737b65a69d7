/* The validated names of an address: RFC 7208 §5.5. Names that the reverse zone gives, of which the DNS says that they have the
 * address. */
#ifndef AUTH_SPF_NAME_H
#define AUTH_SPF_NAME_H

#include "auth/dns.h"
#include "base/buf.h"
#include "base/loop.h"

enum { SPF_NAMES_MOST = 10 }; /* §4.6.4: the others are ignored */

/* The address is four or sixteen bytes. */
struct spf_names {
	struct dns_client *dns;
	struct span address;
	char names[SPF_NAMES_MOST][256];
	bool is_valid[SPF_NAMES_MOST];
	size_t count, at;
	bool is_void; /* there was no name at all */
	struct dns_question *question;
	loop_fn *done;
	void *context;
};

/* "1.2.0.192.": an address from behind, octet by octet, or nibble by nibble (RFC 5782 §2.1, §2.4), appended. */
void address_reversed(struct span address, struct buf *out);
/* "1.2.0.192.in-addr.arpa": appended. */
void spf_reverse_name(struct span address, struct buf *out);
/* Calls done(context) later. n is zeroed; the address stays where it is. */
void spf_names_start(struct spf_names *n, struct dns_client *dns, struct span address, loop_fn *done, void *context);
void spf_names_cancel(struct spf_names *n);
/* True if a validated name is the domain or below it. */
bool spf_names_fit(const struct spf_names *n, struct span domain);
/* For %{p} (§7.3): the domain itself, else one below it, else any, else "unknown". */
struct span spf_names_best(const struct spf_names *n, struct span domain);

#endif
