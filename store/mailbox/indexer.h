/* The indexer: makes what speeds up SEARCH, SORT and THREAD (columns.h, texts.h, words.h) in the background, in small steps that the account's worker
 * takes when it has nothing else to do. What stands below its watermark ("w" mailbox) is made; what lies beyond it is asked of filter by
 * those who need it. It writes and deletes nothing but these rows, without a sync: to lose them costs time and nothing else. */
#ifndef STORE_MAILBOX_INDEXER_H
#define STORE_MAILBOX_INDEXER_H

#include "store/mailbox/columns.h"

#define INDEXER_LETTERS "fkvwy" /* of its rows, which go with the mailbox */

/* The mailbox is in use, or has grown: goes on in the background, if there is something to do. */
void indexer_wake(struct mailbox *m);
/* The same after each 16th message. */
void indexer_appended(struct mailbox *m, uint32_t uid);
/* Messages have been taken out of the index: what is derived of segments and blocks that have none any more is deleted, into
 * account->batch, and the texts of those that are gone from their blocks in the background. */
void indexer_removed(struct mailbox *m, struct span ranges);
/* Stops; the mailbox goes from memory. */
void indexer_forget(struct mailbox *m);

/* Someone waits for the columns of all messages. */
struct indexer_waiter {
	struct indexer_waiter *next;
	void (*ready)(struct indexer_waiter *waiter); /* in the worker's thread; also if the mailbox has gone meanwhile. It may only post a job */
	bool is_waiting;
};

/* True if every message has its columns now. If not, they are made at once, and waiter->ready is called once, when they are there or cannot be
 * made for want of a filter: the waiter must stay until then, or until indexer_do_not_wait. */
bool indexer_wait_for_columns(struct mailbox *m, struct indexer_waiter *waiter);
void indexer_do_not_wait(struct mailbox *m, struct indexer_waiter *waiter);

/* A column of a segment, of the segment that is not full too. False if it is not there. */
bool indexer_column(const struct mailbox *m, uint32_t segment, enum summary_column column, struct column_values *out);

#endif
