/* Messages that wait and are on the disk alone: their accept records are read when they are due, so that millions cost little more than
 * their ids. */
#ifndef STORE_QUEUE_ASLEEP_H
#define STORE_QUEUE_ASLEEP_H

#include "store/queue/schedule.h"

/* The message, read if it is not in memory; NULL if there is none, or it cannot be read now (then a line is in the log, and *is_unread, which
 * may be NULL, is true). Whoever calls this ends with schedule_add, or has the message written. */
struct queued *asleep_wake(struct queue *q, struct id128 id, bool *is_unread);
/* Forgets a message that nobody works on: its record says all. */
void asleep_put(struct queued *m);
/* At the start: finds all messages, each of which is asleep then, and when they are due; what is due already is parked with its domain. Of
 * many, the first when this returns, and the others while mail is accepted and delivered already. */
void asleep_open(struct queue *q);
/* All are due now, those too that are still to be found; but those in memory are left to the caller's care but for their time (due_hurry). */
void asleep_hurry(struct queue *q);
/* Calls each(context, id) for all messages, in memory or not, in the order in which they came, until it says false. */
void asleep_walk(struct queue *q, bool (*each)(void *context, struct id128 id), void *context);
/* The same for what one account has sent; nothing else is touched. */
void asleep_walk_sent_by(struct queue *q, uint64_t submitter, bool (*each)(void *context, struct id128 id), void *context);

#endif
