/* Jobs that are ready for a relay, by their destination and their sender. Senders take turns, and so do the destinations of each; the places
 * that a destination has at relays go round among the senders who have mail for it. So a domain that answers slowly, or never, delays no
 * other, however much mail waits for it (RFC 5321 §4.5.4.1: "if all of these messages were retried [...] the sending system would be
 * blocked for a long period"), and somebody's hundred thousand letters do not delay the one that another account sends. A sender is an
 * account; all that did not come from a login is of one. All calls here cost O(1), whatever waits. */
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
	/* Jobs of one sender for one domain that are ready, in memory; more messages are parked: on the disk, and here by their ids. */
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

/* What one sender has for one domain. */
struct line {
	struct line *same_hash, *next_turn, *next_hungry;
	uint64_t hash;
	struct domain *domain;
	struct sender *sender;
	struct ready {
		struct relay_job *first, **last;
	} ready[URGENCIES];
	size_t ready_count;
	struct buf parked;       /* ids, the first at parked_at */
	size_t parked_at;
	bool is_hungry;          /* it stands in the list of those: few jobs are ready, and something is parked */
	/* It waits for a place at its domain, or has one, and waits for its sender's turn; in neither list without a job that is ready. */
	enum { LINE_NOWHERE, LINE_WAITS, LINE_HAS_PLACE } stands;
};

struct lines {
	struct line *first, **last;
};

struct sender {
	struct sender *next_turn;
	uint64_t submitter;
	struct lines turns;      /* those with a place: its destinations take turns */
	bool has_turn;           /* it stands in the queue of turns */
	size_t line_count;
};

struct domain {
	struct domain *same_hash;
	uint64_t hash;
	unsigned active, given, most; /* jobs at relays; places that lines have beside these; both together */
	struct lines waiting;
	size_t line_count;
	char name[];             /* in lower case: RFC 1035 §2.3.3 */
};

struct domains {
	struct map by_hash;      /* chains of those that have a job, or something parked */
	struct map lines;        /* the same, by domain and sender */
	struct map senders;      /* by submitter + 1 */
	struct sender *turn, **turn_last;
	struct line *hungry;
	size_t ready_count;      /* of all */
	uint64_t secret;         /* so that nobody can choose names that share a chain */
};

void domains_open(struct domains *d);
/* The job is ready: puts it behind the others of its sender for its domain that are as urgent. */
void domains_add_job(struct domains *d, struct span name, struct relay_job *j);
/* The job whose turn it is, which is then at a relay until domains_end_job; NULL if none may be handed out. */
struct relay_job *domains_take_job(struct domains *d);
/* The job, which was taken, is off the relay's hands. Returns a list of those that are to be put off, as the domain does not
 * answer: they are the caller's. */
struct relay_job *domains_end_job(struct domains *d, struct relay_job *j);

/* So many jobs of the sender are ready for it that his next message is to be parked. */
bool domains_are_full(const struct domains *d, struct span name, uint64_t submitter);
void domains_park(struct domains *d, struct span name, uint64_t submitter, struct id128 id);
/* A message that was parked, where there is room for its job now; false if there is none. It may have gone meanwhile. */
bool domains_unpark(struct domains *d, struct id128 *id);
bool domains_are_hungry(const struct domains *d);

#endif
