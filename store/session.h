/* Sessions: the connections of edges that ask for more than delivery. store gives them their ids; vault says whose they
 * are; an edge cannot claim a login, nor a session of another edge. */
#ifndef STORE_SESSION_H
#define STORE_SESSION_H

#include "store/store.h"

struct session {
	uint64_t id, token;
	peer_id peer;
	uint64_t account; /* 0: nobody has logged in */
};

void session_opened(struct store_peer *edge, const struct msg_session_open *m);
void session_closed(struct store_peer *edge, uint64_t id);
/* NULL unless the session is this edge's. */
struct session *session_find(struct store_peer *edge, uint64_t id);
/* How often the account's password has changed since this process began, its removal counted too. Never 0. */
uint64_t session_credential(const struct store *s, uint64_t account);
/* `credential` is what session_credential said when the password's hash was asked for: false if it has changed since, or if
 * there is no such session, or it is somebody's already. */
bool session_bind(struct store *s, uint64_t id, uint64_t account, uint64_t credential);
void session_peer_gone(struct store *s, peer_id peer);
/* Ends all sessions of an account and refuses those that are about to be bound by the old password: it has been removed, or
 * its password changed. To be called when that is on the disk: until then the old password lets people in. */
void session_end_account(struct store *s, uint64_t account, const char *why);

#endif
