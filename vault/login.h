/* Logins, from an edge's question to its answer. */
#ifndef VAULT_LOGIN_H
#define VAULT_LOGIN_H

#include "vault/vault.h"

/* Once, with v->loop set; `threads` check passwords. */
void logins_start(struct vault_process *v, const struct config *config, unsigned threads);
void logins_configure(struct vault_process *v, const struct config *config);
void logins_store_gone(struct vault_process *v);

void login_asked(struct edge_peer *e, const struct msg_login_ask *m);
void login_account_answered(struct vault_process *v, const struct msg_account_answer *m);
void login_session_bound(struct vault_process *v, const struct msg_session_bound *m);

#endif
