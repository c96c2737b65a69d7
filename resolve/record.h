/* Records of one name and type, for whoever asks by dns_ask (auth/dns.h says what an answer has). */
#ifndef RESOLVE_RECORD_H
#define RESOLVE_RECORD_H

#include "auth/dns.h"
#include "resolve/process.h"

/* Answers with one dns_answer, perhaps before it returns. */
void record_ask(struct resolve_peer *peer, const struct msg_dns_ask *m);
/* Ends all questions of the peer: with the answer that they should be asked again later, or with none if why is NULL. */
void record_end_all(struct resolve_peer *peer, const char *why);

/* For whoever asks by resolve/lookup.h itself.
 *
 * False if no question can have the name (auth/dns.h). */
bool record_is_name(struct span name);
/* The answer section's records of the type, as auth/dns.h has them: words point into `values`. Their number. */
size_t record_values(struct span message, enum dns_type type, struct buf *values, struct span words[DNS_RECORDS_MOST]);

#endif
