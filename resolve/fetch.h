/* Fetching the MTA-STS policy of a domain: RFC 8461 §3.3. One GET by HTTPS from the host that has to be asked, by libcurl in the process's
 * event loop. A stranger names the host, so that it is asked for one small text and trusted with nothing: no redirect is followed, no
 * address behind our own walls is connected to, and size and time are bounded. */
#ifndef RESOLVE_FETCH_H
#define RESOLVE_FETCH_H

#include "base/error.h"
#include "base/loop.h"
#include "base/span.h"
#include "resolve/lookup.h"

struct ssl_ctx_st;

struct fetch;

/* All that are under way, or wait for their turn. Start with zero, and `loop`, `dns` and `authorities` set. */
struct fetches {
	struct loop *loop;
	struct dns *dns;
	struct ssl_ctx_st *authorities; /* base/tls.h: tls_client_context */
	struct fetch *first, *last;
	size_t active;
	struct later turn;
};

/* Once in the process, before its sandbox closes. */
void fetch_library_start(void);

/* text: what the server has as the policy; unchecked. NULL bytes and *why if it cannot be had. Valid during the call. */
typedef void fetch_done_fn(void *context, struct span text, const struct error *why);

/* domain: canonical. Calls done once, and not before it returns. */
void fetch_start(struct fetches *all, const char *domain, fetch_done_fn *done, void *context);
/* Ends all; none is answered. */
void fetches_end(struct fetches *all);

#endif
