/* What the parts of pipe share; pipe/pipe.c is where to read first. */
#ifndef PIPE_PROCESS_H
#define PIPE_PROCESS_H

#include "base/map.h"
#include "ipc/child.h"

struct pipe_job;

struct pipe_process {
	struct child *self;
	struct loop *loop;
	struct channel *store;        /* NULL while there is none */
	struct map jobs;              /* by store's number */
	struct pipe_job *formers;     /* of a store that has died, the oldest first: pipe/job.h */
	size_t running;               /* programs */
	size_t formers_running;
	uint32_t open_slots;          /* jobs that store may still send */
	struct timer *stop_deadline;
	bool is_stopping;
	uint64_t delivered_count, later_count, failed_count;
};

/* Tells store how many more jobs there is room for, if there is. */
void pipe_offer_slots(struct pipe_process *p);
/* A program has ended: while stopping, the last one ends the process. */
void pipe_program_ended(struct pipe_process *p);

#endif
