/* The pipe process: the only one that may run other programs. It has no right but to be other users than root.
 *
 *   configure, reload   the settings pipes, pipe_user, pipe_timeout
 *   job, job_rcpt, job_start, job_piece, job_settled   from store, as relay gets them -> pipe/job.c
 *
 * A job's message is written to a nameless file (pipe/job.c), which a program gets as its standard input (pipe/run.c); what its end means is
 * in pipe/outcome.c. It believes store in who gets what, and runs nothing that the settings do not name. */
#include "pipe/pipe.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "pipe/job.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { STOP_MOST_MS = 4000 }; /* for programs under way; master waits 8 s */

static void check(struct pipe_process *p, bool is_right, const char *what)
{
	if (!is_right && !p->is_stopping)
		channel_violation(p->store, what);
}

static void on_job(void *context, const struct msg_job *m)
{
	struct pipe_process *p = context;
	check(p, p->is_stopping || pipe_job_new(p, m), "a job without a free slot, or with a number that is taken, or without a program");
}

static void on_job_rcpt(void *context, const struct msg_job_rcpt *m)
{
	struct pipe_process *p = context;
	check(p, p->is_stopping || pipe_job_recipient(p, m), "a recipient of no job, or a second one");
}

static void on_job_start(void *context, const struct msg_job_start *m)
{
	struct pipe_process *p = context;
	check(p, p->is_stopping || pipe_job_start(p, m), "the start of no job");
}

static void on_job_piece(void *context, const struct msg_job_piece *m)
{
	struct pipe_process *p = context;
	if (!p->is_stopping)
		pipe_job_piece(p, m);
}

static void on_job_settled(void *context, const struct msg_job_settled *m)
{
	struct pipe_process *p = context;
	check(p, pipe_job_settled(p, m), "the settling of a job that was not told");
}

static const struct store_to_pipe handlers = {
	.job = on_job, .job_rcpt = on_job_rcpt, .job_start = on_job_start, .job_piece = on_job_piece, .job_settled = on_job_settled};

static void drop_store(struct pipe_process *p)
{
	pipe_jobs_become_former(p);
	p->open_slots = 0;
	channel_free(p->store);
	p->store = NULL;
}

static void on_store_closed(void *context, bool is_violation)
{
	struct pipe_process *p = context;
	drop_store(p);
	if (is_violation)
		child_report_violation(p->self, ROLE_STORE, 0);
}

void pipe_offer_slots(struct pipe_process *p)
{
	size_t taken = p->jobs.count + p->formers_running + p->open_slots;
	if (!p->store || p->is_stopping || taken >= PIPE_JOBS_MOST)
		return;
	channel_send(p->store, relay_ready, .slots = (uint32_t)(PIPE_JOBS_MOST - taken));
	p->open_slots += (uint32_t)(PIPE_JOBS_MOST - taken);
}

static void on_child(void *context)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		pipe_job_reap(context, pid, status);
}

static void configure(void *context, const struct config *config)
{
	struct pipe_process *p = context;
	(void)config;
	p->loop = child_loop(p->self);
	loop_on_signal(p->loop, SIGCHLD, on_child, p);
	run_prepare();
	sandbox_enclose(SANDBOX_RUN, NULL);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct pipe_process *p = context;
	struct channel_use use = {store_to_pipe_dispatch, &handlers, p, on_store_closed, "store"};
	if (role != ROLE_STORE)
		die("pipe: a channel to %s, number %u, which it does not talk to", role_name(role), index);
	if (p->store)
		drop_store(p);
	p->store = channel_new(p->loop, fd, &use);
	channel_set_epoch(p->store, child_epoch(p->self));
	pipe_offer_slots(p);
}

static void reload(void *context, const struct config *config)
{
	struct pipe_process *p = context;
	(void)config;
	if (p->store)
		channel_set_epoch(p->store, child_epoch(p->self));
}

void pipe_program_ended(struct pipe_process *p)
{
	if (!p->is_stopping || p->running)
		return;
	if (p->store)
		channel_flush(p->store);
	child_stopped(p->self);
}

/* Those that do not end run again when the server is there again. */
static void on_stop_deadline(void *context)
{
	struct pipe_process *p = context;
	pipe_jobs_kill(p, SIGTERM);
	child_stopped(p->self);
}

static void stop(void *context)
{
	struct pipe_process *p = context;
	p->is_stopping = true;
	pipe_jobs_drop_idle(p);
	p->stop_deadline = timer_new(p->loop, on_stop_deadline, p);
	timer_set(p->stop_deadline, STOP_MOST_MS);
	pipe_program_ended(p);
}

static void status(void *context, struct buf *text)
{
	const struct pipe_process *p = context;
	buf_printf(text, "programs=%zu delivered=%llu later=%llu failed=%llu", p->running, (unsigned long long)p->delivered_count,
	           (unsigned long long)p->later_count, (unsigned long long)p->failed_count);
}

static const struct child_use use = {.configure = configure, .attach = attach, .reload = reload, .stop = stop, .status = status, .stop_is_slow = true};

int pipe_main(unsigned index, int control)
{
	struct pipe_process *p = xcalloc(1, sizeof *p);
	return child_run(ROLE_PIPE, index, control, &use, p, &p->self);
}
