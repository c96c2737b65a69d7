/* Connections that a proxy brings: the PROXY header (wire/proxy.h) is read off the socket before anything else is, so that TLS and
 * the protocols see the client's first byte as theirs. */
#ifndef EDGE_PROXIED_H
#define EDGE_PROXIED_H

#include "edge/connection.h"

/* Waits for the header on fd, which it takes, and then serves the client (listener_serve), or closes it: without a header, with a bad
 * one, or when it does not come in time. proxy: the address that connects. */
void proxied_new(struct edge_process *e, const struct protocol *p, int fd, const char *proxy, bool is_tls);
/* Drops all that wait. */
void proxied_drop_all(struct edge_process *e);

#endif
