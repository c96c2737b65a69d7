/* Compressed streams: see deflate.h. */
#include "base/deflate.h"

#include "base/die.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
	/* A window of 8 KiB and small tables: 64 KiB for each connection instead of 256, for some percent of the size. */
	WINDOW_BITS = -13,
	MEMORY_LEVEL = 6,
	LEVEL = 5,
	PIECE_BYTES = 16 * 1024,
};

struct deflate {
	z_stream out, in;
};

struct deflate *deflate_new(void)
{
	struct deflate *d = xcalloc(1, sizeof *d);
	if (deflateInit2(&d->out, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK || inflateInit2(&d->in, -MAX_WBITS) != Z_OK)
		die("deflate: no memory");
	return d;
}

void deflate_free(struct deflate *d)
{
	if (!d)
		return;
	deflateEnd(&d->out);
	inflateEnd(&d->in);
	free(d);
}

void deflate_pack(struct deflate *d, struct span bytes, struct buf *out)
{
	d->out.next_in = (Bytef *)bytes.ptr;
	d->out.avail_in = (uInt)bytes.len;
	do {
		d->out.next_out = (Bytef *)buf_reserve(out, PIECE_BYTES);
		d->out.avail_out = PIECE_BYTES;
		if (deflate(&d->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			die("deflate: zlib is at odds with itself");
		out->len += PIECE_BYTES - d->out.avail_out;
	} while (d->out.avail_out == 0);
}

int deflate_unpack(struct deflate *d, struct span *in, size_t most, struct buf *out)
{
	size_t piece = most < PIECE_BYTES ? most : PIECE_BYTES;
	uInt given = in->len < UINT_MAX ? (uInt)in->len : UINT_MAX;
	d->in.next_in = (Bytef *)in->ptr;
	d->in.avail_in = given;
	d->in.next_out = (Bytef *)buf_reserve(out, piece);
	d->in.avail_out = (uInt)piece;
	int result = inflate(&d->in, Z_SYNC_FLUSH);
	*in = span_skip(*in, given - d->in.avail_in);
	out->len += piece - d->in.avail_out;
	if (result != Z_OK && result != Z_BUF_ERROR)
		return -1;
	return d->in.avail_out == 0 || in->len > 0;
}
