/* The addresses that a reader is told a message is from. */
#ifndef FILTER_AUTHORS_H
#define FILTER_AUTHORS_H

#include "base/arena.h"

enum { AUTHORS_MOST = 100 };

/* Zeroed is ready; the memory is given back with arena_free. */
struct authors {
	struct arena memory;
	struct span list[AUTHORS_MOST]; /* "local@domain" */
	size_t count;
};

/* Adds the addresses of the value of a From or Sender field. -1 if there are too many, or if it has something in it that no address list
 * has: to the one who reads it that could be an address, so only what is grammar through and through is taken. */
int authors_add(struct span value, struct authors *to);
/* Adds, of a value that is no such grammar, whatever anybody could take for an address, as "?@domain": all that stands behind an "@". -1 if
 * there are too many. */
int authors_add_all(struct span value, struct authors *to);

#endif
