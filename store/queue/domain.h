/* Jobs that are ready for a relay, by their destination: an independent list a domain, and a queue of the domains that may
 * have a job handed out, which take turns. A domain that answers slowly, or never, delays no other, however much mail waits
 * for it (RFC 5321 §4.5.4.1: "if all of these messages were retried [...] the sending system would be blocked for a long
 * period"). All calls here cost O(1), whatever waits. */
#ifndef STORE_QUEUE_DOMAIN_H
#define STORE_QUEUE_DOMAIN_H

#include "store/queue/message.h"

enum {
	/* Jobs at relays at once for one domain. A job that reaches no server halves it, since it holds its place in relay for
	 * minutes, and a few dead domains would take all of them; one that is answered doubles it. */
	DOMAIN_JOBS_FIRST = 5,
	DOMAIN_JOBS_MOST = 20,
	/* Jobs that are put off at once, untried, when the domain has one place left and does not answer again (RFC 5321
	 * §4.5.4.1: "rather than just retrying queued mail items"): each is a write, and others wait for their turn. */
	DOMAIN_PUT_OFF_MOST = 200,
	/* Jobs of one domain that are ready, in memory; more messages for it are parked: on the disk, and here by their ids. */
	DOMAIN_READY_MOST = 500,
};

/* RFC 6710 §5: the urgent ones first. Of its 19 priorities these are told apart; what relay passes on is the number itself. */
enum urgency { URGENT, NORMAL, PATIENT, URGENCIES };

struct domain;

/* One message for the recipients at one domain. */
struct relay_job {
	struct relay_job *next;
	uint64_t number;
	struct queued *message;
	peer_id relay;           /* that has it; 0: it is ready */
	struct domain *domain;
	uint32_t *recipients;    /* indexes */
	uint32_t count;
	uint8_t route;           /* enum route */
	uint8_t tls;             /* enum route_tls */
	bool is_answered;        /* a server has said something about it, or the DNS that there is none */
	bool is_silent;          /* no server was reached */
};

struct domain {
	struct domain *same_hash, *next_turn;
	uint64_t hash;
	struct ready {
		struct relay_job *first, **last;
	} ready[URGENCIES];
	size_t ready_count;
	struct buf parked;       /* ids, the first at parked_at */
	size_t parked_at;
	struct domain *next_hungry;
	bool is_hungry;          /* it stands in the list of those: few jobs are ready, and something is parked */
	unsigned active, most;   /* jobs at relays */
	bool has_turn;           /* it stands in the queue of turns: when it came in, a job was ready and active < most */
	char name[];             /* in lower case: RFC 1035 §2.3.3 */
};

struct domains {
	struct map by_hash;      /* chains of those that have a job */
	struct domain *turn, **turn_last, *hungry;
	size_t ready_count;      /* of all domains */
	uint64_t secret;         /* so that nobody can choose names that share a chain */
};

void domains_open(struct domains *d);
/* The job is ready: puts it behind the others for its domain that are as urgent. */
void domains_add_job(struct domains *d, struct span name, struct relay_job *j);
/* The job whose turn it is, which is then at a relay until domains_end_job; NULL if none may be handed out. */
struct relay_job *domains_take_job(struct domains *d);
/* The job, which was taken, is off the relay's hands. Returns a list of those that are to be put off, as the domain does not
 * answer: they are the caller's. */
struct relay_job *domains_end_job(struct domains *d, struct relay_job *j);

/* So many jobs are ready for it that the next message is to be parked. */
bool domains_are_full(const struct domains *d, struct span name);
void domains_park(struct domains *d, struct span name, struct id128 id);
/* A message that was parked, for a domain that has room for its job; false if there is none. It may have gone meanwhile. */
bool domains_unpark(struct domains *d, struct id128 *id);
bool domains_are_hungry(const struct domains *d);

#endif
