/* When and through which relay the recipients elsewhere are tried. */
#ifndef STORE_QUEUE_SCHEDULE_H
#define STORE_QUEUE_SCHEDULE_H

#include "store/queue/domain.h"

enum { JOB_RECIPIENTS_MOST = 100 }; /* RFC 5321 §4.5.3.1.8: what every server takes */

struct queue {
	struct store *store;
	struct map messages;        /* by id128_hash */
	struct queued **heap;       /* by due_ms, the earliest first */
	size_t heap_count, heap_room;
	struct timer *timer;
	struct domains domains;     /* jobs that are due, for a relay with room */
	struct map jobs;            /* at a relay, by number */
	uint64_t last_job;
	struct span relay_host;     /* the setting: who takes all mail for elsewhere; empty: nobody */
	int (*find_hop)(struct store *s, struct span domain, struct buf *hop); /* directory_next_hop; NULL: no domain is relayed */
};

void schedule_open(struct queue *q);
/* Puts the message where its earliest recipient is due; takes it out. */
void schedule_add(struct queued *m);
void schedule_remove(struct queued *m);
/* Makes a job of each next hop of the recipients that are due, and gives relays what they have room for. */
void schedule_jobs(struct queued *m, int64_t now_ms);
/* The results of these jobs, which have ended, are on the disk: says so to their relays, and frees them. */
void schedule_settled(struct store *s, struct relay_job *ended);
/* The time of the next attempt after so many: pauses double from retry_first to retry_most. */
int64_t schedule_next(struct queue *q, uint32_t attempts);
/* The longest that one waits for its next attempt. */
int64_t schedule_wait_most(const struct queue *q);

#endif
