/* Does the chain of those who handed a message on hold? RFC 8617 §5.2; and what its last link says of the message.
 *
 * What a message may cost is bounded as for DKIM (attack 55): so many different keys are asked for, and so many ARC-Message-Signatures are
 * looked at. A chain that needs more keys than that is not judged. */
#ifndef AUTH_ARC_H
#define AUTH_ARC_H

#include "auth/dkim.h"
#include "auth/dmarc.h"
#include "wire/arc.h"

enum { ARC_KEYS_MOST = DKIM_SIGNATURES_MOST, ARC_MESSAGES_MOST = DKIM_SIGNATURES_MOST };

struct arc_result {
	enum auth_outcome outcome; /* none, pass, fail */
	const char *reason;        /* of a fail, printable */
	bool is_later;             /* it fails because a key cannot be had now, and for nothing else */
	bool is_beyond_us;         /* it fails because it needs too many keys, and for nothing else: others may find that it holds */
	unsigned oldest_pass;      /* of a pass: the oldest instance whose ARC-Message-Signature holds, 0 if all do (§5.2 step 5) */
	struct span sealer;        /* d= of the newest seal; empty: there is no sound chain */
	struct span results;       /* of the newest set, behind its instance (wire/authentication_results.h) */
};

struct arc_check;

/* header: the message's; fields: the same, read; bodies: what its body is fed to from now on. They outlive the check. The keys are asked
 * for at once. now_s: wall clock. */
struct arc_check *arc_check_new(struct dns_client *dns, struct span header, const struct dkim_fields *fields, struct dkim_bodies *bodies,
                                int64_t now_s);
/* The body is whole (dkim_bodies_end): calls done(context) once all keys are there, perhaps before it returns. */
void arc_check_end(struct arc_check *c, loop_fn *done, void *context);
/* The outcome is there when done was called, sealer and results at once. Valid as long as the check. */
const struct arc_result *arc_check_result(const struct arc_check *c);
/* At any time. */
const struct arc_chain *arc_check_chain(const struct arc_check *c);
/* Also before done was called, which is not called any more. NULL is allowed. */
void arc_check_free(struct arc_check *c);

/* True if results of another server say that DMARC passed for this author's domain. If they do not, *facts has what they say of SPF and
 * DKIM, for a check of our own whether that is of the author; in the arena. */
bool arc_results_vouch(struct span results, struct span author, struct arena *a, struct dmarc_facts *facts);

#endif
