/* Records of one name and type, for whoever asks by dns_ask (auth/dns.h says what an answer has). */
#ifndef RESOLVE_RECORD_H
#define RESOLVE_RECORD_H

#include "resolve/process.h"

/* Answers with one dns_answer, perhaps before it returns. */
void record_ask(struct resolve_peer *peer, const struct msg_dns_ask *m);
/* Ends all questions of the peer: with the answer that they should be asked again later, or with none if why is NULL. */
void record_end_all(struct resolve_peer *peer, const char *why);

#endif
