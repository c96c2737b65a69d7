/* The keys for DKIM, by their domains; the file is opened by master like those for TLS. */
#ifndef VAULT_DKIM_H
#define VAULT_DKIM_H

#include "vault/vault.h"

/* Reads the keys from the file that was taken; no file means that nothing is signed. What was loaded before stays if -1 is returned,
 * with *why. */
int dkim_load(struct vault_process *v, struct error *why);
/* Answers with one dkim_answer: a DKIM-Signature field for each active key of the domain, or of the nearest one above it. */
void dkim_asked(struct vault_process *v, struct channel *filter, const struct msg_dkim_ask *m);

#endif
