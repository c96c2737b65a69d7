/* The only randomness: the kernel's, unless a test asks for a seed. Safe to call from any thread. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint64_t random_u64(void);
uint64_t random_below(uint64_t bound); /* 0 <= result < bound, even; bound > 0 */

/* For tests: the same bytes for the same seed, in this thread's order. 0: the kernel's again. */
void random_seed_for_tests(uint64_t seed);

#endif
