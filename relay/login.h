/* Logging in at relay_host and at routes' next hops (RFC 4954 as a client): the file with names and passwords, and AUTH PLAIN or LOGIN with
 * them. */
#ifndef RELAY_LOGIN_H
#define RELAY_LOGIN_H

#include "relay/session.h"

/* Reads the file that master has handed over, if the setting names one. What cannot be read is logged, and mail for relay_host waits. */
void login_load(struct relay_process *p, const struct config *config);
/* What the next hop of the job is to be told; NULL: nothing. */
const struct relay_login *login_for(const struct relay_process *p, enum route route, const char *next_hop);
/* The job's mail must not leave without a login, or waits for one that could not be read. */
bool login_is_wanted(const struct relay_process *p, enum route route, const char *next_hop);
/* After EHLO on a connection that has TLS and a proved peer. */
void login_begin(struct session *s);
void login_on_reply(struct session *s, const struct reply *r);

#endif
