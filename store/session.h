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
bool session_bind(struct store *s, uint64_t id, uint64_t account);
void session_peer_gone(struct store *s, peer_id peer);
/* Ends all sessions of an account: it has been removed, or its password changed. */
void session_end_account(struct store *s, uint64_t account, const char *why);

#endif
