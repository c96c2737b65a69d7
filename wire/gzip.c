#include "wire/gzip.h"

#include "base/die.h"

#include <zlib.h>

enum {
	GZIP_WINDOW = 15 + 16, /* zlib's: the largest window, and gzip's own header */
	MEMORY_LEVEL = 8,
	STEP_BYTES = 16384,
};

void gzip_pack(struct span bytes, struct buf *out)
{
	z_stream z = {0};
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		die("zlib does not start");
	uLong most = deflateBound(&z, bytes.len);
	z.next_in = (unsigned char *)(uintptr_t)bytes.ptr;
	z.avail_in = (uInt)bytes.len;
	z.next_out = (unsigned char *)buf_reserve(out, most);
	z.avail_out = (uInt)most;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		die("zlib does not end");
	out->len += z.total_out;
	deflateEnd(&z);
}

int gzip_unpack(struct span file, size_t most, struct buf *out, struct error *why)
{
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)file.ptr, .avail_in = (uInt)file.len};
	size_t start = out->len;
	int state = Z_OK;
	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		die("zlib does not start");
	while (state == Z_OK && out->len - start <= most) {
		z.next_out = (unsigned char *)buf_reserve(out, STEP_BYTES);
		z.avail_out = STEP_BYTES;
		state = inflate(&z, Z_NO_FLUSH);
		out->len += STEP_BYTES - z.avail_out;
	}
	bool is_whole = state == Z_STREAM_END && z.avail_in == 0;
	inflateEnd(&z);
	if (out->len - start > most)
		return error_set(why, 0, "there are more than %zu bytes in it", most);
	return is_whole ? 0 : error_set(why, 0, "it is no gzip file");
}
