/* The TLS keys. Their files are opened by master, which may be root where vault is not, and read here only. */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "vault/vault.h"

/* Reads key and certificate from the files that were taken. What was loaded before stays, for handshakes of edges that were
 * told that certificate; and it stays the current one if -1 is returned, with *why. */
int keys_load(struct vault_process *v, const struct config *config, struct error *why);

void keys_sign(struct edge_peer *e, const struct msg_sign_ask *m);
void keys_certificate(struct edge_peer *e, const struct msg_certificate_ask *m);

#endif
