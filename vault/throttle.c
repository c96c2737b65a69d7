/* Counts of wrong passwords, and the networks that are known.
 *
 * A count is one time: when it will have run down to nothing. Each failure moves it on by an hour's share (an hour by the
 * limit), and it says how many failures are left by how far it is ahead. */
#include "vault/throttle.h"

#include "base/clock.h"
#include "base/die.h"

#include <stdlib.h>

enum {
	HOUR_MS = 60 * 60 * 1000,
	BUCKETS = 32768, WAYS = 8, /* 4 MiB a table, of which the kernel gives what is used */
	DELAY_FIRST_MS = 1000, DELAY_MOST_MS = 15000, DELAY_DOUBLINGS = 4, /* as Dovecot's auth penalty has it */
};

/* "Lately". In memory only: after a restart each user is a stranger until the first right password. */
static const int64_t known_ms = 30ll * 24 * HOUR_MS;

struct slot {
	uint64_t tag;
	int64_t until_ms; /* past: free */
};

struct table {
	struct slot slots[BUCKETS][WAYS];
};

struct throttle {
	const struct config *config;
	struct digest_key key;
	struct table pairs, networks, accounts;
	struct table known; /* in an account's bucket the pairs: who flies about only drives out networks of his own bucket */
};

struct throttle *throttle_new(const struct config *config)
{
	struct throttle *t = xcalloc(1, sizeof *t);
	t->config = config;
	digest_key_make(&t->key);
	return t;
}

void throttle_free(struct throttle *t)
{
	free(t);
}

void throttle_configure(struct throttle *t, const struct config *config)
{
	t->config = config;
}

/* ---- tables ---- */

static const struct slot *find(const struct table *t, uint64_t place, uint64_t tag)
{
	const struct slot *bucket = t->slots[place % BUCKETS];
	for (size_t i = 0; i < WAYS; i++)
		if (bucket[i].tag == tag && bucket[i].until_ms)
			return &bucket[i];
	return NULL;
}

/* Where the tag stands, or else the one that runs down first: a flood of single failures drives out single failures. */
static struct slot *take(struct table *t, uint64_t place, uint64_t tag)
{
	struct slot *bucket = t->slots[place % BUCKETS], *found = bucket;
	for (size_t i = 0; i < WAYS; i++) {
		if (bucket[i].tag == tag)
			return &bucket[i];
		if (bucket[i].until_ms < found->until_ms)
			found = &bucket[i];
	}
	*found = (struct slot){.tag = tag};
	return found;
}

static int64_t ahead_ms(const struct table *t, uint64_t tag)
{
	const struct slot *s = find(t, tag, tag);
	int64_t now = clock_monotonic_ms();
	return s && s->until_ms > now ? s->until_ms - now : 0;
}

/* Failures that have not run down yet, rounded up. */
static unsigned level(const struct table *t, uint64_t tag, uint32_t limit)
{
	int64_t share = limit ? HOUR_MS / (int64_t)limit : 0;
	return share ? (unsigned)((ahead_ms(t, tag) + share - 1) / share) : 0;
}

static bool is_over(const struct table *t, uint64_t tag, uint32_t limit)
{
	return limit && level(t, tag, limit) >= limit;
}

/* Checks that ran side by side may have gone over the limit: they weigh no more than the limit itself. */
static void count(struct table *t, uint64_t tag, uint32_t limit)
{
	int64_t now = clock_monotonic_ms();
	if (!limit)
		return;
	struct slot *s = take(t, tag, tag);
	s->until_ms = (s->until_ms > now ? s->until_ms : now) + HOUR_MS / (int64_t)limit;
	if (s->until_ms > now + HOUR_MS)
		s->until_ms = now + HOUR_MS;
}

/* ---- judging ---- */

struct guesser throttle_guesser(const struct throttle *t, struct span address, struct span account)
{
	uint64_t network = network_key(address);
	struct span parts[] = {SPAN("network"), span_of(&network, sizeof network)};
	struct span names[] = {SPAN("account"), account, span_of(&network, sizeof network)};
	struct digest of_network = digest_make(&t->key, parts, 2), of_account = digest_make(&t->key, names, 2);
	struct digest of_pair = digest_make(&t->key, names, 3);
	return (struct guesser){digest_number(&of_network), digest_number(&of_account), digest_number(&of_pair),
	                        config_networks_have(&t->config->login_exempt, address)};
}

enum throttle_verdict throttle_judge(const struct throttle *t, const struct guesser *g)
{
	const struct config *c = t->config;
	if (is_over(&t->pairs, g->pair, c->login_failures))
		return THROTTLE_PAIR;
	const struct slot *known = find(&t->known, g->account, g->pair);
	if (known && known->until_ms > clock_monotonic_ms())
		return THROTTLE_KNOWN;
	if (!g->is_exempt && is_over(&t->networks, g->network, c->login_failures_per_address))
		return THROTTLE_ADDRESS;
	if (is_over(&t->accounts, g->account, c->login_failures_per_account))
		return THROTTLE_ACCOUNT;
	return THROTTLE_OPEN;
}

/* The counts stay as they are: else who has an account, or shares a network with one who logs in often, guesses for ever. */
void throttle_right(struct throttle *t, const struct guesser *g)
{
	take(&t->known, g->account, g->pair)->until_ms = clock_monotonic_ms() + known_ms;
}

void throttle_wrong(struct throttle *t, const struct guesser *g)
{
	const struct config *c = t->config;
	count(&t->pairs, g->pair, c->login_failures);
	count(&t->accounts, g->account, c->login_failures_per_account);
	if (!g->is_exempt)
		count(&t->networks, g->network, c->login_failures_per_address);
}

int64_t throttle_delay_ms(const struct throttle *t, const struct guesser *g)
{
	const struct config *c = t->config;
	unsigned pair = level(&t->pairs, g->pair, c->login_failures);
	unsigned network = g->is_exempt ? 0 : level(&t->networks, g->network, c->login_failures_per_address);
	unsigned failures = pair > network ? pair : network;
	if (failures > DELAY_DOUBLINGS)
		return DELAY_MOST_MS;
	return (int64_t)DELAY_FIRST_MS << (failures ? failures - 1 : 0);
}
