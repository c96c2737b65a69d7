/* edge: TCP, TLS and the server side of every protocol. It has no files, no keys and no database, and asks for what it
 * needs by messages. Class `mx` serves strangers (SMTP, LMTP), class `user` serves users (submission, IMAP, POP3). */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include "base/map.h"
#include "base/rate.h"
#include "base/stream.h"
#include "config/config.h"
#include "ipc/child.h"
#include "ipc/terms.h"

enum { EDGE_FILTERS_MOST = 256, EDGE_LISTENERS_MOST = CONFIG_LISTENERS_MOST };

struct edge_listener;
struct protocol;

struct edge_process {
	struct child *self;
	struct loop *loop;
	enum role role;
	struct channel *store, *vault;
	struct channel *filters[EDGE_FILTERS_MOST];
	struct filter_peer *filter_peers[EDGE_FILTERS_MOST];
	unsigned filter_turn;
	struct ssl_ctx_st *tls;     /* NULL: no certificate, so no TLS is offered */
	uint8_t key_slot;           /* of the certificate's key in vault */
	struct edge_listener *listeners[EDGE_LISTENERS_MOST];
	size_t listener_count;
	struct map connections;     /* by token */
	struct map sessions;        /* connections by store's session */
	struct map logins;          /* connections by number of the question */
	struct map signatures;      /* handshakes that wait, by number */
	struct map deliveries;      /* edge/delivery.h, by id128_hash */
	struct buf line;            /* the line that a protocol is reading */
	struct map addresses;       /* open connections by address: edge/listener.c */
	struct map proxied;         /* connections whose PROXY header is awaited: edge/proxied.c */
	struct rates connection_rates, message_rates, unknown_rates; /* by network_key of the client */
	struct timer *imap_progress; /* edge/imap/progress.c; NULL before the first session */
	struct imap_idlers *idlers; /* edge/imap/idle.c; NULL before the first */
	uint64_t last_token;
	uint64_t accepted_count, refused_count, limited_count; /* limited: times that somebody has reached a limit of the hour */
	bool is_scram_offered;      /* vault says so: every account has keys for it */
	bool is_serving;            /* vault has said whether there is a certificate */
	bool is_draining;
};

int edge_mx_main(unsigned index, int control);
int edge_user_main(unsigned index, int control);

#endif
