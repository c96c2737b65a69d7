/* The file ~/.forward of a user of the machine: where his mail goes, as local(8) of Postfix and Sendmail read it.
 *
 *   ana@example.org, bruno       addresses, and names of this machine
 *   \ana                         his own mailbox, and no further
 *   "|/usr/bin/vacation ana"     a program
 *   # a comment
 *
 * Targets have commas or line ends between them. /a/file and :include:/a/file are refused. Pure and linear; any input gives targets or
 * faults, each with its line. */
#ifndef WIRE_FORWARD_FILE_H
#define WIRE_FORWARD_FILE_H

#include "base/arena.h"
#include "base/error.h"

enum { FORWARD_FILE_BYTES_MOST = 65536, FORWARD_TARGETS_MOST = 100 };

enum forward_kind { FORWARD_ADDRESS, FORWARD_MAILBOX, FORWARD_PROGRAM };

struct forward_target {
	enum forward_kind kind;
	struct span text; /* the address or name without the quotes of its local part; the name behind the backslash; the command */
};

/* Start with {.rest = file}. */
struct forward_reader {
	struct span rest;
	unsigned line; /* of the target that was given last, from 1 */
	unsigned next; /* line ends taken so far */
	size_t count;  /* targets taken so far */
	bool is_amid;  /* of a line: a comment cannot begin here */
};

/* The next target, in the arena: 1; 0 at the end; -1 with *why for what is none, after which the next may be asked for. */
int forward_file_next(struct forward_reader *r, struct arena *a, struct forward_target *out, struct error *why);

#endif
