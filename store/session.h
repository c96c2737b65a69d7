/* Sessions: the connections of edges that ask for more than delivery. store gives them their ids; vault says whose they
 * are; an edge cannot claim a login, nor a session of another edge. */
#ifndef STORE_SESSION_H
#define STORE_SESSION_H

#include "store/store.h"

struct guest;

struct session {
	uint64_t id, token;
	peer_id peer;
	uint64_t account; /* 0: nobody has logged in */
	struct guest *guests; /* views in other accounts: share.h */
	size_t guest_count;
	size_t open_guest;    /* which of them has the session's mailbox open, counted from 1; 0: its own account has, or none is */
	uint64_t master;  /* the master user who acts for it; 0: nobody does */
	bool is_administrator; /* it was bound by a grant: whoever commands the server imports mail */
	bool has_app;     /* it was bound by the password of an application, */
	unsigned char app[APP_DIGEST_BYTES]; /* with this digest, */
	int64_t expires_s; /* which expires then; 0: never */
};

void session_opened(struct store_peer *edge, const struct msg_session_open *m);
void session_closed(struct store_peer *edge, uint64_t id);
/* NULL unless the session is this edge's. */
struct session *session_find(struct store_peer *edge, uint64_t id);
/* How often the account's password has changed since this process began, its removal counted too. Never 0. */
uint64_t session_credential(const struct store *s, uint64_t account);
/* `credential` is what session_credential said when the password's hash was asked for: false if it has changed since, or if
 * there is no such session, or it is somebody's already; or if by now the master user is none, or the application's password is not
 * there or not for this. */
bool session_bind(struct store *s, const struct msg_session_bind *m);
void session_peer_gone(struct store *s, peer_id peer);
/* Ends all sessions of an account, and those in which it acts for others, and refuses those that are about to be bound by the old password:
 * it has been removed, or its password changed. To be called when that is on the disk: until then the old password lets people in. */
void session_end_account(struct store *s, uint64_t account, const char *why);
/* The same of those in which it acts for others alone: it is no master user any more. */
void session_end_master(struct store *s, uint64_t master, const char *why);
/* The same of those that were bound by the password of one of the account's applications. */
void session_end_app(struct store *s, uint64_t account, struct span digest, const char *why);

#endif
