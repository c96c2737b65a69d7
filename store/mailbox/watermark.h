/* Up to where the indexer has come in a mailbox: "w" mailbox. Written in the batch of what it tells of. */
#ifndef STORE_MAILBOX_WATERMARK_H
#define STORE_MAILBOX_WATERMARK_H

#include "store/mailbox/account.h"

/* The segment, block and segments that are to be made next: columns.h, texts.h, words.h. */
struct watermark {
	uint32_t columns_next, texts_next, trigrams_next, words_next;
};

/* As it was when nothing was made yet, where there is none, or one of another version of Unicode. */
void watermark_read(const struct account *a, uint32_t mailbox, struct watermark *out);
void watermark_put(struct account *a, uint32_t mailbox, const struct watermark *mark);

#endif
