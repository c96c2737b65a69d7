/* Lists of aliases as other servers have them in files: Sendmail's and Postfix's aliases(5), Postfix's virtual(5), Sendmail's virtusertable.
 *
 *   postmaster: root, ana@example.org         name, colon, targets
 *   info@example.org   ana, bruno@x.example   address, white space, targets
 *   @example.org       ana@example.org        all other addresses of a domain
 *
 * Pure and linear; any input gives lines or errors, and no line is given twice. */
#ifndef WIRE_ALIAS_MAP_H
#define WIRE_ALIAS_MAP_H

#include "base/arena.h"
#include "wire/logical_line.h"

enum { ALIAS_MAP_TARGETS_MOST = 1000 };

/* An error's code, of a target that is one elsewhere and none here: a program, a file, another file of targets. */
enum { ALIAS_MAP_NOT_HERE = 1 };

struct alias_map_entry {
	struct span name;     /* as written, without quotes */
	struct span *targets; /* as written, without quotes and a leading backslash */
	size_t count;
};

/* The next entry, in the arena: 1; 0 at the end; -1 with *why if it is none that we have (a file, an include, no target, or a program that is
 * not in `pipes`, the setting; NULL: none is). A program is a target as wire/program.h has it. */
int alias_map_next(struct line_reader *r, const char *pipes, struct arena *a, struct alias_map_entry *out, struct error *why);

/* The parts of it, for files that are read otherwise. Takes the name, and a colon behind it, off a line. */
struct span alias_map_take_name(struct span *line, bool *has_colon, struct arena *a);
/* Targets with commas or white space between them, into out->targets and out->count. 0, or -1 with *why. */
int alias_map_read_targets(struct span text, const char *pipes, struct arena *a, struct alias_map_entry *out, struct error *why);

#endif
