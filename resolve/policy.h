/* The MTA-STS policies of domains (RFC 8461): which one holds for a domain now. It is looked for by the TXT record of _mta-sts.DOMAIN,
 * fetched (resolve/fetch.h) where that names one that is not known, and remembered for its max_age, also if record and server have gone
 * (§5.1): who can make both vanish must not have mail go in the clear. store keeps the policies over a restart. */
#ifndef RESOLVE_POLICY_H
#define RESOLVE_POLICY_H

#include "base/map.h"
#include "resolve/fetch.h"
#include "resolve/lookup.h"
#include "wire/mta_sts.h"
#include "wire/tlsrpt.h"

struct channel;
struct msg_policy_kept;
struct policy;

struct policies {
	struct fetches fetches;  /* set up by policies_open */
	struct map by_hash;      /* chains of struct policy */
	size_t count, bytes;     /* of those that are known, of their texts */
	struct policy *failed, **failed_last; /* those that could not be fetched lately, the first one first */
	size_t failure_count;
	uint64_t secret;         /* so that nobody can choose names that share a chain */
	struct channel *store;   /* NULL while there is none */
	bool is_told;            /* store has said what it has kept */
	struct policy_question *early; /* wait for that */
	struct report_question *reports; /* where they are to go, and posts: resolve/report.h */
};

/* policy: NULL if none holds. Valid during the call. */
typedef void policy_done_fn(void *context, const struct mta_sts_policy *policy);

/* Embedded in whoever asks; zeroed is ready. */
struct policy_question {
	struct policies *policies;
	const char *domain;              /* the asker's */
	policy_done_fn *done;
	void *context;
	struct lookup txt;
	enum tlsrpt_result fault;        /* when done is called: why there is none, although the domain has one; TLSRPT_SUCCESS: there is no fault */
	char fault_text[256];
	struct policy_question **list, *next; /* that it waits in; NULL: none */
};

/* The resolver's libunbound, and which authorities are believed. */
void policies_open(struct policies *p, struct loop *l, struct dns *dns, struct ssl_ctx_st *authorities);
/* Ends what is fetched: before `dns` goes. No question may be under way. */
void policies_end(struct policies *p);

/* domain: canonical, living until the answer. Calls done once, perhaps before it returns. */
void policy_ask(struct policy_question *q, struct policies *p, const char *domain, policy_done_fn *done, void *context);
/* done is not called any more. */
void policy_cancel(struct policy_question *q);

/* The channel to store, or NULL: it is told what it may have missed. */
void policies_attach(struct policies *p, struct channel *store);
/* What store says. False: it must not say that. */
bool policies_kept(struct policies *p, const struct msg_policy_kept *m);
void policies_told(struct policies *p);

#endif
