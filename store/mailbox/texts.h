/* The text of messages, as filter has decoded it (wire/gathered_text.h), kept for BODY, TEXT and HEADER, and an index of it.
 *
 *   texts     "v" mailbox block          the texts of up to 16 messages: those with the UIDs block*16 ... block*16+15
 *   trigrams  "y" mailbox page segment   of each three bytes that stand in the texts of a segment of 256 messages, in which of its 16 blocks;
 *                                        three bytes are hashed to 16 bits, and one for where they stand: header or body; a page has those of
 *                                        256 hashes
 *
 * The trigrams only choose blocks, whose texts are then looked through: an answer is always exact. All of it is derived: written without a
 * sync, made again when the version of Unicode is another one, lost without harm. What is not there is asked of filter. */
#ifndef STORE_MAILBOX_TEXTS_H
#define STORE_MAILBOX_TEXTS_H

#include "store/mailbox/account.h"
#include "wire/gathered_text.h"

enum { BLOCK_ROWS = 16, BLOCKS_OF_SEGMENT = SEGMENT_ROWS / BLOCK_ROWS, TRIGRAM_PAGES = 512, TRIGRAM_HASHES = 131072 };

enum text_place { IN_BODY, IN_HEADER, TEXT_PLACES };

/* A text; without ptr: it is not there. */
struct kept_text {
	struct span text;
	bool is_cut; /* there is more in the message */
};

struct text_block {
	struct buf memory;
	struct kept_text texts[BLOCK_ROWS]; /* by UID % BLOCK_ROWS */
};

/* 1; 0 if it is not there: no message of it has been indexed; -1 if it cannot be read, or is damaged, or of another version. */
int texts_get(const struct account *a, uint32_t mailbox, uint32_t block, struct text_block *out);
void texts_put(struct account *a, uint32_t mailbox, uint32_t block, const struct kept_text texts[BLOCK_ROWS]);
void texts_delete(struct account *a, uint32_t mailbox, uint32_t block);

/* Reads the blocks of a segment, which are on the disk, and writes their trigrams. */
void trigrams_put(struct account *a, uint32_t mailbox, uint32_t segment);
void trigrams_delete(struct account *a, uint32_t mailbox, uint32_t segment);

/* A bit for each block of a segment that may have a needle. */
struct candidates {
	uint32_t segment;
	uint16_t blocks;
};

/* Appends a struct candidates for each segment that has trigrams, in order. False, and nothing, if the needle is too short for them. */
bool trigrams_find(const struct account *a, uint32_t mailbox, enum text_place place, struct span needle, struct buf *out);

/* Blocks and pages as they are written. */
void text_block_pack(const struct kept_text texts[BLOCK_ROWS], struct buf *out);
bool text_block_unpack(struct text_block *b);
/* Adds the block to the masks of all hashes of three bytes that stand in a gathered text. */
void trigrams_add(uint16_t masks[TRIGRAM_HASHES], struct span text, unsigned block);
void trigram_page_pack(const uint16_t masks[TRIGRAM_HASHES], unsigned page, struct buf *out);
/* The mask of one hash in a page; all blocks, if the page is damaged or of another version. */
uint16_t trigram_page_mask(struct span page, uint32_t hash);
/* Hashes of the needle's trigrams, at most `room`, spread over it. How many; 0: it is too short. */
size_t trigrams_of(enum text_place place, struct span needle, uint32_t *hashes, size_t room);

#endif
