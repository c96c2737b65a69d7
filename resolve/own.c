/* Who we are, by address. */
#include "resolve/own.h"

#include "base/die.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct in6_addr mapped(struct in_addr v4)
{
	struct in6_addr v6 = {0};
	v6.s6_addr[10] = v6.s6_addr[11] = 0xff;
	memcpy(v6.s6_addr + 12, &v4, sizeof v4);
	return v6;
}

static bool parse(const char *text, struct in6_addr *out)
{
	struct in_addr v4;
	if (inet_pton(AF_INET6, text, out) == 1)
		return true;
	if (inet_pton(AF_INET, text, &v4) != 1)
		return false;
	*out = mapped(v4);
	return true;
}

static void add(struct own_addresses *o, struct in6_addr address)
{
	if (o->count == o->room) {
		o->room = o->room ? 2 * o->room : 16;
		o->list = xrealloc_array(o->list, o->room, sizeof *o->list);
	}
	o->list[o->count++] = address;
}

static void add_interfaces(struct own_addresses *o, const struct ifaddrs *interfaces, int family)
{
	for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		if (!i->ifa_addr || i->ifa_addr->sa_family != family)
			continue;
		if (family == AF_INET) {
			memcpy(&v4, i->ifa_addr, sizeof v4);
			add(o, mapped(v4.sin_addr));
		} else {
			memcpy(&v6, i->ifa_addr, sizeof v6);
			add(o, v6.sin6_addr);
		}
	}
}

void own_addresses_set(struct own_addresses *o, const struct config *config, const struct ifaddrs *interfaces)
{
	struct in6_addr address;
	o->count = 0;
	for (size_t i = 0; i < config->listeners_count; i++) {
		const struct config_listener *l = &config->listeners[i];
		if (l->protocol != CONFIG_SMTP || l->port != config->smtp_out_port)
			continue;
		if (strcmp(l->address, "0.0.0.0") == 0)
			add_interfaces(o, interfaces, AF_INET);
		else if (strcmp(l->address, "::") == 0)
			add_interfaces(o, interfaces, AF_INET6);
		else if (parse(l->address, &address))
			add(o, address);
	}
}

void own_addresses_ask(struct own_addresses *o, const struct config *config)
{
	struct ifaddrs *interfaces = NULL;
	if (getifaddrs(&interfaces))
		log_event(LOG_LEVEL_WARNING, "own-addresses-unknown", log_c("why", strerror(errno)),
		          log_c("help", "name them in smtp_listen, so that mail for them is not sent in circles"));
	own_addresses_set(o, config, interfaces);
	freeifaddrs(interfaces);
}

bool own_addresses_have(const struct own_addresses *o, const char *text)
{
	struct in6_addr address;
	if (!parse(text, &address))
		return false;
	for (size_t i = 0; i < o->count; i++)
		if (IN6_ARE_ADDR_EQUAL(&o->list[i], &address))
			return true;
	return false;
}

void own_addresses_free(struct own_addresses *o)
{
	free(o->list);
	*o = (struct own_addresses){0};
}
