/* A short message that the server itself writes to somebody: RFC 5322, in UTF-8. */
#ifndef WIRE_NOTICE_H
#define WIRE_NOTICE_H

#include "base/buf.h"

struct notice {
	struct span from, to;    /* addresses */
	struct span message_id;  /* with its angle brackets; unique */
	int64_t now;             /* UTC seconds */
	const char *subject;     /* UTF-8 */
	struct span text;        /* UTF-8, lines that end in CR LF, each below 998 octets */
};

/* Appends the whole message. Addresses may come from outside: nothing in them ends a field. 7-bit where the text is. It says that
 * nobody wrote it (RFC 3834 §5), so that no vacation notice answers. */
void notice_build(const struct notice *n, struct buf *out);

#endif
