/* Any bytes as a blob file: what is found keeps to its bounds, and a value unpacks within them or is refused. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "store/engine/blob_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	enum blob_compression compression = BLOB_COMPRESSION_LZ4;
	struct blob_record r;
	BUF_AUTO out = {0};
	blob_file_header(in, &compression, NULL);
	ssize_t at = blob_file_find(in);
	if (at >= 0 && (blob_file_record(span_skip(in, (size_t)at), &r) || r.value_bytes > BLOB_FILE_VALUE_BYTES_MOST))
		die("a record that is none");
	if (blob_file_unpack(BLOB_COMPRESSION_LZ4, span_slice(in, 0, BLOB_FILE_VALUE_BYTES_MOST), &out, NULL) ? out.len != 0 : out.len > BLOB_FILE_VALUE_BYTES_MOST)
		die("a value out of its bounds");
	return 0;
}
