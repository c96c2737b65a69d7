/* Reports of TLS that come to us by mail (RFC 8460 §5.3): recognised by the header, kept while they come, read at their end. Whatever is
 * wrong with one, the message is judged as any other. */
#ifndef FILTER_TLS_REPORT_H
#define FILTER_TLS_REPORT_H

#include "filter/authenticate.h"
#include "wire/mime.h"

struct tls_report;

/* NULL: the header is not that of a report. bytes_kept: of all reports of this process, where it is counted; it bounds them. */
struct tls_report *tls_report_new(struct span header, size_t *bytes_kept);
/* The bytes of the message, in their order, header and all. */
void tls_report_feed(struct tls_report *r, struct span piece);
/* The message is whole: appends its sums, as wire/tlsrpt_report.h packs them. Nothing, and a line in the log, if it is no report that counts:
 * the signature of its author's domain is a must (§3). authentication: NULL is allowed. */
void tls_report_read(struct tls_report *r, const struct mime_tree *tree, const struct authentication *authentication, struct buf *out);
/* NULL is allowed. */
void tls_report_free(struct tls_report *r);

#endif
