/* Logins by the certificate that a client has shown in its TLS handshake (EXTERNAL, RFC 4422 appendix A).
 *
 * edge says what was said in the handshake, and is believed in nothing of it: the client's CertificateVerify must be right for the whole
 * of it, up to there, and the server's must be one that this process has signed, lately. So the key of that certificate took part in a
 * handshake with this server, and no edge can make that up; a captured one can use what goes through it, as it could a password, but only
 * for that one session. The certificate must be signed by one of tls_client_authorities, not expired and not revoked by a list in that file. Who it is, is its
 * rfc822Name: that is what authorities have put in there for mail since S/MIME, and what a subject's fields are too vague for. */
#ifndef VAULT_EXTERNAL_H
#define VAULT_EXTERNAL_H

#include "vault/login.h"

/* Reads the authorities from the file that was taken. What was loaded before stays where -1 is returned, with *why. */
int external_load(struct vault_process *v, const struct config *config, struct error *why);
/* In PEM form, for edges that ask clients for certificates; empty where none are to be asked for. */
struct span external_authorities(const struct vault_process *v);
/* This text was signed for a handshake. */
void external_signed(struct vault_process *v, struct span text);
/* A session was made of a handshake: it is good for no other. */
void external_used(struct vault_process *v, const struct digest *handshake);

void external_asked(struct edge_peer *e, const struct msg_external_ask *m);

#endif
