/* The DNS for filter's checks: asks resolve by dns_ask. While there is no resolve (it is being started anew, or a command works on
 * the store without a server) each question is answered with DNS_LATER. */
#ifndef FILTER_DNS_H
#define FILTER_DNS_H

#include "auth/dns.h"
#include "filter/filter.h"

struct filter_dns *filter_dns_new(struct filter_process *f);
/* The channel to resolve; owns fd. */
void filter_dns_attach(struct filter_dns *d, int fd);
struct dns_client *filter_dns_client(struct filter_dns *d);

#endif
