/* What clients send to authenticate: base64 and the PLAIN message (RFC 4616). */
#ifndef EDGE_SASL_H
#define EDGE_SASL_H

#include "base/buf.h"

struct sasl_plain {
	struct span user, password; /* point into the message */
};

/* Appends the decoded bytes of one base64 response (RFC 4954 §4: no line breaks, no other characters). -1 if it is none. */
int sasl_decode(struct span encoded, struct buf *out);
/* [authzid] NUL authcid NUL passwd. An authzid must be empty or the user himself: nobody acts for another. -1 if not. */
int sasl_parse_plain(struct span message, struct sasl_plain *out);
/* Overwrites and frees. */
void sasl_wipe(struct buf *b);

#endif
