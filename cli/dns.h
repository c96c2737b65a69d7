/* The DNS for a command that checks something itself (auth/dns.h): the resolver of the configuration, asked from this process. */
#ifndef CLI_DNS_H
#define CLI_DNS_H

#include "auth/dns.h"
#include "base/loop.h"
#include "config/config.h"

struct cli_dns;

struct cli_dns *cli_dns_new(struct loop *l, const struct config *config);
void cli_dns_free(struct cli_dns *d);
struct dns_client *cli_dns_client(struct cli_dns *d);

#endif
