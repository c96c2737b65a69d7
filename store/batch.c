/* A list of changes as bytes: cheap to make in one thread and to repeat in another. */
#include "store/batch.h"

#include "base/die.h"
#include "base/pack.h"

enum operation { OPERATION_PUT, OPERATION_DELETE, OPERATION_DELETE_RANGE, OPERATION_BLOB_PUT, OPERATION_BLOB_DELETE };

static void add(struct batch *b, enum operation operation, struct span first, struct span second, struct span third)
{
	pack_u8(&b->operations, (uint8_t)operation);
	pack_bytes(&b->operations, first);
	pack_bytes(&b->operations, second);
	pack_bytes(&b->operations, third);
}

static void add_blob(struct batch *b, enum operation operation, struct id128 blob, uint32_t piece, struct span bytes)
{
	pack_u8(&b->operations, (uint8_t)operation);
	buf_add(&b->operations, id128_span(&blob));
	pack_u32(&b->operations, piece);
	pack_bytes(&b->operations, bytes);
}

void batch_put(struct batch *b, struct span partition, struct span key, struct span value)
{
	add(b, OPERATION_PUT, partition, key, value);
}

void batch_delete(struct batch *b, struct span partition, struct span key)
{
	add(b, OPERATION_DELETE, partition, key, SPAN(""));
}

void batch_delete_range(struct batch *b, struct span partition, struct span from, struct span to)
{
	add(b, OPERATION_DELETE_RANGE, partition, from, to);
}

void batch_blob_put(struct batch *b, struct id128 blob, uint32_t piece, struct span bytes)
{
	add_blob(b, OPERATION_BLOB_PUT, blob, piece, bytes);
}

void batch_blob_delete(struct batch *b, struct id128 blob, uint32_t piece)
{
	add_blob(b, OPERATION_BLOB_DELETE, blob, piece, SPAN(""));
}

bool batch_is_empty(const struct batch *b)
{
	return b->operations.len == 0;
}

void batch_free(struct batch *b)
{
	buf_free(&b->operations);
	b->is_durable = false;
}

static void apply_blob(struct unpacker *u, enum operation operation, struct engine_batch *to)
{
	struct id128 id;
	struct blob_id blob;
	unpack_id128(u, &id);
	memcpy(blob.bytes, id.bytes, sizeof blob.bytes);
	uint32_t piece = unpack_u32(u);
	struct span bytes = unpack_bytes(u, SIZE_MAX);
	if (operation == OPERATION_BLOB_PUT)
		engine_batch_blob_put(to, blob, piece, bytes);
	else
		engine_batch_blob_delete(to, blob, piece);
}

void batch_apply(const struct batch *b, struct engine_batch *to)
{
	struct unpacker u = {.rest = buf_span(&b->operations)};
	while (u.rest.len && !u.bad) {
		enum operation operation = unpack_u8(&u);
		if (operation == OPERATION_BLOB_PUT || operation == OPERATION_BLOB_DELETE) {
			apply_blob(&u, operation, to);
			continue;
		}
		struct span partition = unpack_bytes(&u, SIZE_MAX), first = unpack_bytes(&u, SIZE_MAX), second = unpack_bytes(&u, SIZE_MAX);
		if (operation == OPERATION_PUT)
			engine_batch_put(to, partition, first, second);
		else if (operation == OPERATION_DELETE)
			engine_batch_delete(to, partition, first);
		else
			engine_batch_delete_range(to, partition, first, second);
	}
	if (u.bad)
		die("store: a batch that cannot be read back");
}
