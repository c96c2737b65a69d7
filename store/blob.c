/* Putting a message together from its pieces. */
#include "store/blob.h"

#include "base/checked.h"
#include "base/die.h"
#include "base/pack.h"

#include <errno.h>
#include <openssl/evp.h>

enum {
	HEAD_VERSION = 2,
	HEAD_VERSION_LENT = 3, /* the same, and behind it the lender */
};

static struct blob_id engine_id(struct id128 id)
{
	struct blob_id blob;
	memcpy(blob.bytes, id.bytes, sizeof blob.bytes);
	return blob;
}

static int unpack_cuts(struct unpacker *u, uint64_t received, struct blob_head *head)
{
	uint64_t end = 0;
	head->cut_count = 0;
	while (u->rest.len && !u->bad) {
		struct blob_cut cut = {.offset = unpack_u64(u)};
		cut.length = unpack_u64(u);
		uint64_t cut_end;
		if (u->bad || head->cut_count == BLOB_CUTS_MOST || cut.offset < end || checked_add(cut.offset, cut.length, &cut_end) ||
		    cut_end > received)
			return -1;
		head->cuts[head->cut_count++] = cut;
		end = cut_end;
	}
	return u->bad ? -1 : 0;
}

int blob_cuts_unpack(struct span packed, uint64_t received, struct blob_head *head)
{
	struct unpacker u = {.rest = packed};
	head->received = received;
	return unpack_cuts(&u, received, head);
}

uint64_t blob_size(const struct blob_head *head)
{
	uint64_t size = head->prefix.len + head->received + head->whole.len;
	for (size_t i = 0; i < head->cut_count; i++)
		size -= head->cuts[i].length;
	return size;
}

void blob_compose(const struct blob_head *head, struct span received, struct buf *out)
{
	size_t at = 0;
	buf_add(out, head->prefix);
	for (size_t i = 0; i < head->cut_count; i++) {
		buf_add(out, span_slice(received, at, head->cuts[i].offset - at));
		at = head->cuts[i].offset + head->cuts[i].length;
	}
	buf_add(out, span_skip(received, at));
}

static void digest_of(struct span bytes, unsigned char out[BLOB_DIGEST_BYTES])
{
	if (EVP_Digest(bytes.ptr, bytes.len, out, NULL, EVP_sha256(), NULL) != 1)
		die("store: no SHA-256");
}

static void pack_cuts(const struct blob_head *head, struct buf *out)
{
	for (size_t i = 0; i < head->cut_count; i++) {
		pack_u64(out, head->cuts[i].offset);
		pack_u64(out, head->cuts[i].length);
	}
}

/* What proves the message, as the head says that it is. */
static void make_digest(const struct blob_head *head, unsigned char out[BLOB_DIGEST_BYTES])
{
	BUF_AUTO parts = {0};
	if (head->whole.len) {
		digest_of(head->whole, out);
		return;
	}
	pack_bytes(&parts, head->prefix);
	pack_cuts(head, &parts);
	buf_add(&parts, span_of(head->received_digest, BLOB_DIGEST_BYTES));
	digest_of(buf_span(&parts), out);
}

void blob_put_message(struct batch *b, struct id128 blob, struct span message, struct blob_head *head)
{
	uint32_t piece = 0;
	*head = (struct blob_head){0};
	if (message.len <= BLOB_INLINE_MOST) {
		head->whole = message;
		return;
	}
	head->received = message.len;
	digest_of(message, head->received_digest);
	for (; message.len; message = span_skip(message, BLOB_PIECE_BYTES))
		batch_blob_put(b, blob, ++piece, span_slice(message, 0, BLOB_PIECE_BYTES));
}

void blob_head_put(struct batch *b, struct id128 blob, const struct blob_head *head)
{
	BUF_AUTO value = {0}, cuts = {0};
	unsigned char digest[BLOB_DIGEST_BYTES];
	pack_cuts(head, &cuts);
	make_digest(head, digest);
	bool is_lent = !id128_is_zero(head->lender);
	pack_u8(&value, is_lent ? HEAD_VERSION_LENT : HEAD_VERSION);
	pack_u64(&value, head->received);
	pack_bytes(&value, span_of(digest, sizeof digest));
	pack_bytes(&value, buf_span(&cuts));
	pack_bytes(&value, head->prefix);
	pack_bytes(&value, head->whole);
	if (is_lent)
		buf_add(&value, id128_span(&head->lender));
	batch_blob_put(b, blob, 0, buf_span(&value));
}

void blob_delete(struct batch *b, struct id128 blob, uint64_t received)
{
	batch_blob_delete(b, blob, 0);
	for (uint64_t piece = 0; piece * BLOB_PIECE_BYTES < received; piece++)
		batch_blob_delete(b, blob, (uint32_t)piece + 1);
}

int blob_head_get(struct engine *e, struct id128 blob, struct buf *memory, struct blob_head *head, struct error *why)
{
	int found = engine_blob_get(e, engine_id(blob), 0, memory, why);
	if (found <= 0)
		return found;
	struct unpacker u = {.rest = buf_span(memory)};
	uint8_t version = unpack_u8(&u);
	*head = (struct blob_head){.received = unpack_u64(&u)};
	struct span digest = unpack_bytes(&u, BLOB_DIGEST_BYTES);
	if (digest.len == BLOB_DIGEST_BYTES)
		memcpy(head->digest, digest.ptr, BLOB_DIGEST_BYTES);
	struct unpacker cuts = {.rest = unpack_bytes(&u, SIZE_MAX)};
	head->prefix = unpack_bytes(&u, SIZE_MAX);
	head->whole = unpack_bytes(&u, SIZE_MAX);
	if (version == HEAD_VERSION_LENT)
		unpack_id128(&u, &head->lender);
	if ((version != HEAD_VERSION && version != HEAD_VERSION_LENT) || digest.len != BLOB_DIGEST_BYTES || !unpack_done(&u) || unpack_cuts(&cuts, head->received, head))
		return error_set(why, EBADMSG, "a blob's head is damaged");
	return 1;
}

/* Appends received bytes [from, from + length). */
static int read_received(struct engine *e, struct id128 blob, const struct blob_head *head, uint64_t from, uint64_t length, struct buf *out,
                         struct error *why)
{
	BUF_AUTO piece = {0};
	struct blob_id pieces = engine_id(id128_is_zero(head->lender) ? blob : head->lender);
	while (length) {
		buf_clear(&piece);
		int found = engine_blob_get(e, pieces, (uint32_t)(from / BLOB_PIECE_BYTES) + 1, &piece, why);
		if (found < 0)
			return -1;
		struct span part = span_slice(buf_span(&piece), from % BLOB_PIECE_BYTES, length);
		if (found == 0 || part.len == 0)
			return error_set(why, EBADMSG, "a piece of a blob is missing");
		buf_add(out, part);
		from += part.len;
		length -= part.len;
	}
	return 0;
}

int blob_read(struct engine *e, struct id128 blob, uint64_t offset, uint64_t length, struct buf *out, struct error *why)
{
	BUF_AUTO memory = {0};
	struct blob_head head;
	int found = blob_head_get(e, blob, &memory, &head, why);
	if (found <= 0)
		return found;
	if (head.whole.len) {
		buf_add(out, span_slice(head.whole, offset, length));
		return 1;
	}
	struct span part = span_slice(head.prefix, offset, length);
	buf_add(out, part);
	length -= part.len;
	offset = offset > head.prefix.len ? offset - head.prefix.len : 0;
	/* each run of received bytes between two cuts; `offset` is relative to the start of the run */
	uint64_t at = 0;
	for (size_t i = 0; i <= head.cut_count && length; i++) {
		uint64_t end = i < head.cut_count ? head.cuts[i].offset : head.received, run = end - at;
		if (offset < run) {
			uint64_t take = run - offset < length ? run - offset : length;
			if (read_received(e, blob, &head, at + offset, take, out, why))
				return -1;
			length -= take;
			offset = 0;
		} else {
			offset -= run;
		}
		if (i < head.cut_count)
			at = end + head.cuts[i].length;
	}
	return 1;
}

static int digest_received(struct engine *e, struct id128 blob, struct blob_head *head, struct error *why)
{
	EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
	uint64_t at = 0;
	int result = 0;
	if (!sha256 || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1)
		die("store: no SHA-256");
	while (result == 0 && at < head->received) {
		BUF_AUTO piece = {0};
		uint64_t left = head->received - at, length = left < BLOB_PIECE_BYTES ? left : BLOB_PIECE_BYTES;
		result = read_received(e, blob, head, at, length, &piece, why);
		EVP_DigestUpdate(sha256, piece.ptr, piece.len);
		at += length;
	}
	EVP_DigestFinal_ex(sha256, head->received_digest, NULL);
	EVP_MD_CTX_free(sha256);
	return result;
}

int blob_verify(struct engine *e, struct id128 blob, uint64_t *size, struct error *why)
{
	BUF_AUTO memory = {0};
	struct blob_head head;
	unsigned char digest[BLOB_DIGEST_BYTES];
	int found = blob_head_get(e, blob, &memory, &head, why);
	if (found <= 0)
		return found;
	if (!head.whole.len && digest_received(e, blob, &head, why))
		return -1;
	make_digest(&head, digest);
	*size = blob_size(&head);
	if (memcmp(digest, head.digest, sizeof digest) != 0)
		return error_set(why, EBADMSG, "its checksum is another one");
	return 1;
}
