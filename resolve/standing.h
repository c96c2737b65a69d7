/* Whether receivers elsewhere would take mail from the addresses of this machine: by IPv4, and by IPv6. Many refuse it from an address
 * without a reverse name that leads back to it, and from one that the sender's SPF record leaves out; which is often forgotten for one of
 * the families. Where one fits, mail does not leave by the other.
 *
 * A family of which this machine has no address that leads to the world fits nobody. What cannot be known counts as fitting: of a private address (there is a translation to another before the world), and while the DNS
 * does not answer. What was found of a sender's domain is remembered for some minutes. */
#ifndef RESOLVE_STANDING_H
#define RESOLVE_STANDING_H

#include "auth/dns.h"
#include "base/map.h"
#include "ipc/child.h"

struct verdict_on_sender;

struct standing {
	struct child *self;       /* our name, and smtp_out_address */
	struct dns_client *dns;
	struct map by_hash;       /* chains of struct verdict_on_sender, by the domain */
	size_t count;
	uint64_t secret;          /* so that nobody can choose names that share a chain */
};

/* Embedded in whoever asks; zeroed is ready. */
struct standing_question {
	struct standing_question *next;
	struct verdict_on_sender *waits_for; /* NULL: it is answered, or was never asked */
	loop_fn *done;
	void *context;
	bool v4_fits, v6_fits;    /* the answer */
};

void standing_open(struct standing *s, struct child *self, struct dns_client *dns);
/* Forgets all. No question may be under way. */
void standing_end(struct standing *s);
/* Forgets what is found: the settings may be others now. */
void standing_forget(struct standing *s);
/* sender: the domain of the envelope's sender; empty: of the null reverse-path, for which the host's name stands (RFC 7208 §2.4). Calls done
 * once, perhaps before it returns. */
void standing_ask(struct standing_question *q, struct standing *s, struct span sender, loop_fn *done, void *context);
/* done is not called any more. */
void standing_cancel(struct standing_question *q);

#endif
