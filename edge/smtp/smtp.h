/* The server side of SMTP (RFC 5321), LMTP (RFC 2033) and submission (RFC 6409). */
#ifndef EDGE_SMTP_SMTP_H
#define EDGE_SMTP_SMTP_H

#include "edge/connection.h"

extern const struct protocol smtp_protocol, lmtp_protocol, submission_protocol, local_protocol;

/* store's answers to questions of edge/smtp/transaction.c. */
void smtp_sender_answered(struct connection *c, const struct msg_sender_answer *m);
void smtp_rcpt_answered(struct connection *c, const struct msg_rcpt_answer *m);

#endif
