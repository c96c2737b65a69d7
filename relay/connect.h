/* Opening a connection: to one address, or to two of a host, of which the first, by IPv6, has a short head start, and the one that
 * answers first is used (RFC 8305): a family that leads nowhere, where all look as if it did, costs a quarter of a second and no mail. */
#ifndef RELAY_CONNECT_H
#define RELAY_CONNECT_H

#include "relay/target.h"

struct relay_process;
struct connection_race;

struct connect_use {
	/* This one is connected; the descriptor is the callee's. The race is over, and freed. */
	void (*connected)(void *context, const struct target *target, int fd);
	/* None is left; `why` is of the last. The race is over, and freed. */
	void (*failed)(void *context, const struct target *target, const char *why);
	void *context;
};

/* second may be NULL. NULL with *why if none can even be begun; what fails later is told in a later turn. */
struct connection_race *connect_begin(struct relay_process *p, const struct target *first, const struct target *second, const struct connect_use *use,
                                      struct error *why);
/* Ends it without a word. NULL is allowed. */
void connect_free(struct connection_race *r);

#endif
