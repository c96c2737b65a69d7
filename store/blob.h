/* A message's bytes as they are kept: immutable, in pieces.
 *
 * Piece 0 is the head: how the message is put together. A small message stands whole in it. Of a larger one the bytes that
 * came in stand in pieces 1, 2, ... of BLOB_PIECE_BYTES, staged while they arrive; the message is the prefix (trace and
 * added fields), then those bytes less the cuts (ranges that filter left out). A blob without a head was never accepted.
 * A head may name another blob, the lender, which got the same bytes before (store/sent.h): then it has no pieces of its own.
 * All offsets and sizes elsewhere are those of the message. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "store/batch.h"

enum {
	BLOB_CUTS_MOST = 128,
	BLOB_DIGEST_BYTES = 32,
	BLOB_INLINE_MOST = 30 * 1024, /* with a prefix (ipc/messages.def) it fits into one piece */
};

struct blob_cut {
	uint64_t offset, length; /* in the bytes received */
};

struct blob_head {
	struct span prefix;
	struct blob_cut cuts[BLOB_CUTS_MOST];
	size_t cut_count;
	uint64_t received; /* bytes in pieces 1, 2, ... */
	unsigned char received_digest[BLOB_DIGEST_BYTES]; /* their SHA-256 */
	unsigned char digest[BLOB_DIGEST_BYTES]; /* of the whole, or of prefix, cuts and received_digest: made by blob_head_put */
	struct span whole; /* the whole message, if it is small; then there is nothing else */
	struct id128 lender; /* whose pieces it uses; zero: its own */
};

/* Reads `cuts` as filter sends them (u64 offset, u64 length, ...): ascending, apart, inside `received`. -1 if not. */
int blob_cuts_unpack(struct span packed, uint64_t received, struct blob_head *head);
uint64_t blob_size(const struct blob_head *head);
/* Appends the message to `out`, made of `received` bytes in memory. */
void blob_compose(const struct blob_head *head, struct span received, struct buf *out);

/* Puts a message that is in memory, whatever its size, but for its head: that is *head, which points into the message. */
void blob_put_message(struct batch *b, struct id128 blob, struct span message, struct blob_head *head);
void blob_head_put(struct batch *b, struct id128 blob, const struct blob_head *head);
/* Deletes the head and its own pieces, never a lender's. */
void blob_delete(struct batch *b, struct id128 blob, uint64_t received);

/* Appends at most `length` bytes of the message from `offset` on. 1, 0 if there is no such blob, -1 with *why.
 * Fewer bytes than asked for: the message's end. */
int blob_read(struct engine *e, struct id128 blob, uint64_t offset, uint64_t length, struct buf *out, struct error *why);
/* Reads all of it, and holds it against its checksum. 1 with the message's size, 0 if there is none, -1 with *why. */
int blob_verify(struct engine *e, struct id128 blob, uint64_t *size, struct error *why);
/* 1 with the head's numbers (its spans point into *memory), 0 if there is none, -1 with *why. */
int blob_head_get(struct engine *e, struct id128 blob, struct buf *memory, struct blob_head *head, struct error *why);

#endif
