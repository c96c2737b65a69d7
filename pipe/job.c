#include "pipe/job.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "wire/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PIECE_BYTES = 65536,
	SAID_BYTES_MOST = 4096,             /* kept of a program's output */
	OUTPUT_BYTES_MOST = 1024 * 1024,    /* then nobody reads it any more: SIGPIPE */
	KILL_AFTER_MS = 5 * 1000,           /* SIGTERM */
	FORMERS_MOST = 100,
};

static const char *const outcome_words[] = {"delivered", "later", "failed"};

/* ---- coming and going ---- */

static void close_files(struct pipe_job *j)
{
	watch_free(j->watch);
	j->watch = NULL;
	int *files[] = {&j->file, &j->input, &j->output};
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (*files[i] >= 0)
			close(*files[i]);
		*files[i] = -1;
	}
}

static void unlink_former(struct pipe_job *j)
{
	struct pipe_job **at = &j->pipe->formers;
	while (*at != j)
		at = &(*at)->next_former;
	*at = j->next_former;
	j->is_former = false;
}

static void drop(struct pipe_job *j)
{
	if (j->is_former)
		unlink_former(j);
	else
		map_take(&j->pipe->jobs, j->number);
	close_files(j);
	timer_free(j->timer);
	buf_free(&j->said);
	arena_free(&j->memory);
	free(j);
}

static void tell(struct pipe_job *j)
{
	struct channel *store = j->pipe->store;
	if (j->is_former || !store)
		return;
	channel_send(store, job_result, .job = j->number, .index = j->index, .outcome = (uint8_t)j->result.outcome, .status = span_cstr(j->result.status),
	             .text = span_cstr(j->result.text), .host = SPAN(""));
	channel_send(store, job_done, .job = j->number);
}

/* It is over; j->result says how. */
static void end(struct pipe_job *j)
{
	struct pipe_process *p = j->pipe;
	char id[ID128_TEXT_BYTES + 1];
	log_event(LOG_LEVEL_INFO, "piped", log_s("id", id128_text(j->delivery, id)), log_s("to", j->recipient), log_s("user", j->user), log_s("command", j->command),
	          log_c("outcome", outcome_words[j->result.outcome]), log_c("status", j->result.status), log_c("text", j->result.text));
	switch (j->result.outcome) {
	case RELAY_DELIVERED: p->delivered_count++; break;
	case RELAY_LATER: p->later_count++; break;
	case RELAY_FAILED: p->failed_count++; break;
	}
	close_files(j);
	timer_clear(j->timer);
	j->state = PIPE_JOB_TOLD;
	tell(j);
}

static void end_later(struct pipe_job *j, const char *why)
{
	outcome_later(why, &j->result);
	end(j);
}

/* ---- the program ---- */

static void signal_group(const struct pipe_job *j, int number)
{
	if (kill(-j->pid, number)) /* it has no session of its own yet */
		kill(j->pid, number);
}

static void on_timer(void *context)
{
	struct pipe_job *j = context;
	signal_group(j, j->is_timed_out ? SIGKILL : SIGTERM);
	if (!j->is_timed_out)
		timer_set(j->timer, KILL_AFTER_MS);
	j->is_timed_out = true;
}

static void read_output(void *context)
{
	struct pipe_job *j = context;
	char bytes[16384];
	ssize_t n = j->output < 0 ? 0 : read(j->output, bytes, sizeof bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_add(&j->said, span_slice(span_of(bytes, (size_t)n), 0, SAID_BYTES_MOST - j->said.len));
	j->said_bytes += n > 0 ? (uint64_t)n : 0;
	if (n > 0 && j->said_bytes <= OUTPUT_BYTES_MOST)
		return;
	watch_free(j->watch);
	j->watch = NULL;
	if (j->output >= 0)
		close(j->output);
	j->output = -1;
}

static void run(struct pipe_job *j)
{
	struct error why = {0};
	const struct config *config = child_config(j->pipe->self);
	struct run r = {.config = config, .user = j->user, .command = j->command, .sender = j->sender, .recipient = j->recipient};
	close(j->file);
	j->file = -1;
	j->pid = run_program(&r, j->input, &j->output, &why);
	if (j->pid < 0) {
		j->pid = 0;
		end_later(j, why.text);
		return;
	}
	j->state = PIPE_JOB_RUNNING;
	j->pipe->running++;
	j->watch = watch_new(j->pipe->loop, j->output, false, read_output, j);
	watch_on(j->watch);
	timer_set(j->timer, (int64_t)config->pipe_timeout_s * 1000);
}

static struct pipe_job *find_by_pid(struct pipe_process *p, pid_t pid)
{
	struct pipe_job *j;
	for (size_t at = 0; (j = map_next(&p->jobs, &at));)
		if (j->state == PIPE_JOB_RUNNING && j->pid == pid)
			return j;
	for (j = p->formers; j; j = j->next_former)
		if (j->state == PIPE_JOB_RUNNING && j->pid == pid)
			return j;
	return NULL;
}

void pipe_job_reap(struct pipe_process *p, pid_t pid, int status)
{
	struct pipe_job *j = find_by_pid(p, pid);
	if (!j)
		return;
	if (j->is_timed_out)
		signal_group(j, SIGKILL); /* whatever it has started goes with it */
	p->running--;
	p->formers_running -= j->is_former;
	j->pid = 0;
	while (j->output >= 0 && j->said.len < SAID_BYTES_MOST) { /* what it said last */
		uint64_t before = j->said_bytes;
		read_output(j);
		if (j->said_bytes == before)
			break;
	}
	struct span rest = j->command, program = span_next_word(&rest);
	outcome_of_program(status, j->is_timed_out, program, buf_span(&j->said), &j->result);
	end(j);
	pipe_offer_slots(p);
	pipe_program_ended(p);
}

void pipe_jobs_kill(struct pipe_process *p, int signal_number)
{
	struct pipe_job *j;
	for (size_t at = 0; (j = map_next(&p->jobs, &at));)
		if (j->state == PIPE_JOB_RUNNING)
			signal_group(j, signal_number);
	for (j = p->formers; j; j = j->next_former)
		if (j->state == PIPE_JOB_RUNNING)
			signal_group(j, signal_number);
}

/* ---- the message ---- */

static int write_all(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes = span_skip(bytes, (size_t)n);
	}
	return 0;
}

static void add_printable(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(out, (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
}

/* In front of the message, as local(8) puts it for commands: mbox's From line (RFC 4155 appendix A), Return-Path (RFC 5321 §4.4), Delivered-To. */
static void make_head(const struct pipe_job *j, struct buf *out)
{
	char date[64];
	time_t now = (time_t)clock_wall_s();
	struct tm parts;
	gmtime_r(&now, &parts);
	strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &parts);
	buf_add_cstr(out, "From ");
	add_printable(out, j->sender.len ? j->sender : SPAN("MAILER-DAEMON"));
	buf_printf(out, "  %s\nReturn-Path: <", date);
	add_printable(out, j->sender);
	buf_add_cstr(out, ">\nDelivered-To: ");
	add_printable(out, j->recipient);
	buf_add_char(out, '\n');
}

/* A file of which only descriptors are left. The program gets one that can only be read. */
static int open_file(struct pipe_job *j, struct error *why)
{
	BUF_AUTO path = {0}, head = {0};
	buf_printf(&path, "%s/pipe-XXXXXX", child_config(j->pipe->self)->data_dir);
	buf_cstr(&path);
	j->file = mkostemp(path.ptr, O_CLOEXEC);
	if (j->file < 0)
		return error_set(why, errno, "no file for the message: %s", strerror(errno));
	j->input = open(path.ptr, O_RDONLY | O_CLOEXEC);
	int fault = errno;
	unlink(path.ptr);
	if (j->input < 0)
		return error_set(why, fault, "no file for the message: %s", strerror(fault));
	make_head(j, &head);
	return write_all(j->file, buf_span(&head)) ? error_set(why, errno, "no room for the message: %s", strerror(errno)) : 0;
}

/* Programs of Unix want lines that end with LF alone. */
static int write_piece(struct pipe_job *j, struct span bytes)
{
	BUF_AUTO out = {0};
	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.ptr[i];
		if (j->has_cr && c != '\n')
			buf_add_char(&out, '\r');
		j->has_cr = c == '\r';
		if (!j->has_cr)
			buf_add_char(&out, c);
	}
	j->came += bytes.len;
	if (j->came == j->size && j->has_cr)
		buf_add_char(&out, '\r');
	return write_all(j->file, buf_span(&out));
}

static void ask_for_piece(struct pipe_job *j)
{
	uint64_t left = j->size - j->came;
	channel_send(j->pipe->store, job_read, .job = j->number, .offset = j->came, .length = left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES);
}

static void begin(struct pipe_job *j)
{
	struct error why = {0};
	j->state = PIPE_JOB_READING;
	if (open_file(j, &why)) {
		end_later(j, why.text);
		return;
	}
	if (j->size)
		ask_for_piece(j);
	else
		run(j);
}

void pipe_job_piece(struct pipe_process *p, const struct msg_job_piece *m)
{
	struct pipe_job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != PIPE_JOB_READING || m->offset != j->came)
		return;
	if (!m->is_there || !m->bytes.len || m->bytes.len > j->size - j->came)
		end_later(j, "the message cannot be read");
	else if (write_piece(j, m->bytes))
		end_later(j, "no room for the message");
	else if (j->came < j->size)
		ask_for_piece(j);
	else
		run(j);
}

/* ---- jobs ---- */

bool pipe_job_new(struct pipe_process *p, const struct msg_job *m)
{
	ssize_t colon = span_chr(m->program, ':');
	if (p->open_slots == 0 || map_get(&p->jobs, m->job) || colon < 0 || m->route != ROUTE_PROGRAM)
		return false;
	p->open_slots--;
	struct pipe_job *j = xcalloc(1, sizeof *j);
	*j = (struct pipe_job){.pipe = p, .number = m->job, .delivery = m->delivery, .size = m->size, .file = -1, .input = -1, .output = -1};
	j->sender = arena_dup(&j->memory, m->reverse_path);
	j->user = arena_dup(&j->memory, span_slice(m->program, 0, (size_t)colon));
	j->command = arena_dup(&j->memory, span_skip(m->program, (size_t)colon + 1));
	j->timer = timer_new(p->loop, on_timer, j);
	map_put(&p->jobs, j->number, j);
	return true;
}

bool pipe_job_recipient(struct pipe_process *p, const struct msg_job_rcpt *m)
{
	struct pipe_job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != PIPE_JOB_COLLECTING || j->has_recipient)
		return false;
	j->has_recipient = true;
	j->index = m->index;
	j->recipient = arena_dup(&j->memory, m->address);
	return true;
}

static struct pipe_job *find_former(struct pipe_process *p, const struct pipe_job *j)
{
	struct pipe_job *f = p->formers;
	while (f && !(id128_equal(f->delivery, j->delivery) && f->index == j->index && span_equal(f->recipient, j->recipient) && span_equal(f->command, j->command)))
		f = f->next_former;
	return f;
}

bool pipe_job_start(struct pipe_process *p, const struct msg_job_start *m)
{
	struct pipe_job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != PIPE_JOB_COLLECTING || !j->has_recipient)
		return false;
	struct pipe_job *former = find_former(p, j);
	if (!former) {
		begin(j);
		return true;
	}
	unlink_former(former);
	p->formers_running -= former->state == PIPE_JOB_RUNNING;
	former->number = j->number;
	drop(j);
	map_put(&p->jobs, former->number, former);
	if (former->state == PIPE_JOB_TOLD)
		tell(former);
	return true;
}

bool pipe_job_settled(struct pipe_process *p, const struct msg_job_settled *m)
{
	struct pipe_job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != PIPE_JOB_TOLD)
		return false;
	drop(j);
	pipe_offer_slots(p);
	return true;
}

static void make_room(struct pipe_process *p)
{
	size_t count = 0;
	for (struct pipe_job *f = p->formers; f; f = f->next_former)
		count++;
	for (struct pipe_job *f = p->formers, *next; f && count > FORMERS_MOST; f = next) {
		next = f->next_former;
		if (f->state != PIPE_JOB_RUNNING) {
			drop(f);
			count--;
		}
	}
}

void pipe_jobs_become_former(struct pipe_process *p)
{
	struct pipe_job *j, **last = &p->formers;
	for (size_t at = 0; (j = map_next(&p->jobs, &at)); at = 0) {
		if (j->state == PIPE_JOB_COLLECTING || j->state == PIPE_JOB_READING) {
			drop(j);
			continue;
		}
		map_take(&p->jobs, j->number);
		j->is_former = true;
		p->formers_running += j->state == PIPE_JOB_RUNNING;
		while (*last)
			last = &(*last)->next_former;
		*last = j;
		j->next_former = NULL;
	}
	make_room(p);
}

void pipe_jobs_drop_idle(struct pipe_process *p)
{
	struct pipe_job *j;
	for (size_t at = 0; (j = map_next(&p->jobs, &at));)
		if (j->state == PIPE_JOB_COLLECTING || j->state == PIPE_JOB_READING) {
			drop(j);
			at = 0;
		}
}
