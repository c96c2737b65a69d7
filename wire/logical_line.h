/* The lines of the files that Postfix and Sendmail read: empty lines and comments ("#" behind nothing but white space) are passed over
 * wherever they stand, and a line that begins with white space goes on with the one before (postmap(1), postconf(5)). Pure and linear. */
#ifndef WIRE_LOGICAL_LINE_H
#define WIRE_LOGICAL_LINE_H

#include "base/buf.h"
#include "base/error.h"

/* Start with {.rest = file}. */
struct line_reader {
	struct span rest;
	unsigned line; /* where the one that was given last begins, from 1 */
	unsigned next; /* lines taken so far */
};

/* Replaces *out by the next line and those that go on with it, joined by a space each: 1; 0 at the end; -1 with *why for a line that goes
 * on with none. */
int logical_line_next(struct line_reader *r, struct buf *out, struct error *why);

#endif
