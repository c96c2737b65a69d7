/* What a TLS 1.3 handshake proves about the client's certificate to somebody who was no part of it: RFC 8446 §4.4. */
#ifndef VAULT_CLIENT_PROOF_H
#define VAULT_CLIENT_PROOF_H

#include "base/buf.h"
#include "base/error.h"

struct stack_st_X509;

/* Takes the messages of a handshake (wire/tls_handshake.h), and looks that the client's CertificateVerify is right for them. Appends to
 * *server_text what the server's must have signed, which is for the caller to know; *chain gets the certificates as the client has shown
 * them, its own first, to be freed with them. Nobody has looked yet who has signed those. -1 with *why, and no chain. */
int client_proof_check(struct span messages, struct buf *server_text, struct stack_st_X509 **chain, struct error *why);

#endif
