/* Open addressing with tombstones. */
#include "base/map.h"

#include "base/die.h"
#include "base/random.h"

#include <stdlib.h>

struct map_entry {
	uint64_t key;
	void *value; /* NULL: free; &tombstone: taken out */
};

static char tombstone;

static size_t slot_of(const struct map *m, uint64_t key)
{
	uint64_t z = (key ^ m->secret) * 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93u;
	return (size_t)(z ^ (z >> 32)) & (m->size - 1);
}

static struct map_entry *find(const struct map *m, uint64_t key)
{
	if (!m->size)
		return NULL;
	for (size_t i = slot_of(m, key);; i = (i + 1) & (m->size - 1)) {
		struct map_entry *e = &m->entries[i];
		if (!e->value)
			return NULL;
		if (e->key == key && e->value != &tombstone)
			return e;
	}
}

static void insert(struct map *m, uint64_t key, void *value)
{
	size_t i = slot_of(m, key);
	while (m->entries[i].value)
		i = (i + 1) & (m->size - 1);
	m->entries[i] = (struct map_entry){key, value};
	m->count++;
	m->used++;
}

static void grow(struct map *m)
{
	struct map old = *m;
	if (!m->secret)
		m->secret = random_u64() | 1;
	m->size = 16;
	while (m->size < (old.count + 1) * 2)
		m->size *= 2;
	m->entries = xcalloc(m->size, sizeof *m->entries);
	m->count = m->used = 0;
	for (size_t i = 0; i < old.size; i++)
		if (old.entries[i].value && old.entries[i].value != &tombstone)
			insert(m, old.entries[i].key, old.entries[i].value);
	free(old.entries);
}

void *map_get(const struct map *m, uint64_t key)
{
	struct map_entry *e = find(m, key);
	return e ? e->value : NULL;
}

void map_put(struct map *m, uint64_t key, void *value)
{
	struct map_entry *e = find(m, key);
	if (e) {
		e->value = value;
		return;
	}
	if ((m->used + 1) * 4 > m->size * 3)
		grow(m);
	insert(m, key, value);
}

void *map_take(struct map *m, uint64_t key)
{
	struct map_entry *e = find(m, key);
	if (!e)
		return NULL;
	void *value = e->value;
	e->value = &tombstone;
	m->count--;
	return value;
}

void *map_next(const struct map *m, size_t *at)
{
	while (*at < m->size) {
		struct map_entry *e = &m->entries[(*at)++];
		if (e->value && e->value != &tombstone)
			return e->value;
	}
	return NULL;
}

void map_free(struct map *m)
{
	free(m->entries);
	*m = (struct map){0};
}
