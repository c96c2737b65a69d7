/* A search under way: what search.c (its life), search_program.c (its keys), search_rows.c (finding) and search_order.c (sorting, threading)
 * share. RFC 3501 §6.4.4, RFC 5256. */
#ifndef STORE_MAILBOX_SEARCH_H
#define STORE_MAILBOX_SEARCH_H

#include "store/mailbox/indexer.h"
#include "store/mailbox/texts.h"
#include "store/mailbox/view.h"
#include "store/mailbox/words.h"

/* FALSE and TRUE are certain. */
enum truth { IS_FALSE, IS_TRUE, IS_UNKNOWN };

/* A node that needs a message's content. */
struct search_needle {
	enum search_node node;
	uint64_t day_ms;                 /* SEARCH_SENT_*: of a day's start */
	struct text_search_needle text;  /* folded; the others */
	enum summary_column column;      /* where it can be looked for; SUMMARY_COLUMNS: nowhere */
	struct buf candidates[TEXT_PLACES]; /* struct candidates, by segment */
	bool has_candidates[TEXT_PLACES];
	struct word_answer words;        /* of the bodies of segment `words_segment` */
	uint8_t truths[SEGMENT_ROWS];    /* enum truth, of the segment at hand by UID % SEGMENT_ROWS */
};

/* A message that was found. */
struct found {
	uint32_t uid;
	uint8_t score; /* 0: the program has no SEARCH_FUZZY that could tell */
};

struct search {
	struct job job;
	struct indexer_waiter waiter;
	struct view *view;
	struct search *next;             /* of the same view */
	uint32_t request, mailbox;
	uint64_t reader;                 /* whose \Seen counts: seen.h */
	uint32_t uid_most;
	enum search_order order;
	enum thread_algorithm thread;
	uint8_t keys[SORT_KEYS];           /* enum sort_key */
	size_t key_count;
	/* the program, and what it needs */
	struct buf program;
	struct search_needle needles[SEARCH_NEEDLES_MOST];
	size_t needle_count;
	struct buf packed_needles;       /* as filter/question.c reads them */
	bool needs_columns, needs_texts, needs_body, has_fuzzy;
	uint64_t now_ms;
	/* walking */
	uint32_t next_uid;               /* of the rows that have not been tried */
	uint32_t undecided[SEGMENT_ROWS]; /* UIDs that only filter can tell of */
	size_t undecided_count;
	struct column_values *columns;   /* SUMMARY_COLUMNS of them, of the segment at hand */
	struct text_block block;
	bool has_words;
	uint32_t words_segment;          /* of words.h */
	unsigned asked;                  /* messages that filter works on */
	bool is_begun, is_walking, is_posted, is_failed;
	struct buf found;                /* struct found, in the order in which they were decided */
};

/* The mailbox, as long as it is there. */
struct mailbox *search_mailbox(const struct search *s);
struct found *search_found(const struct search *s, size_t *count);

/* ---- search_program.c ---- */

/* Checks the program (ipc/terms.h) and lists its needles. -1 if it is none, or too large. */
int search_program_check(struct search *s, struct span program);
/* What the program says of a message. matched: of filter, a bit for each needle; NULL: needle->truths has what is known. *score is set if
 * it is true. */
enum truth search_program_try(const struct search *s, struct mailbox *m, const struct row *r, const uint64_t *matched, uint8_t *score);

/* ---- search_rows.c ---- */

/* Chooses for each needle which blocks of texts may have it. */
void search_choose_blocks(struct search *s, const struct mailbox *m);
/* Tries all messages of one segment from s->next_uid on: what is true goes to s->found, what filter must be asked for to s->undecided. How much
 * work that was, in messages or the like; 0 at the end. */
size_t search_segment(struct search *s, struct mailbox *m);

/* ---- search_order.c ---- */

/* Appends what was found (by UID) as search_found.found wants it, and its scores. */
void search_arrange(struct search *s, const struct mailbox *m, struct buf *out, struct buf *scores);

#endif
