/* Listening sockets, and how many connections there may be: in all, and from one address (IPv6: one /64). */
#ifndef EDGE_LISTENER_H
#define EDGE_LISTENER_H

#include "edge/connection.h"

struct edge_listener;

struct edge_listener *listener_new(struct edge_process *e, const struct protocol *p, int fd, bool is_tls);
/* Begins to accept, once TLS is there where it is needed. */
void listener_start(struct edge_listener *l);
void listener_free(struct edge_listener *l);
/* Serves a client that has connected, on fd, which it takes; or turns it away, if there are too many. */
void listener_serve(struct edge_process *e, const struct protocol *p, int fd, const char *address, bool is_tls);
/* A connection is another client's than its proxy's (XCLIENT). false: there are too many of that client's; the count stays. */
bool listener_moved(struct edge_process *e, const char *from, const char *to);
/* A connection from there has ended. */
void listener_released(struct edge_process *e, const char *address);

#endif
