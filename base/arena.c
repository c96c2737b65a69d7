/* Memory that is given back all at once. */
#include "base/arena.h"

#include "base/die.h"

#include <stdalign.h>
#include <stdlib.h>

/* The first block is small: many arenas live as long as a connection, and hold a few words. */
enum { FIRST_BLOCK_BYTES = 240, BLOCK_BYTES = 4096 };

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

void arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		die("arena: %zu bytes", size);
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct arena_block *block = a->blocks;
	if (!block || block->size - block->used < size) {
		size_t usual = block ? BLOCK_BYTES : FIRST_BLOCK_BYTES, room = size > usual / 4 ? size : usual;
		struct arena_block *fresh = xcalloc(1, sizeof *fresh + room);
		fresh->size = room;
		/* a large piece gets a block of its own, behind the one that still has room */
		if (block && room == size) {
			fresh->next = block->next;
			block->next = fresh;
		} else {
			fresh->next = block;
			a->blocks = fresh;
		}
		block = fresh;
	}
	void *piece = block->bytes + block->used;
	block->used += size;
	a->used += size;
	return piece;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		die("arena: an array of %zu x %zu bytes", count, size);
	return arena_alloc(a, bytes);
}

struct span arena_dup(struct arena *a, struct span bytes)
{
	char *copy = arena_alloc(a, bytes.len + 1);
	if (bytes.len)
		memcpy(copy, bytes.ptr, bytes.len);
	return (struct span){copy, bytes.len};
}
