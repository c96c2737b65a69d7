/* Logins by the certificate that a client has shown in its TLS handshake (EXTERNAL, RFC 4422 appendix A).
 *
 * edge says what was said in the handshake, and is believed in nothing of it: the client's CertificateVerify must be right for the whole
 * of it, up to there, and the server's must be one that this process has signed, lately and for that very edge. So the key of that
 * certificate took part in a handshake with it, and no edge can make that up. A captured one speaks for those whose handshakes go through
 * it, as it does for those whose passwords do. The certificate must be signed by one of tls_client_authorities, not expired, and not
 * revoked by a list in that file. Who it is, is its rfc822Name: that is what authorities have put in there for mail since S/MIME, and
 * what a subject's fields are too vague for. */
#ifndef VAULT_EXTERNAL_H
#define VAULT_EXTERNAL_H

#include "vault/login.h"

/* Reads the authorities from the file that was taken. What was loaded before stays where -1 is returned, with *why. */
int external_load(struct vault_process *v, const struct config *config, struct error *why);
/* In PEM form, for edges that ask clients for certificates; empty where none are to be asked for. */
struct span external_authorities(const struct vault_process *v);
/* This text was signed for a handshake of the edge's. */
void external_signed(struct edge_peer *e, struct span text);
/* A session was made of a handshake: it is good for another one for as long again (RFC 8437, by which a proxy logs in anew). */
void external_used(struct edge_peer *e, const struct digest *handshake);

void external_asked(struct edge_peer *e, const struct msg_external_ask *m);

#endif
