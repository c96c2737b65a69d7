/* Grants: whoever may command the server (the control socket's guard is the operating system's users) gets a token, by which he logs in as
 * an account without its password, to import its mail or to export it. store asks for it for a command that master has handed on.
 *
 * A token is 32 bytes of chance, good for one login as one account within GRANT_MS, and stands in no log. Here is its digest alone, so that
 * finding it takes the same time whatever a guess has in common with it. An edge sees a token only when it is spent. */
#ifndef VAULT_GRANT_H
#define VAULT_GRANT_H

#include "ipc/messages.gen.h"
#include "vault/vault.h"

enum { GRANT_MS = 60 * 1000 };

struct login;

/* Makes one and answers grant_answer. */
void grant_asked(struct vault_process *v, const struct msg_grant_ask *m);
/* True if the password is a token that stands for the login's account: it is spent, and the login is bound and ended. */
bool grant_take(struct login *l, struct span password);

#endif
