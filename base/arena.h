/* An arena holds what lives as long as one command or one message: allocated piece by piece, given back at once. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_block;

/* Start with `struct arena a = {0}`; arena_free gives everything back and leaves it ready for use again. */
struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes handed out since the last arena_free: for limits */
};

#define ARENA_AUTO __attribute__((cleanup(arena_free))) struct arena

void arena_free(struct arena *a);

/* `size` zeroed bytes, aligned for any type. Never NULL (base/die.h). */
void *arena_alloc(struct arena *a, size_t size);
void *arena_alloc_array(struct arena *a, size_t count, size_t size); /* checks count * size */

/* A copy of the bytes, followed by a NUL that is not counted. */
struct span arena_dup(struct arena *a, struct span bytes);

#endif
