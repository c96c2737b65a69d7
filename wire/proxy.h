/* The PROXY protocol, versions 1 and 2, as HAProxy's document of that name has it: what a proxy says, before the client's first
 * byte, of the connection that it brings. */
#ifndef WIRE_PROXY_H
#define WIRE_PROXY_H

#include "base/error.h"
#include "base/span.h"

#include <netinet/in.h>

/* The longest header that is waited for: 16 octets, the addresses, and what some proxies tell behind them (§2.2.7). */
enum { PROXY_HEADER_MAX = 2048 };

struct proxy_header {
	char client[INET6_ADDRSTRLEN]; /* empty: the proxy connects for itself, or does not know for whom (LOCAL, UNKNOWN) */
};

/* Reads the header at the start of `in`. The octets that it has; 0: more are needed to tell; -1 with *why: there is none. */
ssize_t proxy_parse(struct span in, struct proxy_header *out, struct error *why);

#endif
