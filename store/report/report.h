/* TLS reporting (RFC 8460), both ways: what relay's connections came to is counted by day, domain and policy and sent to those domains that
 * want to know; what other servers report of our own domains is kept for who asks. Rows of the directory's partition:
 *   "r" id         a report that is counted, or is to be sent (store/report/row.h)
 *   "y" time hash  the sums of one that came to us
 * The loop's thread does it all. */
#ifndef STORE_REPORT_REPORT_H
#define STORE_REPORT_REPORT_H

#include "store/store.h"

struct reports;

/* Goes on with what is on the disk. */
void reports_open(struct store *s);
/* What is counted and not written yet is handed to the committer. */
void reports_flush(struct store *s);

/* From relay. -1 if it says what cannot be. */
int report_session(struct store_peer *relay, const struct msg_tls_session *m);
/* Answers of resolve; -1 as above. */
int report_rua_answered(struct store_peer *resolve, const struct msg_rua_answer *m);
int report_posted(struct store_peer *resolve, const struct msg_report_posted *m);
/* What it was asked is tried again later. */
void reports_peer_gone(struct store *s, peer_id gone);

/* A message was delivered that is a report, with these sums (wire/tlsrpt_report.h): what it says of our domains is kept. */
void report_heard(struct store *s, struct span sums);

/* For commands: all that is known, as text; and the reports of what was counted until now, which are sent at once: how many. */
void reports_print(struct store *s, struct buf *out);
size_t reports_send_now(struct store *s);

#endif
