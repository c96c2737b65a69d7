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

/* The route of the domain, or the nearest one above it that has one with a dot. NULL: none. A domain as it stands in an address. The row is
 * valid until routes_changed. For the loop's thread. */
const struct route_row *route_of_domain(struct store *s, struct span domain);
/* Where no other says where it goes, the tables included: the route of the sender's domain, which is empty for the null sender, or "*". */
const struct route_row *route_of_rest(struct store *s, struct span sender_domain);
/* All of them, sorted. */
const struct route_row *routes_list(struct store *s, size_t *count);
/* After a batch with changes is on the disk. */
void routes_changed(struct store *s);

/* The canonical form of `which`, appended; -1 with *why. */
int route_canonical(struct span typed, struct buf *out, struct error *why);
void route_put(struct batch *b, const struct route_row *r);
void route_delete(struct batch *b, struct span which);

#endif
