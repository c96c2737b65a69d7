/* The keys for DKIM, by their domains; the file is opened by master like those for TLS. */
#ifndef VAULT_DKIM_H
#define VAULT_DKIM_H

#include "vault/vault.h"

/* Reads the keys from the file that was taken; no file means that nothing is signed. What was loaded before stays if -1 is returned,
 * with *why. */
int dkim_load(struct vault_process *v, struct error *why);
/* Answers with signed_fields: a DKIM-Signature field for each active key of the domain, or of the nearest one above it. */
void dkim_asked(struct vault_process *v, struct channel *filter, const struct msg_dkim_ask *m);
/* Answers with signed_fields: a new set of a chain (ARC), by the first active RSA key of the domain, or of the nearest one above it, or of
 * our own name's; few who check chains know other keys, and a set has one signature (RFC 8617 §4.2). */
void arc_asked(struct vault_process *v, struct channel *filter, const struct msg_arc_ask *m);

#endif
