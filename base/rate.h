/* How much somebody does: what is limited is counted by a key (an account, a client's network), and the count runs down with time. A limit
 * of 1,000 an hour lets 1,000 through at once, and then one every 3.6 seconds. In memory: a restart forgets it. */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

/* Start with {0}; ends with rates_free. */
struct rates {
	struct map by_key;
	size_t looked_at; /* new ones since those that have run down were taken out */
};

enum rate_verdict {
	RATE_OPEN,
	RATE_FIRST_OVER, /* the limit is reached with this one: worth a line in the log */
	RATE_OVER,
};

enum { RATE_MINUTE_MS = 60 * 1000, RATE_HOUR_MS = 60 * RATE_MINUTE_MS };

/* Counts one at now_ms (monotonic), unless that is over the limit (0: none) for a period. A key always has the same period. */
enum rate_verdict rates_count(struct rates *r, uint64_t key, uint32_t limit, int64_t period_ms, int64_t now_ms);
/* What rates_count would say, without counting. */
bool rates_are_over(const struct rates *r, uint64_t key, uint32_t limit, int64_t period_ms, int64_t now_ms);
void rates_free(struct rates *r);

#endif
