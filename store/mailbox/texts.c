/* Texts of messages and their trigrams: see texts.h. */
#include "store/mailbox/texts.h"

#include "base/die.h"
#include "base/pack.h"
#include "wire/casefold.h"

#include <stdlib.h>

enum { TEXTS_VERSION = 1, TRIGRAMS_VERSION = 2, TRIGRAMS_LOOKED_UP_MOST = 8 };

static void pack_head(struct buf *out, uint8_t version)
{
	pack_u8(out, version);
	pack_u16(out, casefold_version());
}

static bool unpack_head(struct unpacker *u, uint8_t version)
{
	return unpack_u8(u) == version && unpack_u16(u) == casefold_version() && !u->bad;
}

/* ---- blocks ---- */

void text_block_pack(const struct kept_text texts[BLOCK_ROWS], struct buf *out)
{
	pack_head(out, TEXTS_VERSION);
	for (unsigned i = 0; i < BLOCK_ROWS; i++) {
		if (!texts[i].text.ptr)
			continue;
		pack_u8(out, (uint8_t)i);
		pack_u8(out, texts[i].is_cut);
		pack_bytes(out, texts[i].text);
	}
}

bool text_block_unpack(struct text_block *b)
{
	struct unpacker u = {.rest = buf_span(&b->memory)};
	memset(b->texts, 0, sizeof b->texts);
	if (!unpack_head(&u, TEXTS_VERSION))
		return false;
	while (u.rest.len && !u.bad) {
		struct kept_text *t = &b->texts[unpack_u8(&u) % BLOCK_ROWS];
		t->is_cut = unpack_u8(&u);
		t->text = unpack_bytes(&u, u.rest.len);
	}
	return !u.bad;
}

int texts_get(const struct account *a, uint32_t mailbox, uint32_t block, struct text_block *out)
{
	BUF_AUTO key = {0};
	buf_clear(&out->memory);
	index_key(&key, 'v', mailbox, block);
	int found = engine_get(a->worker->engine, account_partition(a), buf_span(&key), &out->memory, NULL);
	return found > 0 && !text_block_unpack(out) ? -1 : found;
}

void texts_put(struct account *a, uint32_t mailbox, uint32_t block, const struct kept_text texts[BLOCK_ROWS])
{
	BUF_AUTO key = {0}, value = {0};
	index_key(&key, 'v', mailbox, block);
	text_block_pack(texts, &value);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

void texts_delete(struct account *a, uint32_t mailbox, uint32_t block)
{
	BUF_AUTO key = {0};
	index_key(&key, 'v', mailbox, block);
	batch_delete(&a->batch, account_partition(a), buf_span(&key));
}

/* ---- trigrams ---- */

static uint32_t hash_of(enum text_place place, const char *bytes)
{
	uint32_t three = (uint32_t)(unsigned char)bytes[0] << 16 | (uint32_t)(unsigned char)bytes[1] << 8 | (unsigned char)bytes[2];
	return (uint32_t)place << 16 | three * 0x9e3779b1u >> 16;
}

static void add_place(uint16_t masks[TRIGRAM_HASHES], enum text_place place, struct span text, unsigned block)
{
	uint16_t bit = (uint16_t)(1 << block);
	for (size_t i = 0; i + 3 <= text.len; i++)
		masks[hash_of(place, text.ptr + i)] |= bit;
}

void trigrams_add(uint16_t masks[TRIGRAM_HASHES], struct span text, unsigned block)
{
	struct span body = gathered_text_body(text);
	add_place(masks, IN_BODY, body, block);
	add_place(masks, IN_HEADER, span_slice(text, 0, text.len - body.len), block);
}

size_t trigrams_of(enum text_place place, struct span needle, uint32_t *hashes, size_t room)
{
	size_t all = needle.len >= 3 ? needle.len - 2 : 0, count = all < room ? all : room;
	for (size_t i = 0; i < count; i++)
		hashes[i] = hash_of(place, needle.ptr + (count > 1 ? i * (all - 1) / (count - 1) : 0));
	return count;
}

void trigram_page_pack(const uint16_t masks[TRIGRAM_HASHES], unsigned page, struct buf *out)
{
	pack_head(out, TRIGRAMS_VERSION);
	for (unsigned i = 0; i < TRIGRAM_HASHES / TRIGRAM_PAGES; i++) {
		uint16_t mask = masks[page * (TRIGRAM_HASHES / TRIGRAM_PAGES) + i];
		if (!mask)
			continue;
		pack_u8(out, (uint8_t)i);
		pack_u16(out, mask);
	}
}

uint16_t trigram_page_mask(struct span page, uint32_t hash)
{
	enum { HEAD = 3, ENTRY = 3 };
	struct unpacker u = {.rest = page};
	if (!unpack_head(&u, TRIGRAMS_VERSION) || u.rest.len % ENTRY)
		return UINT16_MAX;
	/* in order, each a byte and its mask */
	size_t low = 0, high = u.rest.len / ENTRY;
	uint8_t wanted = (uint8_t)hash;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct unpacker entry = {.rest = span_slice(u.rest, middle * ENTRY, ENTRY)};
		uint8_t at = unpack_u8(&entry);
		if (at == wanted)
			return unpack_u16(&entry);
		if (at < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

static void page_key(struct buf *key, uint32_t mailbox, unsigned page, uint32_t segment)
{
	index_key_begin(key, 'y', mailbox);
	pack_sorted_u16(key, (uint16_t)page);
	pack_sorted_u32(key, segment);
}

/* The trigrams of a block. Where a text is cut, or the block cannot be read, it may have anything. */
static void add_block(const struct account *a, uint32_t mailbox, uint32_t block, struct text_block *b, uint16_t *masks)
{
	unsigned at = block % BLOCKS_OF_SEGMENT;
	int found = texts_get(a, mailbox, block, b);
	if (found == 0)
		return; /* it has no messages */
	bool is_whole = found > 0;
	for (unsigned i = 0; is_whole && i < BLOCK_ROWS; i++) {
		is_whole = !b->texts[i].is_cut;
		trigrams_add(masks, b->texts[i].text, at);
	}
	for (unsigned i = 0; !is_whole && i < TRIGRAM_HASHES; i++)
		masks[i] |= (uint16_t)(1 << at);
}

void trigrams_put(struct account *a, uint32_t mailbox, uint32_t segment)
{
	uint16_t *masks = xcalloc(TRIGRAM_HASHES, sizeof *masks);
	struct text_block block = {0};
	BUF_AUTO key = {0}, value = {0};
	for (unsigned i = 0; i < BLOCKS_OF_SEGMENT; i++)
		add_block(a, mailbox, segment * BLOCKS_OF_SEGMENT + i, &block, masks);
	for (unsigned page = 0; page < TRIGRAM_PAGES; page++) {
		buf_clear(&value);
		trigram_page_pack(masks, page, &value);
		page_key(&key, mailbox, page, segment);
		batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
	}
	buf_free(&block.memory);
	free(masks);
}

void trigrams_delete(struct account *a, uint32_t mailbox, uint32_t segment)
{
	BUF_AUTO key = {0};
	for (unsigned page = 0; page < TRIGRAM_PAGES; page++) {
		page_key(&key, mailbox, page, segment);
		batch_delete(&a->batch, account_partition(a), buf_span(&key));
	}
}

/* Appends the masks of one hash, or leaves in what is there what that says too. False if the pages cannot be read. */
static bool find_hash(const struct account *a, uint32_t mailbox, uint32_t hash, bool is_first, struct buf *out)
{
	unsigned page = hash / (TRIGRAM_HASHES / TRIGRAM_PAGES);
	BUF_AUTO from = {0}, to = {0};
	struct span key, value;
	size_t at = 0;
	int more;
	page_key(&from, mailbox, page, 0);
	page_key(&to, mailbox, page, UINT32_MAX);
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), buf_span(&to));
	while ((more = engine_scan_next(scan, &key, &value, NULL)) > 0) {
		struct unpacker k = {.rest = span_skip(key, 7)};
		struct candidates c = {.segment = unpack_sorted_u32(&k), .blocks = trigram_page_mask(value, hash)};
		if (is_first) {
			buf_add(out, span_of(&c, sizeof c));
			continue;
		}
		struct candidates *list = (struct candidates *)out->ptr;
		while (at < out->len / sizeof c && list[at].segment < c.segment)
			at++;
		if (at < out->len / sizeof c && list[at].segment == c.segment)
			list[at].blocks &= c.blocks;
	}
	engine_scan_close(scan);
	return more == 0;
}

bool trigrams_find(const struct account *a, uint32_t mailbox, enum text_place place, struct span needle, struct buf *out)
{
	uint32_t hashes[TRIGRAMS_LOOKED_UP_MOST];
	size_t count = trigrams_of(place, needle, hashes, TRIGRAMS_LOOKED_UP_MOST);
	for (size_t i = 0; i < count; i++)
		if (!find_hash(a, mailbox, hashes[i], i == 0, out)) {
			buf_clear(out);
			return false;
		}
	return count > 0;
}
