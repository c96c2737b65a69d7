/* What store needs of the world for reports of TLS (RFC 8460): where a domain wants them, and posting them there. */
#ifndef RESOLVE_REPORT_H
#define RESOLVE_REPORT_H

#include "ipc/messages.gen.h"
#include "resolve/policy.h"

/* Answered by rua_answer, and report_posted. */
void rua_ask(struct policies *p, const struct msg_rua_ask *m);
void report_post(struct policies *p, const struct msg_report_post *m);
/* The resolver is being changed: all that is under way has failed for now. Before fetches end. */
void reports_end(struct policies *p);

#endif
