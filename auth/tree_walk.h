/* The DNS tree walk of DMARC: RFC 9989 §4.10. From a domain up to the root's child, at most eight questions; what was found on the way
 * says which domain is the organisation's. */
#ifndef AUTH_TREE_WALK_H
#define AUTH_TREE_WALK_H

#include "auth/dns.h"
#include "base/buf.h"
#include "base/loop.h"
#include "wire/dmarc.h"

enum { TREE_WALK_MOST = 8 };

struct tree_step {
	struct span domain;      /* within the walk's */
	struct buf txt;
	struct dmarc_record record;
};

struct tree_walk {
	struct dns_client *dns;
	char domain[256];        /* where it starts: A-labels, lower case */
	struct span at;          /* the part that is asked about */
	struct tree_step found[TREE_WALK_MOST]; /* in the order of the walk: the longest name first */
	size_t found_count;
	bool has_failed;         /* the DNS did not answer: nothing that was found says anything */
	struct dns_question *question;
	loop_fn *done;
	void *context;
};

/* Calls done(context) later. w is zeroed; the domain is copied. */
void tree_walk_start(struct tree_walk *w, struct dns_client *dns, struct span domain, loop_fn *done, void *context);
/* At any time; done is not called any more. */
void tree_walk_free(struct tree_walk *w);
/* The organisational domain (§4.10.2): within w->domain; the domain itself if nothing was found. */
struct span tree_walk_organisation(const struct tree_walk *w);
/* The record found at the domain; NULL if there was none. */
const struct dmarc_record *tree_walk_record(const struct tree_walk *w, struct span domain);

#endif
