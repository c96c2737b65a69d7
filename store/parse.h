/* Asking filter about a message that is stored: for its structure where the cache is not there, and whether it has what a
 * SEARCH looks for. store itself never reads a message's content. */
#ifndef STORE_PARSE_H
#define STORE_PARSE_H

#include "ipc/messages.gen.h"
#include "store/mailbox/account.h"

struct parse;

/* matched: a bit for each needle. cache: what was wanted; empty if there were needles. is_failed: filter was not there or
 * went away, or the message cannot be read. */
typedef void parse_done_fn(void *context, struct span cache, uint64_t matched, bool is_failed);

/* Sends `size` bytes of the blob to a filter, piece by piece, with needles (packed as filter/question.c reads them; may be
 * empty). Calls done exactly once, in the worker's thread, maybe before it returns. */
void parse_start(struct worker *w, struct id128 blob, uint64_t size, enum parse_want want, struct span needles, parse_done_fn *done,
                 void *context);
/* The same with what is in memory: a structure, for PARSE_SUMMARY_OF_CACHE. */
void parse_start_cache(struct worker *w, struct span cache, parse_done_fn *done, void *context);

/* In the worker's thread: what a filter answers; one that has not been asked that question is not heard. */
void parse_credited(struct worker *w, const struct msg_parse_credit *m, peer_id filter);
void parse_finished(struct worker *w, const struct msg_parse_done *m, peer_id filter);
void parse_filter_gone(struct worker *w, peer_id filter);
/* The worker that a job's number belongs to. */
unsigned parse_worker(uint64_t job);

#endif
