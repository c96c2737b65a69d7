/* vault: private keys and the checking of passwords. It signs TLS handshakes for edges, and tells store, over a channel of
 * its own, which connection is now whose. */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/map.h"
#include "ipc/child.h"
#include "ipc/terms.h"
#include "vault/lines.h"

enum { EDGES_MOST = 64 };

struct edge_peer {
	struct vault_process *vault;
	struct channel *channel; /* NULL: gone */
	enum role role;
	unsigned index;
	uint32_t incarnation;
};

struct vault_process {
	struct child *self;
	struct loop *loop;
	struct channel *store;
	struct edge_peer edges[EDGES_MOST];
	uint32_t last_incarnation;
	struct evp_pkey_st *key;
	struct buf chain;
	/* vault/login.c */
	struct password_pool *passwords;
	struct memory *memory;
	struct throttle *throttle;
	struct digest_key *secret;  /* of what is remembered */
	struct map logins;          /* by number */
	struct lines known, others; /* logins that wait for a check: those from known networks go first */
	uint64_t last_login;
	unsigned answers_held;
	uint64_t signed_count, login_count, refused_count, held_count, busy_count;
};

int vault_main(unsigned index, int control);

#endif
