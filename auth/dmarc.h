/* Is the author's domain the one that SPF or DKIM vouch for, and what does it ask for if not? RFC 9989 (before it RFC 7489), with the
 * organisational domain found by the tree walk. */
#ifndef AUTH_DMARC_H
#define AUTH_DMARC_H

#include "auth/dns.h"
#include "auth/outcome.h"
#include "base/loop.h"
#include "wire/dmarc.h"

enum { DMARC_SIGNERS_MOST = 8 };

struct dmarc_facts {
	struct span author;      /* domain of the From field's address */
	struct span spf_domain;  /* for which SPF passed; empty: it did not */
	struct span signers[DMARC_SIGNERS_MOST]; /* d= of the signatures that hold */
	size_t signer_count;
};

struct dmarc_result {
	enum auth_outcome outcome;  /* none (no policy), pass, fail, temperror, permerror (the domain is none) */
	enum dmarc_policy policy;   /* that applies to a fail: of the domain, of its organisation for subdomains, lowered by t=y */
	struct span author;         /* canonical */
	struct span policy_domain;  /* where the policy was found */
	bool is_testing;
};

struct dmarc_check;

/* The facts are copied. */
struct dmarc_check *dmarc_check_new(struct dns_client *dns, const struct dmarc_facts *facts);
/* Calls done(context) once it is decided, perhaps before this returns. */
void dmarc_check_start(struct dmarc_check *c, loop_fn *done, void *context);
/* When done was called. Valid as long as the check. */
const struct dmarc_result *dmarc_check_result(const struct dmarc_check *c);
/* At any time; done is not called any more. NULL is allowed. */
void dmarc_check_free(struct dmarc_check *c);

#endif
