/* Where mail for elsewhere goes in place of the receivers' own servers, and with what TLS: by the recipient's domain or the sender's.
 *
 * Rows of the directory: "t" which -> u8 version, bytes next hop (empty: the receivers' own servers), u8 enum route_tls. `which` is
 *   example.org        that domain           .example.org        all below it
 *   from:example.org   mail of that sender   *                   everything else */
#ifndef STORE_DIRECTORY_ROUTE_H
#define STORE_DIRECTORY_ROUTE_H

#include "base/arena.h"
#include "store/store.h"

enum { ROUTES_MOST = 10000, NEXT_HOP_BYTES_MOST = 250 };

struct route_row {
	struct span which, next_hop;
	enum route_tls tls;
};

/* The first of: the domain, the nearest domain above it that has one with a dot, the sender's domain, "*". NULL: none. Domains as they
 * stand in addresses; an empty one is the null sender's. The row is valid until routes_changed. For the loop's thread. */
const struct route_row *route_find(struct store *s, struct span domain, struct span sender_domain);
/* All of them, sorted. */
const struct route_row *routes_list(struct store *s, size_t *count);
/* After a batch with changes is on the disk. */
void routes_changed(struct store *s);

/* The canonical form of `which`, appended; -1 with *why. */
int route_canonical(struct span typed, struct buf *out, struct error *why);
void route_put(struct batch *b, const struct route_row *r);
void route_delete(struct batch *b, struct span which);

#endif
