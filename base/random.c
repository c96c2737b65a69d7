/* Random bytes from the kernel, drawn in blocks. */
#include "base/random.h"

#include "base/die.h"

#include <string.h>
#include <sys/random.h>

static uint64_t test_state;

static uint64_t test_next(void)
{
	/* splitmix64: any seed gives a full-period sequence */
	uint64_t z = (test_state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill(unsigned char *out, size_t len)
{
	while (len) {
		ssize_t n = getrandom(out, len, 0);
		if (n <= 0)
			die("random: getrandom failed");
		out += n;
		len -= (size_t)n;
	}
}

void random_bytes(void *out, size_t len)
{
	static _Thread_local unsigned char pool[256];
	static _Thread_local size_t left;
	unsigned char *to = out;
	if (test_state) {
		for (size_t i = 0; i < len; i++)
			to[i] = (unsigned char)test_next();
		return;
	}
	if (len > sizeof pool) {
		fill(to, len);
		return;
	}
	if (left < len) {
		fill(pool, sizeof pool);
		left = sizeof pool;
	}
	memcpy(to, pool + left - len, len);
	memset(pool + left - len, 0, len); /* what was handed out is not kept */
	left -= len;
}

uint64_t random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof v);
	return v;
}

uint64_t random_below(uint64_t bound)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % bound, v;
	do
		v = random_u64();
	while (v >= limit);
	return v % bound;
}

void random_seed_for_tests(uint64_t seed)
{
	test_state = seed;
}
