/* A job: one message for one program.
 *
 *   collecting  -- job_start --> reading, or what a former job of the same message and recipient has come to
 *   reading     the message comes from store into a nameless file -- all of it --> running
 *   running     the program has the file as its standard input -- it ends, or its time does --> told
 *   told        store has the result -- job_settled: it has written it --> gone
 *
 * A store that dies may not have written a result, and its successor gives the job out again: so jobs that run, or whose result is not
 * settled, are kept as former ones, and the new job takes the former one's place. What dies with pipe itself is run again: a program should
 * bear to see a message twice. */
#ifndef PIPE_JOB_H
#define PIPE_JOB_H

#include "pipe/outcome.h"
#include "pipe/process.h"
#include "pipe/run.h"

enum { PIPE_JOBS_MOST = 20 }; /* programs at once: default_destination_concurrency_limit of Postfix */

enum pipe_job_state { PIPE_JOB_COLLECTING, PIPE_JOB_READING, PIPE_JOB_RUNNING, PIPE_JOB_TOLD };

struct pipe_job {
	struct pipe_process *pipe;
	struct pipe_job *next_former;
	bool is_former;
	enum pipe_job_state state;
	uint64_t number;
	struct id128 delivery;
	bool has_recipient;
	uint32_t index;               /* store's, of its recipient */
	struct arena memory;
	struct span sender, recipient, user, command;
	uint64_t size, came;          /* of the message, and how much of it is in the file */
	int file, input;              /* to write to; the same to read from. -1: none */
	bool has_cr;                  /* the last byte that came was one: whether it is a line end is not known yet */
	pid_t pid;
	int output;
	struct watch *watch;
	struct timer *timer;
	struct buf said;              /* the beginning of the program's output */
	uint64_t said_bytes;
	bool is_timed_out;
	struct outcome result;
};

/* What store says; false: it must not say that. */
bool pipe_job_new(struct pipe_process *p, const struct msg_job *m);
bool pipe_job_recipient(struct pipe_process *p, const struct msg_job_rcpt *m);
bool pipe_job_start(struct pipe_process *p, const struct msg_job_start *m);
void pipe_job_piece(struct pipe_process *p, const struct msg_job_piece *m);
bool pipe_job_settled(struct pipe_process *p, const struct msg_job_settled *m);
/* A program has ended. */
void pipe_job_reap(struct pipe_process *p, pid_t pid, int status);
/* The store that gave them has gone. */
void pipe_jobs_become_former(struct pipe_process *p);
/* Forgets those that do not run. */
void pipe_jobs_drop_idle(struct pipe_process *p);
/* Ends the programs that still run. */
void pipe_jobs_kill(struct pipe_process *p, int signal_number);

#endif
