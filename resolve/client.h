/* The DNS for checks that ask it in this process (auth/dns.h): by resolve/lookup.h. */
#ifndef RESOLVE_CLIENT_H
#define RESOLVE_CLIENT_H

#include "auth/dns.h"
#include "resolve/lookup.h"

/* `dns` is the caller's, and lives longer. No question may be under way at its end. */
struct dns_client *lookup_client_new(struct loop *l, struct dns *dns);
/* With one of its own, by the configuration's resolver: for commands. */
struct dns_client *lookup_client_open(struct loop *l, const struct config *config);
void lookup_client_free(struct dns_client *c);

#endif
