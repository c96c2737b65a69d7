/* A question about where mail goes, and what is known so far. Private to mx.c (the question) and host.c (one mail host of it). */
#ifndef RESOLVE_QUESTION_H
#define RESOLVE_QUESTION_H

#include "resolve/process.h"
#include "resolve/rdata.h"

enum {
	HOSTS_MOST = 20,          /* relay tries five addresses of them */
	ADDRESSES_MOST = 8,       /* of one host */
	TLSA_MOST = 16,           /* of one host; together as many bytes: */
	TLSA_BYTES_MOST = 2000,
};

struct host {
	struct question *question;
	struct lookup v4, v6, tlsa;
	size_t waiting;           /* of v4 and v6 */
	unsigned preference;
	char name[RDATA_NAME_MOST];
	char v4_addresses[ADDRESSES_MOST][INET6_ADDRSTRLEN], v6_addresses[ADDRESSES_MOST][INET6_ADDRSTRLEN];
	size_t v4_count, v6_count;
	bool is_bogus;            /* that is why: DNSSEC has disproved what was asked for */
	bool failed_for_now;      /* its addresses or its TLSA records could not be asked for; the question's `text` says why */
	bool is_insecure;         /* DNSSEC has not proved its addresses */
	char base[RDATA_NAME_MOST]; /* whose TLSA records are asked for: where its CNAMEs lead, then the name itself (RFC 7672 §2.2.2) */
	struct buf tlsa_bytes;    /* one record after the other */
	size_t tlsa_lens[TLSA_MOST], tlsa_count;
	bool must_use_tls;        /* there are TLSA records, if perhaps none that can be used */
	enum mx_host_flags policy; /* what the MTA-STS policy says: MX_HOST_POLICY, MX_HOST_TESTED or nothing */
};

struct question {
	struct resolve_process *process;
	struct question *next, *before;
	uint64_t id;
	char domain[256];
	unsigned port;            /* where mail is brought: TLSA records are of a port */
	bool is_port_named;       /* by an administrator: it may be another server on this machine, and no loop */
	struct lookup mx;
	struct policy_question policy;
	struct standing_question standing;
	struct buf policy_text;   /* the MTA-STS policy that holds; empty: none */
	struct host hosts[HOSTS_MOST];
	size_t host_count;
	size_t waiting;           /* for the hosts' names, for the policy, and for look-ups of addresses and TLSA records */
	bool is_chosen;           /* the next hop, by an administrator */
	bool is_lax;              /* neither policy nor TLSA records matter */
	bool has_mx, is_secure;   /* DNSSEC has proved that it has these hosts */
	char text[256], refused[256];
};

/* What host.c calls: one of those less is waited for; the last one answers the question. */
void question_one_less(struct question *q);

/* Asks for the addresses of a host whose name is set, and where DNSSEC has proved the way there for its TLSA records. Calls
 * question_one_less twice, and once more for each other question that it adds to q->waiting. */
void host_ask(struct host *h);
/* Forgets what is under way. */
void host_end(struct host *h);
bool host_has_own_address(const struct host *h);
/* Tells relay, ahead of the answer. */
void host_send(const struct host *h);

#endif
