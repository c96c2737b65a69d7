/* A table from 64-bit keys to pointers: open addressing, grows, keys spread by a hash that outsiders cannot guess. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry;

/* Start with `struct map m = {0}`. Values are never NULL. */
struct map {
	struct map_entry *entries;
	size_t count, used, size; /* used counts tombstones too */
	uint64_t secret;
};

void *map_get(const struct map *m, uint64_t key);
/* Puts the value; what stood there before is replaced. */
void map_put(struct map *m, uint64_t key, void *value);
/* Takes the value out and returns it; NULL if there was none. */
void *map_take(struct map *m, uint64_t key);
/* Walks all values: start with *at = 0; NULL at the end. Taking the value just returned is allowed, putting is not. */
void *map_next(const struct map *m, size_t *at);
void map_free(struct map *m);

#endif
