/* One question to the DNS, by libunbound in the process's event loop: recursion or a forwarder, DNSSEC, time-outs. */
#ifndef RESOLVE_LOOKUP_H
#define RESOLVE_LOOKUP_H

#include "base/loop.h"
#include "base/span.h"
#include "config/config.h"

struct dns;

/* Opens all files that it ever will. Ends the process if libunbound does not start. */
struct dns *dns_new(struct loop *l, const struct config *config);
/* No lookup may be under way. */
void dns_free(struct dns *d);

enum lookup_outcome {
	LOOKUP_ANSWER,   /* `message` has it; there may be no record of the type in it */
	LOOKUP_NO_NAME,  /* NXDOMAIN */
	LOOKUP_LATER,    /* `text` says why: time-out, SERVFAIL, bogus */
};

struct lookup_result {
	enum lookup_outcome outcome;
	struct span message; /* valid during the call */
	bool is_secure;      /* DNSSEC has proved the answer */
	bool is_bogus;       /* LOOKUP_LATER, since DNSSEC has disproved it */
	char text[160];      /* printable ASCII */
};

typedef void lookup_done_fn(void *context, const struct lookup_result *result);

/* Embedded in whoever asks; zeroed is ready. */
struct lookup {
	struct dns *dns;
	struct timer *timer;
	lookup_done_fn *done;
	void *context;
	int id;            /* libunbound's */
	bool *is_answered; /* of lookup_start, while it runs */
	bool is_under_way;
};

/* Calls done once, perhaps before it returns. */
void lookup_start(struct lookup *q, struct dns *d, const char *name, unsigned type, lookup_done_fn *done, void *context);
/* done is not called any more. */
void lookup_cancel(struct lookup *q);

#endif
