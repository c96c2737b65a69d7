/* SASLprep (RFC 4013): how a password is written before keys are made from it, so that two keyboards give one password. */
#ifndef WIRE_SASLPREP_H
#define WIRE_SASLPREP_H

#include "base/buf.h"

enum { SASLPREP_BYTES_MOST = 4096 }; /* of what it becomes: a character may become eighteen */

/* Appends the text as it becomes. Characters that Unicode 3.2 did not have pass as they are, as they do at a client, for which a password is
 * a query (RFC 3454 §7). -1 if the text is not UTF-8, has what may not stand in it, or is nothing or too long then: nothing is
 * appended. Safe to call from any thread. */
int saslprep(struct span text, struct buf *out);

#endif
