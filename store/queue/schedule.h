/* When and through which relay the recipients elsewhere are tried. */
#ifndef STORE_QUEUE_SCHEDULE_H
#define STORE_QUEUE_SCHEDULE_H

#include "store/queue/domain.h"
#include "store/queue/due.h"

enum { JOB_RECIPIENTS_MOST = 100 }; /* RFC 5321 §4.5.3.1.8: what every server takes */

struct queue {
	struct store *store;
	uint64_t life;              /* of this process: in the records that it writes */
	size_t count, held;         /* of all messages that are known yet; of them, those that wait to be released by a command */
	struct reading *reading;    /* store/queue/asleep.c: at the start, until all are known */
	struct map messages;        /* those in memory, by id128_hash */
	struct due_heap due;
	struct timer *timer;
	struct later feeding;       /* of domains that have room for what is parked */
	struct domains domains;     /* jobs that are due, for a relay with room */
	struct domains programs;    /* the same for pipe, by the users as whom they run */
	struct map jobs;            /* at a relay, by number */
	uint64_t last_job;
	struct span relay_host;     /* the setting: who takes all mail for elsewhere; empty: nobody */
	bool has_directory;         /* domains may be relayed, and routed */
};

void schedule_open(struct queue *q);
/* Puts the message where its earliest recipient is due, and out of memory if that is far away (then `m` is gone); takes it out. */
void schedule_add(struct queued *m);
void schedule_remove(struct queued *m);
/* When that is, ms monotonic; INT64_MAX: never by itself. */
int64_t schedule_due_ms(const struct queued *m);
void schedule_set_timer(struct queue *q);
/* Some of what is parked is woken at the end of this turn. */
void schedule_feed(struct queue *q);
/* Makes a job of each next hop of the recipients that are due, and gives relays what they have room for. True if there are so many jobs for
 * its next hop that the message was put to sleep until some are done (then `m` is gone), or if a table is asked first where it goes. */
bool schedule_jobs(struct queued *m, int64_t now_ms);
/* At the start: notes a message that is due for the next hop of all its recipients, and may then be forgotten; false if it is more than that. */
bool schedule_park(struct queued *m, int64_t now_ms);
/* The results of these jobs, which have ended, are on the disk: says so to their relays, and frees them. */
void schedule_settled(struct store *s, struct relay_job *ended);
/* It waits until it is released by a command; noted here if the account that sent it is held, maybe since it was accepted (store/habit.h). */
bool schedule_is_held(struct queued *m);
/* The time of the next attempt after so many: pauses double from retry_first to retry_most. */
int64_t schedule_next(struct queue *q, uint32_t attempts);
/* The longest that one waits for its next attempt. */
int64_t schedule_wait_most(const struct queue *q);

#endif
