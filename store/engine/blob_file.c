/* Records of RocksDB's blob files: see blob_file.h. */
#include "store/engine/blob_file.h"

#include "base/pack.h"

#include <errno.h>
#include <lz4.h>

enum {
	MAGIC = 2395959,
	VERSION = 1,
	FLAG_EXPIRES = 1,
	MASK_DELTA = 0xa282ead8,
	MASK_BITS = 15,
	VARINT_BYTES_MOST = 5, /* of 32 bits */
};

/* CRC-32C: Castagnoli's polynomial (RFC 3385 §3). */
static uint32_t crc32c_add(uint32_t crc, struct span bytes)
{
	static const uint32_t nibble[16] = { /* the remainders of 0 to 15 */
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= (unsigned char)bytes.ptr[i];
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return crc;
}

/* The library stores no checksum as it is, since bytes that hold their own checksum have a weak one. */
static uint32_t checksum(struct span a, struct span b)
{
	uint32_t crc = ~crc32c_add(crc32c_add(~0U, a), b);
	return (crc >> MASK_BITS | crc << (32 - MASK_BITS)) + MASK_DELTA;
}

int blob_file_header(struct span in, enum blob_compression *compression, struct error *why)
{
	struct unpacker u = {.rest = span_slice(in, 0, BLOB_FILE_HEADER_BYTES)};
	uint32_t magic = unpack_u32(&u), version = unpack_u32(&u);
	unpack_u32(&u); /* the family: only one has blob files */
	uint8_t flags = unpack_u8(&u), number = unpack_u8(&u);
	unpack_u64(&u);
	unpack_u64(&u);
	if (u.bad || magic != MAGIC || version != VERSION || flags & FLAG_EXPIRES)
		return error_set(why, EBADMSG, "it does not begin as a blob file does");
	if (number != BLOB_COMPRESSION_NONE && number != BLOB_COMPRESSION_LZ4)
		return error_set(why, EBADMSG, "it has a compression that is not known, number %u", number);
	*compression = number;
	return 0;
}

int blob_file_record(struct span in, struct blob_record *out)
{
	struct unpacker u = {.rest = span_slice(in, 0, BLOB_FILE_RECORD_BYTES)};
	uint64_t key_bytes = unpack_u64(&u), value_bytes = unpack_u64(&u), expiry = unpack_u64(&u);
	uint32_t own = unpack_u32(&u);
	out->checksum = unpack_u32(&u);
	if (u.bad || u.rest.len != BLOB_FILE_KEY_BYTES || key_bytes != BLOB_FILE_KEY_BYTES || value_bytes > BLOB_FILE_VALUE_BYTES_MOST || expiry ||
	    own != checksum(span_slice(in, 0, 24), SPAN("")))
		return -1;
	memcpy(out->key, u.rest.ptr, sizeof out->key);
	out->value_bytes = (uint32_t)value_bytes;
	return 0;
}

ssize_t blob_file_find(struct span in)
{
	struct blob_record r;
	for (size_t at = 0; at < in.len;) {
		ssize_t found = span_find(span_skip(in, at), SPAN("\x14\0\0\0\0\0\0\0")); /* BLOB_FILE_KEY_BYTES */
		if (found < 0)
			return -1;
		at += (size_t)found;
		if (blob_file_record(span_skip(in, at), &r) == 0)
			return (ssize_t)at;
		at++;
	}
	return -1;
}

/* The true length in front of a compressed value: seven bits a byte, the least first. -1 if it is none. */
static ssize_t take_length(struct span *value)
{
	uint32_t length = 0;
	for (size_t i = 0; i < VARINT_BYTES_MOST && i < value->len; i++) {
		unsigned char byte = (unsigned char)value->ptr[i];
		length |= (uint32_t)(byte & 0x7f) << 7 * i;
		if (byte & 0x80)
			continue;
		*value = span_skip(*value, i + 1);
		return length <= BLOB_FILE_VALUE_BYTES_MOST ? (ssize_t)length : -1;
	}
	return -1;
}

int blob_file_unpack(enum blob_compression compression, struct span value, struct buf *out, struct error *why)
{
	if (compression == BLOB_COMPRESSION_NONE) {
		buf_add(out, value);
		return 0;
	}
	ssize_t length = take_length(&value);
	if (length < 0 || LZ4_decompress_safe(value.ptr, buf_reserve(out, (size_t)length), (int)value.len, (int)length) != length)
		return error_set(why, EBADMSG, "a record of a blob file cannot be unpacked");
	out->len += (size_t)length;
	return 0;
}

int blob_file_value(const struct blob_record *r, enum blob_compression compression, struct span value, struct buf *out, struct error *why)
{
	if (value.len != r->value_bytes || checksum(span_of(r->key, sizeof r->key), value) != r->checksum)
		return error_set(why, EBADMSG, "a record of a blob file has another checksum");
	return blob_file_unpack(compression, value, out, why);
}
