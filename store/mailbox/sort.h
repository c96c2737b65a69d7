/* Putting messages into an order: RFC 5256 §3 (SORT). Pure functions over keys in memory. */
#ifndef STORE_MAILBOX_SORT_H
#define STORE_MAILBOX_SORT_H

#include "base/span.h"

/* One sort key of all messages; of the two arrays one is there. */
struct sort_values {
	const uint64_t *numbers;
	const struct span *texts; /* compared as octets; without NULs */
	bool is_reverse;
};

/* Puts the numbers of n messages (0 ... n-1, in mailbox order) into `order`, by the first key, those that are equal by the next one, and
 * what no key decides in mailbox order (RFC 5256 §3). Time is linear in n for numbers, and in the bytes that must be looked at for
 * texts. */
void sort_messages(const struct sort_values *keys, size_t key_count, uint32_t *order, size_t n);

#endif
