/* The TLS keys. Their files are opened by master, which may be root where vault is not, and read here only. */
#ifndef VAULT_KEYS_H
#define VAULT_KEYS_H

#include "vault/vault.h"

/* A file of the next keys_load, in place of one that was not used; fd -1 with the errno of what went wrong. */
void keys_take_file(struct vault_process *v, enum key_file which, int fd, int fault);
/* Reads key and certificate from the files that were taken. What was loaded before stays, for handshakes of edges that were
 * told that certificate; and it stays the current one if -1 is returned, with *why. */
int keys_load(struct vault_process *v, const struct config *config, struct error *why);

/* Reads a file that was taken, and closes it; `path` is for the errors. The room is there from the start, so that nothing of it is
 * left behind in memory that was given back. -1 with *why. */
int keys_read_file(struct vault_process *v, enum key_file which, const char *path, size_t bytes_most, struct buf *out, struct error *why);

void keys_sign(struct edge_peer *e, const struct msg_sign_ask *m);
void keys_certificate(struct edge_peer *e, const struct msg_certificate_ask *m);

#endif
