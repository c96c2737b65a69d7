/* Both directions of a stream that is compressed: raw deflate (RFC 1951) by zlib, as RFC 4978 has it. */
#ifndef BASE_DEFLATE_H
#define BASE_DEFLATE_H

#include "base/buf.h"

struct deflate;

/* About 100 KiB. Never NULL. */
struct deflate *deflate_new(void);
void deflate_free(struct deflate *d);

/* Appends the bytes compressed; whoever reads them can read all of them (Z_SYNC_FLUSH). */
void deflate_pack(struct deflate *d, struct span bytes, struct buf *out);

/* Reads compressed bytes off the front of *in and appends what they are, no more than `most` bytes: call it again with the rest, and with
 * nothing while the answer is 1, for zlib holds some back then. 1: there may be more; 0: all there was; -1: no deflate, or its end. */
int deflate_unpack(struct deflate *d, struct span *in, size_t most, struct buf *out);

#endif
