/* Addresses of clients as networks: those that an administrator names, and those that limits are counted by. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/span.h"

struct network {
	unsigned char prefix[16]; /* an IPv4 address stands in ::ffff:0:0/96 (RFC 4291 §2.5.5.2) */
	unsigned bits;            /* of the prefix that count, 0 to 128 */
};

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. -1 if it is none of them, or has bits behind its prefix. */
int network_parse(struct span text, struct network *out);
/* True if the address (a network of 128 bits) is in it. */
bool network_has(const struct network *n, const struct network *address);
/* True for addresses of this machine that no other can have: 127.0.0.0/8 and ::1 (RFC 6890 §2.2.2). */
bool network_is_loopback(struct span address);
/* True for addresses that the world cannot reach: of private networks, carriers' and links (RFC 1918, 4193, 6598, 3927, 4291). */
bool network_is_private(struct span address);
/* True for addresses of one machine out in the world: neither of this machine nor of a network behind it (as network_is_private says, and
 * whatever RFC 6890 has that is no single host elsewhere), also where an IPv6 address stands for such an IPv4 one. What a stranger has us
 * connect to must be one. */
bool network_is_outside(struct span address);
/* The client that limits are for: an IPv4 address, or the first 64 bits of an IPv6 one, which is what one subscriber has at
 * least. 0 for what is no address. */
uint64_t network_key(struct span address);

#endif
