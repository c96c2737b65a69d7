/* What somebody may do with a mailbox, as bits and as letters: RFC 4314 §2.1. */
#ifndef WIRE_RIGHTS_H
#define WIRE_RIGHTS_H

#include "base/buf.h"

enum right {
	RIGHT_LOOKUP = 1,          /* l: LIST, SUBSCRIBE */
	RIGHT_READ = 2,            /* r: SELECT, STATUS */
	RIGHT_SEEN = 4,            /* s: \Seen */
	RIGHT_WRITE = 8,           /* w: all flags but \Seen and \Deleted */
	RIGHT_INSERT = 16,         /* i: APPEND, COPY into it */
	RIGHT_POST = 32,           /* p: mail to its address; not looked at */
	RIGHT_CREATE = 64,         /* k: CREATE below it, RENAME to below it */
	RIGHT_DELETE_MAILBOX = 128, /* x: DELETE, RENAME of it */
	RIGHT_DELETE = 256,        /* t: \Deleted */
	RIGHT_EXPUNGE = 512,       /* e */
	RIGHT_ADMINISTER = 1024,   /* a: the list of rights itself */
	RIGHTS_ALL = 2047,
};

enum { RIGHTS_OF_FLAGS = RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE };

/* In the order of the bits. Each can be granted alone; c and d are virtual (§2.1.1): c stands for kx, d for te. */
#define RIGHTS_LETTERS "lrswipkxtea"

enum rights_change { RIGHTS_SET, RIGHTS_ADD, RIGHTS_REMOVE };

/* The third argument of SETACL (§3.1): with "+" or "-" in front or not. -1 if there is a letter that is none of these. */
int rights_parse(struct span text, enum rights_change *change, unsigned *rights);
/* Appends the letters, c and d where one of theirs is among them; "" in quotes where there are none (an astring). */
void rights_format(unsigned rights, struct buf *out);

#endif
