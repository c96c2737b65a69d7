/* Logins, from an edge's question to its answer: by a password (vault/login.c), by SCRAM (vault/scram.c) or by a certificate (vault/external.c). */
#ifndef VAULT_LOGIN_H
#define VAULT_LOGIN_H

#include "vault/password.h"
#include "vault/throttle.h"
#include "vault/vault.h"

/* ASKS -> WAITS -> CHECKED -> BINDS -> ENDS with a password; ASKS -> OFFERED -> BINDS -> ENDS by SCRAM (vault/scram.h); ASKS -> BINDS ->
 * ENDS with an application's password, or by a certificate (vault/external.h). */
enum login_state { LOGIN_ASKS, LOGIN_WAITS, LOGIN_CHECKED, LOGIN_OFFERED, LOGIN_BINDS, LOGIN_ENDS };

struct login {
	struct ticket ticket;
	struct lines *lines; /* where the ticket is */
	enum login_state state;
	struct vault_process *vault;
	uint64_t number, id, session, account, credential;
	uint64_t owner, owner_credential; /* of the mail that the session is about: himself, or whom a master user acts for */
	enum acting acting;
	struct edge_peer *edge;
	uint32_t incarnation;
	int64_t asked_ms;
	struct guesser guesser;
	struct digest check; /* for the memory */
	char password[PASSWORD_BYTES_MOST];
	size_t password_len;
	struct buf user, authzid, client, protocol, hash;
	struct buf owner_name, app_name;
	unsigned char app[APP_DIGEST_BYTES]; /* of the password, if it has the form of an application's */
	bool may_be_app, is_app;  /* and it is one of the account's */
	bool is_grant;            /* by a token: vault/grant.h */
	bool is_external;         /* by a certificate, */
	struct digest handshake;  /* which was shown in that one: vault/external.c */
	bool wants_scram;         /* the account has no keys for it, or not as they are made now */
	struct scram_run *scram;  /* vault/scram.c; NULL: with a password */
	enum login_outcome outcome;
	struct timer *timer;      /* the answer is due, or the client has waited for too long */
};

/* Once, with v->loop set; `threads` check passwords. */
void logins_start(struct vault_process *v, const struct config *config, unsigned threads);
void logins_configure(struct vault_process *v, const struct config *config);
void logins_store_gone(struct vault_process *v);

void login_asked(struct edge_peer *e, const struct msg_login_ask *m);
void login_account_answered(struct vault_process *v, const struct msg_account_answer *m);
void login_session_bound(struct vault_process *v, const struct msg_session_bound *m);

/* ---- for vault/scram.c and vault/external.c ---- */

/* A login that has not begun. */
struct login *login_new(struct edge_peer *e, uint64_t id, uint64_t session, struct span user, struct span authzid, struct span client,
                        struct span protocol);
/* Asks store for the account: answered in login_account_answered. */
void login_ask_account(struct login *l);
/* True if the edge that asked is still there. */
bool login_is_heard(const struct login *l);
/* True if the throttle holds it back: then it has ended so. */
bool login_is_held(struct login *l, enum throttle_verdict verdict);
/* He is who he says: binds the session, if he acts for himself or may act for another, and ends. The first is no guesser who may have
 * guessed right. */
void login_bind(struct login *l);
void login_take_right(struct login *l);
/* Says so in the log, and to the edge, now or in its time; frees it then. */
void login_end(struct login *l, enum login_outcome outcome, const char *why);
/* Without a word. */
void login_free(struct login *l);

#endif
