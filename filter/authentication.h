/* The inside of an authentication, for filter/authenticate.c, which finds things out, and filter/results.c, which tells them. */
#ifndef FILTER_AUTHENTICATION_H
#define FILTER_AUTHENTICATION_H

#include "auth/dns_lists.h"
#include "auth/spf.h"
#include "auth/spf_name.h"
#include "base/arena.h"
#include "filter/authenticate.h"

struct authentication {
	const char *hostname;
	struct dns_client *dns;
	struct loop *loop;
	struct arena memory;
	struct timer *timer;
	struct span client_address, helo, reverse_path, header;
	unsigned char ip[16];
	struct spf_names names;
	struct dns_lists_check *lists;
	struct spf_check *spf;
	const char *arc_trusted;       /* the setting */
	struct dkim_fields fields;     /* of the header */
	struct dkim_bodies bodies;
	struct dkim_check *dkim;
	struct arc_check *arc;
	struct dmarc_check *dmarc[AUTHENTICATE_AUTHORS_MOST]; /* one an author's domain, in turn */
	struct span authors[AUTHENTICATE_AUTHORS_MOST];
	size_t author_count, dmarc_count;
	struct testimony {
		struct dmarc_check *check;     /* of what the last seal's results say of SPF and DKIM; NULL: they did not need it */
		bool is_for_author, is_later;
	} testimonies[AUTHENTICATE_AUTHORS_MOST]; /* in the order of the authors */
	size_t testimony_count;
	bool has_names, has_lists, has_spf, has_dkim, has_arc, has_ended; /* what is decided */
	bool has_dmarc_begun, has_testimonies;
	bool has_too_many_authors, wants_body_hash;
	loop_fn *named, *done;
	void *named_context, *context;
};

/* True if the chain's seal vouches for an author whom nothing else vouches for: by the setting arc_trusted. */
bool authentication_is_overridden(const struct authentication *a, size_t author);

#endif
