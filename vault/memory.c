/* Two tables with one place for each digest. */
#include "vault/memory.h"

#include "base/clock.h"
#include "base/die.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
	PLACES = 8192, /* 400 KiB a table */
	RIGHT_MS = 10 * 60 * 1000,
	WRONG_MS = 24 * 60 * 60 * 1000, /* longer than any client waits before it tries again */
};

struct place {
	struct digest check;
	int64_t until_ms; /* 0: free */
};

struct memory {
	struct place right[PLACES], wrong[PLACES];
};

struct memory *memory_new(void)
{
	return xcalloc(1, sizeof(struct memory));
}

void memory_free(struct memory *m)
{
	free(m);
}

static struct place *place_of(struct place *places, const struct digest *check)
{
	return &places[digest_number(check) % PLACES];
}

void memory_keep(struct memory *m, const struct digest *check, bool is_right)
{
	*place_of(is_right ? m->right : m->wrong, check) =
		(struct place){.check = *check, .until_ms = clock_monotonic_ms() + (is_right ? RIGHT_MS : WRONG_MS)};
}

static bool is_there(const struct place *p, const struct digest *check)
{
	return p->until_ms > clock_monotonic_ms() && CRYPTO_memcmp(p->check.bytes, check->bytes, DIGEST_BYTES) == 0;
}

enum memory_answer memory_recall(struct memory *m, const struct digest *check)
{
	if (is_there(place_of(m->right, check), check))
		return MEMORY_RIGHT;
	return is_there(place_of(m->wrong, check), check) ? MEMORY_WRONG : MEMORY_NOTHING;
}
