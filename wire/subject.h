/* The base subject of a message: RFC 5256 §2.1, "exactly this algorithm". */
#ifndef WIRE_SUBJECT_H
#define WIRE_SUBJECT_H

#include "base/buf.h"

/* Appends the base subject of a Subject value (unfolded, as written) as UTF-8. True if what was taken away shows a reply or a forward:
 * a subj-refwd, a "(fwd)", or "[fwd: ...]" (RFC 5256 §3, REFERENCES). Linear in the length. */
bool subject_base(struct span value, struct buf *out);

#endif
