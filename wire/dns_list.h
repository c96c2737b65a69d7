/* Lists of hosts in the DNS (RFC 5782), as the setting dns_lists names them:
 *
 *   zone["="answer]["*"weight]     zen.spamhaus.org=127.0.0.[2..11]*2
 *
 * Each part of the answer is a number or a range in brackets. Without one, 127.0.0.2 to 127.0.0.254 count: what lists answer when they
 * refuse the question itself (127.255.255.254 and the like) never does. */
#ifndef WIRE_DNS_LIST_H
#define WIRE_DNS_LIST_H

#include "base/error.h"
#include "base/span.h"

enum { DNS_LISTS_MOST = 16 };

struct dns_list {
	struct span zone;
	unsigned char least[4], most[4]; /* of each octet of an answer that counts */
	int weight;                      /* -100 to 100; a list of good hosts has a negative one */
};

/* Parses one word. 0, or -1 with *why. */
int dns_list_parse(struct span word, struct dns_list *out, struct error *why);
/* True if the address (four bytes) is an answer that counts. */
bool dns_list_counts(const struct dns_list *l, struct span address);

#endif
