/* RocksDB's blob files as bytes, for when the list is lost that says which there are and nobody but we can read them.
 *
 * A file is a header of BLOB_FILE_HEADER_BYTES (u32 magic, u32 version, u32 family, u8 flags, u8 compression, two u64 of expiry), then
 * records: u64 bytes of the key, u64 bytes of the value, u64 expiry, u32 checksum of those three, u32 checksum of key and value, the key, the
 * value; and a footer, if it was closed. Numbers are little-endian; checksums are CRC-32C, rotated and offset. A value is compressed by itself:
 * its true length as a varint, then one block of LZ4.
 *
 * Pure functions over a byte range. Our keys are all of one length (store/engine/engine.c), so a record tells itself from chance bytes. */
#ifndef STORE_ENGINE_BLOB_FILE_H
#define STORE_ENGINE_BLOB_FILE_H

#include "base/buf.h"
#include "base/error.h"

enum {
	BLOB_FILE_HEADER_BYTES = 30,
	BLOB_FILE_KEY_BYTES = 20,
	BLOB_FILE_RECORD_BYTES = 32 + BLOB_FILE_KEY_BYTES, /* what stands in front of a value */
	BLOB_FILE_VALUE_BYTES_MOST = 128 * 1024,           /* a piece is half of that; compressed or not */
};

enum blob_compression { BLOB_COMPRESSION_NONE = 0, BLOB_COMPRESSION_LZ4 = 4 }; /* the library's numbers */

struct blob_record {
	unsigned char key[BLOB_FILE_KEY_BYTES];
	uint32_t value_bytes; /* as they stand in the file */
	uint32_t checksum;
};

/* Reads a file's header. -1 with *why if it is none, or has a compression that is not ours. */
int blob_file_header(struct span in, enum blob_compression *compression, struct error *why);
/* Reads what stands in front of a value, at the start of `in`. -1 if that is no record of ours, or not whole. */
int blob_file_record(struct span in, struct blob_record *out);
/* The offset of the first record in `in` whose front is whole; -1 if there is none. */
ssize_t blob_file_find(struct span in);
/* Holds the value against its checksum, and appends it as it was before it was compressed. -1 with *why (EBADMSG), and nothing appended. */
int blob_file_value(const struct blob_record *r, enum blob_compression compression, struct span value, struct buf *out, struct error *why);
/* The second half of that alone. `value` is at most BLOB_FILE_VALUE_BYTES_MOST. */
int blob_file_unpack(enum blob_compression compression, struct span value, struct buf *out, struct error *why);

#endif
