/* The addresses by which this server is known as a mail host (RFC 5321 §5.1): those on which we ourselves listen for SMTP,
 * at the port to which relay connects. Mail for a host that has one of them would come straight back.
 *
 * An address that another machine translates to ours (NAT) is not among them: that host is known by its name. */
#ifndef RESOLVE_OWN_H
#define RESOLVE_OWN_H

#include "config/config.h"

#include <ifaddrs.h>

struct own_addresses {
	struct in6_addr *list; /* IPv4 as ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2), which reaches the same socket */
	size_t count, room;
};

/* Replaces the list. interfaces: of this machine, as getifaddrs gives them; a listener on 0.0.0.0 or :: has them all. */
void own_addresses_set(struct own_addresses *o, const struct config *config, const struct ifaddrs *interfaces);
/* The same with the interfaces as they are now. */
void own_addresses_ask(struct own_addresses *o, const struct config *config);
/* `text` is an IPv4 or IPv6 address. */
bool own_addresses_have(const struct own_addresses *o, const char *text);
void own_addresses_free(struct own_addresses *o);

#endif
