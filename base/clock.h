/* The only clock. Times are UTC. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);      /* since 1970-01-01 */
int64_t clock_monotonic_ms(void); /* never goes back; no meaning across restarts */
int64_t clock_monotonic_us(void);

static inline int64_t clock_wall_s(void)
{
	return clock_wall_ms() / 1000;
}

/* For tests: a clock that stands still until it is set. Negative: the real one again. */
void clock_set_for_tests(int64_t wall_ms);
/* For tests: the wall clock alone is set, so much ahead of where it would be, or behind; the monotonic one goes on. */
void clock_shift_wall_for_tests(int64_t by_ms);

#endif
