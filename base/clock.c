/* The clock, real or set by a test. */
#include "base/clock.h"

#include <time.h>

static int64_t test_wall_ms = -1, test_shift_ms;

static int64_t read_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return (test_wall_ms >= 0 ? test_wall_ms : read_us(CLOCK_REALTIME) / 1000) + test_shift_ms;
}

int64_t clock_monotonic_ms(void)
{
	return test_wall_ms >= 0 ? test_wall_ms : read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
	return test_wall_ms >= 0 ? test_wall_ms * 1000 : read_us(CLOCK_MONOTONIC);
}

void clock_set_for_tests(int64_t wall_ms)
{
	test_wall_ms = wall_ms;
}

void clock_shift_wall_for_tests(int64_t by_ms)
{
	test_shift_ms = by_ms;
}
