/* Fetching the MTA-STS policy of a domain (RFC 8461 §3.3), and posting reports of TLS (RFC 8460 §5.4): one GET or POST by HTTPS, by libcurl
 * in the process's event loop. A stranger names the host, so that one small answer is taken and it is trusted with nothing: no redirect is followed, no
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

/* error.code of fetch_done_fn */
enum fetch_fault { FETCH_FAILED, FETCH_UNPROVED /* the server's certificate is not one to believe */ };

/* text: what the server has as the policy, or its answer to a report; unchecked. NULL bytes and *why if it cannot be had. Valid during the call. */
typedef void fetch_done_fn(void *context, struct span text, const struct error *why);

/* domain: canonical. Calls done once, and not before it returns. */
void fetch_start(struct fetches *all, const char *domain, fetch_done_fn *done, void *context);
/* Posts a report, which gzip has packed, to an https: URI; both are copied. As fetch_start. */
void fetch_post(struct fetches *all, struct span uri, struct span report, fetch_done_fn *done, void *context);
/* Ends all; none is answered. */
void fetches_end(struct fetches *all);

#endif
