/* Where the mail for a domain, or for another next hop (wire/next_hop.h), goes: RFC 5321 §5.1, null MX (RFC 7505), address literals
 * (RFC 5321 §4.1.3), TLSA records (RFC 7672). */
#ifndef RESOLVE_MX_H
#define RESOLVE_MX_H

#include "resolve/process.h"

/* Answers with one mx_answer, perhaps before it returns. */
void mx_ask(struct resolve_process *p, const struct msg_mx_ask *m);
/* Ends all questions: with the answer that they should be asked again later, or with none if nobody waits any more. */
void mx_end_all(struct resolve_process *p, const char *why);

#endif
