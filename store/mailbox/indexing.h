/* An indexer at work: what indexer.c (its life, columns, steps) and indexer_texts.c (texts, trigrams, words, messages that are gone) share. */
#ifndef STORE_MAILBOX_INDEXING_H
#define STORE_MAILBOX_INDEXING_H

#include "ipc/words.h"
#include "store/mailbox/indexer.h"
#include "store/mailbox/texts.h"
#include "store/mailbox/watermark.h"
#include "store/parse.h"

enum slot_state { SLOT_EMPTY, SLOT_ASKED, SLOT_THERE };

/* The summary of a message of the segment at hand. */
struct slot {
	enum slot_state state;
	struct buf summary;
};

/* A step that is due: `job` waits for its turn, `step` for the disk. */
struct turn {
	struct job job, step;
	struct indexing *indexing;
	bool is_posted;
};

struct indexing {
	struct mailbox *mailbox; /* NULL: it is gone */
	struct account *account;
	struct turn idle, hurried;
	unsigned asked;          /* questions to filter */
	bool is_written;         /* the columns of segment columns_next, which are on the disk at the next step */
	bool has_mark;
	struct watermark mark;
	uint64_t written;        /* number of the last commit with rows of ours */
	struct slot *slots;                               /* SEGMENT_ROWS, of segment columns_next; NULL: all are empty */
	struct buf texts[BLOCK_ROWS];                     /* of block texts_next: as filter gave them */
	enum slot_state text_states[BLOCK_ROWS];
	struct buf stale;        /* u32 blocks that have texts of messages that are gone */
	struct words_gathered *words;                     /* of segment words_next; NULL: not begun */
	uint32_t words_block;                             /* whose words come next */
	struct indexer_waiter *waiters;
};

/* A question to filter. */
struct asked {
	struct indexing *indexing;
	uint32_t uid;
	bool is_of_cache, is_repeated;
};

/* The mailbox's; made if there is none yet. */
struct indexing *indexing_of(struct mailbox *m);
/* Another step is due. */
void indexing_post(struct indexing *x);
void indexing_read_mark(struct indexing *x);
/* Whatever is in the batch is derived: nobody waits for it. */
void indexing_begin_batch(struct account *a);
/* Ends what was written with the watermark as it is then. */
void indexing_end_batch(struct indexing *x, struct watermark mark);

void indexing_ask(struct indexing *x, const struct row *r, enum parse_want want, parse_done_fn *done, bool is_repeated);
/* To be called with the answer. True if there is nothing to be done with it: the mailbox is gone, or it is asked again. */
bool indexing_end_asked(struct asked *asked, bool is_again, bool is_failed, enum parse_want want, parse_done_fn *done);
/* Of what was asked. Without any filter it waits until somebody wants something of the mailbox again. */
enum slot_state indexing_state_after(struct mailbox *m, bool is_failed);

/* ---- indexer_texts.c ---- */

/* True if there is nothing left to do. */
bool indexing_step_texts(struct indexing *x);
void indexing_forget_texts(struct indexing *x);
/* Forgets the words at hand, so that another mailbox may gather its. */
void indexing_forget_words(struct indexing *x);

#endif
