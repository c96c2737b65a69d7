#include "store/rate.h"

#include "base/die.h"

#include <stdlib.h>

enum {
	HOUR_MS = 60 * 60 * 1000,
	NEW_ONES_MOST = 10000, /* between two looks at those that have run down */
};

struct rate {
	uint64_t account;
	int64_t until_us; /* when the count will have run down to nothing */
	bool is_over;
};

static void forget_idle(struct rates *r, int64_t now_ms)
{
	size_t at = 0;
	struct rate *one;
	while ((one = map_next(&r->accounts, &at)))
		if (one->until_us <= now_ms * 1000) {
			map_take(&r->accounts, one->account);
			free(one);
		}
	r->looked_at = 0;
}

static struct rate *find(struct rates *r, uint64_t account, int64_t now_ms)
{
	struct rate *one = map_get(&r->accounts, account);
	if (one)
		return one;
	if (++r->looked_at > NEW_ONES_MOST)
		forget_idle(r, now_ms);
	one = xcalloc(1, sizeof *one);
	one->account = account;
	map_put(&r->accounts, account, one);
	return one;
}

enum rate_verdict rates_count(struct rates *r, uint64_t account, uint32_t limit_per_hour, int64_t now_ms)
{
	if (!limit_per_hour)
		return RATE_OPEN;
	struct rate *one = find(r, account, now_ms);
	int64_t share_us = (int64_t)HOUR_MS * 1000 / limit_per_hour, now_us = now_ms * 1000;
	int64_t from = one->until_us > now_us ? one->until_us : now_us;
	if (from + share_us > now_us + (int64_t)HOUR_MS * 1000) {
		bool was_over = one->is_over;
		one->is_over = true;
		return was_over ? RATE_OVER : RATE_FIRST_OVER;
	}
	one->until_us = from + share_us;
	one->is_over = false;
	return RATE_OPEN;
}

void rates_free(struct rates *r)
{
	size_t at = 0;
	struct rate *one;
	while ((one = map_next(&r->accounts, &at)))
		free(one);
	map_free(&r->accounts);
}
