/* Is a client listed? Each list is asked at once; those that do not answer say nothing, so that a list that is down keeps no mail out. */
#ifndef AUTH_DNS_LISTS_H
#define AUTH_DNS_LISTS_H

#include "auth/dns.h"
#include "base/loop.h"
#include "wire/dns_list.h"

struct dns_lists_check;

/* lists: the setting, words; those that are no lists are passed over. address: of the client, four or sixteen bytes. */
struct dns_lists_check *dns_lists_check_new(struct dns_client *dns, struct span lists, struct span address);
/* Calls done(context) once all have answered; never before it returns, unless there is no list. */
void dns_lists_check_start(struct dns_lists_check *c, loop_fn *done, void *context);
/* At any time: the weights of the lists that have the client, added up; *zone: the heaviest of them, or empty. */
int dns_lists_weight(const struct dns_lists_check *c, struct span *zone);
void dns_lists_check_free(struct dns_lists_check *c);

#endif
