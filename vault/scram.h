/* Logins by SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): an exchange of two steps. edge reads the client's messages and
 * knows its TLS session; the account's keys stay here, and so does the exchange, whose nonce is never used again. */
#ifndef VAULT_SCRAM_H
#define VAULT_SCRAM_H

#include "vault/login.h"

/* How store says it is: edges are told. */
void scram_offer_said(struct vault_process *v, const struct msg_scram_offer *m);
/* A new edge is told how it is. */
void scram_tell_edge(struct edge_peer *e);

void scram_first_said(struct edge_peer *e, const struct msg_scram_first *m);
void scram_final_said(struct edge_peer *e, const struct msg_scram_final *m);
void scram_dropped(struct edge_peer *e, const struct msg_scram_drop *m);

/* ---- for vault/login.c ---- */

/* The account of a login by SCRAM; name: in its canonical form where it has one. scram: its keys as text. */
void scram_account_answered(struct login *l, struct span name, struct span scram);
/* The server's signature of one that was right. */
struct span scram_signature(const struct scram_run *r);
/* For the log. */
const char *scram_mechanism(const struct scram_run *r);
void scram_run_free(struct scram_run *r);

#endif
