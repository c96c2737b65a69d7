/* Files as gzip makes them: RFC 1952. */
#ifndef WIRE_GZIP_H
#define WIRE_GZIP_H

#include "base/buf.h"
#include "base/error.h"

void gzip_pack(struct span bytes, struct buf *out);
/* Appends what is in it. -1 with *why if it is no such file, has anything behind its end, or more than `most` bytes in it: it may have
 * appended as many then. */
int gzip_unpack(struct span file, size_t most, struct buf *out, struct error *why);

#endif
