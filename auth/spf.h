/* May this client send for this domain? RFC 7208 §4: check_host(), and §2.3, §2.4: with HELO where MAIL FROM is empty. */
#ifndef AUTH_SPF_H
#define AUTH_SPF_H

#include "auth/dns.h"
#include "auth/outcome.h"
#include "base/loop.h"

struct spf_facts {
	struct span ip;          /* as text; an IPv4 address in IPv6 (::ffff:) is taken as IPv4 */
	struct span helo;
	struct span mail_from;   /* "local@domain", without brackets; empty: HELO's domain is checked, as postmaster@ */
	struct span receiver;    /* our own name, for explanations */
	int64_t now_s;           /* of the wall clock, for explanations */
};

struct spf_result {
	enum auth_outcome outcome; /* none, neutral, pass, fail, softfail, temperror, permerror */
	struct span domain;        /* that was checked; empty: there was none */
	struct span term;          /* that decided it, as it stands in the record; empty: none did */
	struct span explanation;   /* of a fail: the domain's own words (§6.2), printable ASCII from outside; or empty */
	const char *reason;        /* of temperror, permerror and none */
};

struct spf_check;

/* The facts are copied. */
struct spf_check *spf_check_new(struct dns_client *dns, const struct spf_facts *facts);
/* Calls done(context) once it is decided, perhaps before this returns. */
void spf_check_start(struct spf_check *c, loop_fn *done, void *context);
/* When done was called. Valid as long as the check. */
const struct spf_result *spf_check_result(const struct spf_check *c);
/* At any time; done is not called any more. NULL is allowed. */
void spf_check_free(struct spf_check *c);

#endif
