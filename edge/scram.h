/* The edge's part of a login by SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), which all protocols share: it reads the
 * client's messages and compares the channel binding (RFC 9266); vault does the rest (vault/scram.h).
 *
 *   the client's first message -> vault -> the protocol's `challenge`
 *   its final message          -> vault -> `challenge`, or `logged_in` if it was refused
 *   its empty answer           -> `logged_in`
 *
 * Between them, input is the client's. It may also cancel. */
#ifndef EDGE_SCRAM_H
#define EDGE_SCRAM_H

#include "edge/connection.h"

/* Appends the mechanisms that are offered on this connection as it is, each with `before` in front: none without TLS where PLAIN is not
 * taken either. It saves no password then, as whoever listens can try passwords on what he has heard; and he who can break in takes the
 * session over after the login. */
void scram_add_mechanisms(const struct connection *c, const char *before, struct buf *out);

/* Begins one, if the mechanism is of SCRAM and offered: what the client says next is for scram_response. */
bool scram_begin(struct connection *c, struct span mechanism);

enum scram_step {
	SCRAM_TAKEN,     /* vault is asked, or it is over: `challenge` or `logged_in` is called, or has been */
	SCRAM_MALFORMED, /* it is over: the client broke the protocol, or speaks of a channel binding that is not to be */
};
/* The client's response, decoded. *why: of what is malformed. */
enum scram_step scram_response(struct connection *c, struct span message, struct error *why);
/* The client says no more of it. */
void scram_cancel(struct connection *c);

/* ---- for edge/connection.c and edge.c ---- */

/* Asks vault, for whom the session has been opened. */
void scram_ask_vault(struct connection *c);
void scram_challenged(struct edge_process *e, const struct msg_scram_challenge *m);
/* The login is bound, and the client is told of the signature; to `logged_in` it comes when that has been heard. */
void scram_proved(struct connection *c, const struct msg_login_answer *m);
void scram_vault_gone(struct connection *c);
void scram_free(struct connection *c);

#endif
