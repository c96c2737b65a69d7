/* The words of messages' bodies, and in which messages they stand: what BODY and TEXT are answered from without reading a text.
 *
 *   words   "f" mailbox 'd' segment part   some words of a segment of 4096 messages, each behind a line end, in the order in which they came
 *   places  "f" mailbox 'p' segment part   for each of these words the messages that have it
 *   rest    "f" mailbox 'r' segment        the messages whose bodies may have more than these words, and how many parts there are. It is
 *                                          written last: without it the segment is not indexed
 *
 * A word is a run of ASCII's letters and digits and of bytes of other characters, of at most WORD_BYTES_MOST. A needle of such bytes alone stands
 * in a body exactly if it stands within one of its words; any other needle needs a word that has its longest run. Derived, as all of texts.h. */
#ifndef STORE_MAILBOX_WORDS_H
#define STORE_MAILBOX_WORDS_H

#include "store/mailbox/account.h"

enum { WORDS_ROWS = 4096, WORD_BYTES_MOST = 40, WORD_PLACES = WORDS_ROWS / 64 };

/* A bit for each message of a segment, by UID % WORDS_ROWS. */
struct word_places {
	uint64_t bits[WORD_PLACES];
};

static inline bool word_places_have(const struct word_places *p, uint32_t uid)
{
	return p->bits[uid % WORDS_ROWS / 64] >> uid % 64 & 1;
}

/* What the words of a segment say of a needle. */
struct word_answer {
	struct word_places has;     /* these bodies have it */
	struct word_places may_have; /* these may; all others have not */
};

/* Everything may have it, where the segment is not indexed or cannot be read. Gives the number of rows that were read. */
size_t words_find(const struct account *a, uint32_t mailbox, uint32_t segment, struct span needle, struct word_answer *out);
void words_delete(struct account *a, uint32_t mailbox, uint32_t segment);

/* ---- making them: words_gather.c ---- */

/* Of a segment, in memory: bounded, whatever its messages have. */
struct words_gathered;

struct words_gathered *words_new(void);
void words_free(struct words_gathered *w); /* NULL is none */
/* Messages in order; body: of a gathered text (wire/gathered_text.h). is_cut: there is more of it, or it cannot be read. */
void words_add(struct words_gathered *w, uint32_t uid, struct span body, bool is_cut);
/* Writes the next parts into the account's batch. True when that was the last. */
bool words_put(struct words_gathered *w, struct account *a, uint32_t mailbox, uint32_t segment);

/* ---- as they are written ---- */

bool word_has_byte(char c);
/* The beginning of a value: version, and that of Unicode. */
void words_pack_head(struct buf *out);
void words_key(struct buf *key, uint32_t mailbox, char what, uint32_t segment, unsigned part);

/* The words of a part that have the needle, in order, by their number in it. Start with `struct word_scan s = {.rest = part}`. */
struct word_scan {
	struct span rest;
	unsigned next;     /* number of the first word of rest */
	bool is_begun, bad; /* bad: it is of another version */
};
bool word_scan_next(struct word_scan *s, struct span needle, unsigned *word);

/* Places of one word, appended; of a part's words in order, behind words_pack_head. `messages`: u16 UID % WORDS_ROWS each, rising. */
void word_places_pack(struct buf *out, const uint16_t *messages, size_t count);
/* Adds those of a word to *places: start with `struct word_places_reader r = {.u.rest = part}`, and go on with words of rising numbers. False if
 * the part is damaged, or of another version, or has no such word. */
struct word_places_reader {
	struct unpacker u;
	unsigned next;
	bool is_begun;
};
bool word_places_read(struct word_places_reader *r, unsigned word, struct word_places *places);

#endif
