/* What store is told of connections for the reports of TLS (RFC 8460): which policy was to be kept, and what came of it. Once a connection,
 * and of those alone that go to a domain's own servers under its own policy: neither where an administrator has named the next hop, nor
 * for mail whose sender wants no such policy, as reports themselves (§3). What timed out is nothing to report (§4.3.4). */
#ifndef RELAY_TLS_REPORT_H
#define RELAY_TLS_REPORT_H

#include "relay/session.h"

/* The socket is connected: from where, is asked of it. */
void tls_report_connected(struct session *s, int fd);
/* The name in a greeting: its first word. */
struct span tls_report_helo(struct span greeting);
/* TLS is there; perhaps not as a policy for testing would want it. */
void tls_report_secured(const struct session *s);
/* STARTTLS is not offered (NULL), or answered so. */
void tls_report_refused(const struct session *s, const char *reply);
void tls_report_handshake_failed(const struct session *s, const char *why);
/* What resolve has found wrong, whatever hosts are left. */
void tls_report_fault(const struct job *j, const struct msg_mx_fault *m);

#endif
