/* vault: private keys and the checking of passwords. It signs TLS handshakes for edges, and tells store, over a channel of
 * its own, which connection is now whose. */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "base/map.h"
#include "ipc/child.h"
#include "ipc/key_file.h"
#include "ipc/terms.h"
#include "vault/lines.h"

enum {
	EDGES_MOST = 64,
	FILTERS_MOST = 64,
	IDENTITIES_MOST = 8, /* edges of earlier configurations whose last connection may still begin TLS */
};

/* A certificate with its chain, and its key. Its number is the slot of sign_ask. */
struct identity {
	struct evp_pkey_st *key; /* NULL: none */
	struct buf chain;
};

struct edge_peer {
	struct vault_process *vault;
	struct channel *channel; /* NULL: gone */
	enum role role;
	unsigned index;
	uint32_t incarnation;
};

struct filter_peer {
	struct vault_process *vault;
	struct channel *channel; /* NULL: gone */
	unsigned index;
};

enum { GRANTS_MOST = 64, GRANT_DIGEST_BYTES = 32 };

/* vault/grant.h */
struct grant {
	unsigned char digest[GRANT_DIGEST_BYTES]; /* of the token */
	int64_t until_ms;        /* 0: there is none */
	uint64_t account, credential;
	struct buf name;
};

struct vault_process {
	struct child *self;
	struct loop *loop;
	struct channel *store;
	struct edge_peer edges[EDGES_MOST];
	uint32_t last_incarnation;
	/* vault/keys.c */
	struct key_file_taken files[KEY_FILES];
	struct identity identities[IDENTITIES_MOST];
	unsigned current; /* of the identities: what new edges are told */
	struct map dkim_keys; /* vault/dkim.c */
	struct filter_peer filters[FILTERS_MOST];
	/* vault/login.c */
	struct password_pool *passwords;
	struct memory *memory;
	struct throttle *throttle;
	struct digest_key *secret;  /* of what is remembered */
	struct map logins;          /* by number */
	struct lines known, others; /* logins that wait for a check: those from known networks go first */
	uint64_t last_login;
	unsigned answers_held;
	struct external *external;  /* vault/external.c; NULL before it is loaded */
	struct grant grants[GRANTS_MOST]; /* vault/grant.c */
	/* vault/scram.c: as store has said */
	bool is_scram_offered;
	unsigned char salt_secret[32];
	unsigned exchanges_open;
	uint64_t signed_count, dkim_count, arc_count, login_count, refused_count, held_count, busy_count;
};

int vault_main(unsigned index, int control);

#endif
