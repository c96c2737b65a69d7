/* Authentication by SASL (RFC 4422), which all protocols share: PLAIN (RFC 4616), EXTERNAL (RFC 4422 appendix A) and SCRAM (edge/scram.h).
 * A protocol has its own words around it: it calls sasl_begin with the name of a mechanism, and sasl_response with each line that the
 * client says until `challenge` or `logged_in` (edge/connection.h) is called, or something is wrong with the line. */
#ifndef EDGE_SASL_H
#define EDGE_SASL_H

#include "edge/connection.h"

/* Appends the mechanisms that are offered on this connection as it is, but PLAIN, each with `before` in front; those that show no
 * password are first, as some clients take the first that they know. */
void sasl_add_mechanisms(const struct connection *c, const char *before, struct buf *out);

/* Begins with the mechanism; false if it is not offered here, or not known. */
bool sasl_begin(struct connection *c, struct span mechanism);

enum sasl_step {
	SASL_TAKEN,      /* vault is asked, or it is over: `challenge` or `logged_in` is called, or has been */
	SASL_NOT_BASE64, /* it is over */
	SASL_MALFORMED,  /* it is over: that is no message of the mechanism */
};
/* The client's response, in base64; empty for an empty one, which protocols write in ways of their own. *why: of what is wrong with it. */
enum sasl_step sasl_response(struct connection *c, struct span encoded, struct error *why);
/* The client says no more of it ("*"). */
void sasl_cancel(struct connection *c);

struct sasl_plain {
	struct span authzid, user, password; /* point into the message */
};

/* Appends the decoded bytes of one base64 response (RFC 4954 §4: no line breaks, no other characters). -1 if it is none. */
int sasl_decode(struct span encoded, struct buf *out);
/* [authzid] NUL authcid NUL passwd. -1 if it is none. */
int sasl_parse_plain(struct span message, struct sasl_plain *out);
/* Overwrites and frees. */
void sasl_wipe(struct buf *b);

#endif
