/* Which signatures of a message hold: RFC 6376 §6, with RFC 8301 (RSA of 1024 to 4096 bits, no SHA-1) and RFC 8463 (Ed25519).
 *
 * A signature that covers a part of the body only (l=) is no more than none: what anybody can append to is not whose it says. */
#ifndef AUTH_DKIM_H
#define AUTH_DKIM_H

#include "auth/dkim_bodies.h"
#include "auth/dkim_fields.h"
#include "auth/dns.h"
#include "auth/outcome.h"
#include "base/loop.h"

enum { DKIM_SIGNATURES_MOST = 8 }; /* of a message that are looked at: from the top (attack 55) */

struct dkim_result {
	enum auth_outcome outcome;
	const char *reason;             /* printable; "" for a pass */
	bool is_testing;                /* t=y: a fault is to be taken as none */
	bool is_expired;
	bool has_signed_report;         /* it holds, if the message is a report of TLS: also by a key for such alone (RFC 8460 §3) */
	struct dkim_signature signature; /* domain and selector are empty if it could not be read */
};

struct dkim_check;

/* The message's header, and what its body is fed to from now on; both outlive the check. The keys are asked for at once. now_s: wall
 * clock. */
struct dkim_check *dkim_check_new(struct dns_client *dns, const struct dkim_fields *fields, struct dkim_bodies *bodies, int64_t now_s);
/* The body is whole (dkim_bodies_end): calls done(context) once all keys are there, perhaps before it returns. */
void dkim_check_end(struct dkim_check *c, loop_fn *done, void *context);
/* When done was called. Valid as long as the check. */
const struct dkim_result *dkim_check_results(const struct dkim_check *c, size_t *count);
/* Also before done was called, which is not called any more. NULL is allowed. */
void dkim_check_free(struct dkim_check *c);

#endif
