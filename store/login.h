/* What vault asks about logins: who somebody is by the name that he typed, and for whom he acts; and whose a session is from now on. */
#ifndef STORE_LOGIN_H
#define STORE_LOGIN_H

#include "store/store.h"

void login_account_asked(struct store_peer *vault, const struct msg_account_ask *m);
void login_session_bind(struct store_peer *vault, const struct msg_session_bind *m);

#endif
