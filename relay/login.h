/* Logging in at relay_host (RFC 4954 as a client): the file with name and password, and AUTH PLAIN or LOGIN with them. */
#ifndef RELAY_LOGIN_H
#define RELAY_LOGIN_H

#include "relay/session.h"

/* Reads the file that master has handed over, if the setting names one. What cannot be read is logged, and mail for relay_host waits. */
void login_load(struct relay_process *p, const struct config *config);
/* After EHLO on a connection that has TLS and a proved peer. */
void login_begin(struct session *s);
void login_on_reply(struct session *s, const struct reply *r);

#endif
