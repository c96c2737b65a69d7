/* Lists of aliases as other servers have them in files: Sendmail's and Postfix's aliases(5), Postfix's virtual(5), Sendmail's virtusertable.
 *
 *   postmaster: root, ana@example.org         name, colon, targets
 *   info@example.org   ana, bruno@x.example   address, white space, targets
 *   @example.org       ana@example.org        all other addresses of a domain
 *
 * A line that begins with white space goes on with the one before; "#" begins a comment line. Pure and linear; any input gives lines
 * or errors, and no line is given twice. */
#ifndef WIRE_ALIAS_MAP_H
#define WIRE_ALIAS_MAP_H

#include "base/arena.h"
#include "base/error.h"

enum { ALIAS_MAP_TARGETS_MOST = 1000 };

/* Start with {.rest = file}. */
struct alias_map_reader {
	struct span rest;
	unsigned line; /* of the entry that was given last, from 1 */
	unsigned next; /* of `rest` */
};

struct alias_map_entry {
	struct span name;     /* as written, without quotes */
	struct span *targets; /* as written, without quotes and a leading backslash */
	size_t count;
};

/* The next entry, in the arena: 1; 0 at the end; -1 with *why if it is none that we have (a pipe, a file, an include, no target). */
int alias_map_next(struct alias_map_reader *r, struct arena *a, struct alias_map_entry *out, struct error *why);

#endif
