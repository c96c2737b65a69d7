#include "base/rate.h"

#include "base/die.h"

#include <stdlib.h>

enum {
	NEW_ONES_MOST = 10000, /* between two looks at those that have run down */
};

struct rate {
	uint64_t key;
	int64_t until_us; /* when the count will have run down to nothing */
	bool is_over;
};

static void forget_idle(struct rates *r, int64_t now_ms)
{
	size_t at = 0;
	struct rate *one;
	while ((one = map_next(&r->by_key, &at)))
		if (one->until_us <= now_ms * 1000) {
			map_take(&r->by_key, one->key);
			free(one);
		}
	r->looked_at = 0;
}

static struct rate *find(struct rates *r, uint64_t key, int64_t now_ms)
{
	struct rate *one = map_get(&r->by_key, key);
	if (one)
		return one;
	if (++r->looked_at > NEW_ONES_MOST)
		forget_idle(r, now_ms);
	one = xcalloc(1, sizeof *one);
	one->key = key;
	map_put(&r->by_key, key, one);
	return one;
}

/* When the count will have run down if one is added now; -1 if that is over the limit. */
static int64_t with_one_more(int64_t until_us, uint32_t limit, int64_t period_ms, int64_t now_ms)
{
	int64_t share_us = period_ms * 1000 / limit, now_us = now_ms * 1000;
	int64_t until = (until_us > now_us ? until_us : now_us) + share_us;
	return until > now_us + period_ms * 1000 ? -1 : until;
}

bool rates_are_over(const struct rates *r, uint64_t key, uint32_t limit, int64_t period_ms, int64_t now_ms)
{
	const struct rate *one = map_get(&r->by_key, key);
	return limit && one && with_one_more(one->until_us, limit, period_ms, now_ms) < 0;
}

enum rate_verdict rates_count(struct rates *r, uint64_t key, uint32_t limit, int64_t period_ms, int64_t now_ms)
{
	if (!limit)
		return RATE_OPEN;
	struct rate *one = find(r, key, now_ms);
	int64_t until = with_one_more(one->until_us, limit, period_ms, now_ms);
	bool was_over = one->is_over;
	one->is_over = until < 0;
	if (until < 0)
		return was_over ? RATE_OVER : RATE_FIRST_OVER;
	one->until_us = until;
	return RATE_OPEN;
}

void rates_free(struct rates *r)
{
	size_t at = 0;
	struct rate *one;
	while ((one = map_next(&r->by_key, &at)))
		free(one);
	map_free(&r->by_key);
}
