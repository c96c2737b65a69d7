/* How much an account sends: its recipients are counted, and the count runs down with time. A limit of 1,000 an hour lets 1,000 through at
 * once, and then one every 3.6 seconds. In memory: a restart forgets it. */
#ifndef STORE_RATE_H
#define STORE_RATE_H

#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

/* Start with {0}; ends with rates_free. */
struct rates {
	struct map accounts;
	size_t looked_at; /* new ones since those that have run down were taken out */
};

enum rate_verdict {
	RATE_OPEN,
	RATE_FIRST_OVER, /* the limit is reached with this one: worth a line in the log */
	RATE_OVER,
};

/* Counts one recipient of the account at now_ms (monotonic), unless that is over the limit (0: none). */
enum rate_verdict rates_count(struct rates *r, uint64_t account, uint32_t limit_per_hour, int64_t now_ms);
void rates_free(struct rates *r);

#endif
