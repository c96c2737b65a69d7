#include "master/home.h"

#include "base/die.h"
#include "base/log.h"
#include "base/utf8.h"
#include "ipc/terms.h"
#include "master/home_read.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
	READERS_MOST = 16,      /* at once; who hangs on a dead disk keeps a place until it can be killed */
	QUESTIONS_MOST = 4096,  /* store asks no more */
	ANSWER_MS_MOST = 10 * 1000,
	ANSWER_BYTES_MOST = 1 + HOME_TEXT_BYTES_MOST + 1 + HOME_FORWARD_BYTES_MOST,
};

/* A question, with its process once it has one. */
struct home {
	struct home *next;
	struct master *master;
	uint64_t id;
	char name[33];
	pid_t pid;            /* 0: it waits for a place, or its process has ended */
	int fd;               /* of its answer */
	bool is_answered;
	struct watch *watch;
	struct timer *timer;
	struct buf answer;
};

static void start_waiting(struct master *m);

static void tell(struct home *h, enum home_outcome outcome, struct span text, struct span forward)
{
	if (h->is_answered)
		return;
	h->is_answered = true;
	if (h->master->store_commands)
		channel_send(h->master->store_commands, home_answer, .id = h->id, .outcome = (uint8_t)outcome, .text = text, .forward = forward);
}

static void stop_reading(struct home *h)
{
	watch_free(h->watch);
	timer_free(h->timer);
	h->watch = NULL;
	h->timer = NULL;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

/* Once it is answered, and its process has ended. */
static void free_if_over(struct home *h)
{
	struct home **at = &h->master->homes;
	if (!h->is_answered || h->pid)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	stop_reading(h);
	buf_free(&h->answer);
	free(h);
}

static void on_deadline(void *context)
{
	struct home *h = context;
	tell(h, HOME_LATER, SPAN("the user or his home directory cannot be looked up in time"), SPAN(""));
	log_event(LOG_LEVEL_ERROR, "home-silent", log_c("user", h->name), log_c("then", "his mail is put off"));
	stop_reading(h);
	if (h->pid)
		kill(h->pid, SIGKILL);
	free_if_over(h);
}

static void take_answer(struct home *h)
{
	struct span all = buf_span(&h->answer);
	ssize_t end = all.len ? span_chr(span_skip(all, 1), '\0') : -1;
	struct span text = span_slice(all, 1, end < 0 ? 0 : (size_t)end);
	if (end < 0 || (unsigned char)all.ptr[0] > HOME_LATER || text.len > HOME_TEXT_BYTES_MOST || !utf8_is_valid(text))
		tell(h, HOME_LATER, SPAN("the process that looks it up has ended before its answer"), SPAN(""));
	else
		tell(h, (enum home_outcome)all.ptr[0], text, span_skip(all, (size_t)end + 2));
}

static void on_readable(void *context)
{
	struct home *h = context;
	ssize_t n = read(h->fd, buf_reserve(&h->answer, 16384), 16384);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	h->answer.len += n > 0 ? (size_t)n : 0;
	if (n > 0 && h->answer.len <= ANSWER_BYTES_MOST)
		return;
	if (h->answer.len > ANSWER_BYTES_MOST)
		buf_clear(&h->answer);
	take_answer(h);
	stop_reading(h);
	free_if_over(h);
}

static void run_reader(const char *name, int fd)
{
	struct buf answer = {0};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(fd, 3) < 0)
		_exit(71);
	close_range(4, ~0U, 0); /* it may outlive master on a dead disk: no port and no channel stays open with it */
	home_read(name, &answer);
	for (struct span rest = buf_span(&answer); rest.len;) {
		ssize_t n = write(3, rest.ptr, rest.len);
		if (n <= 0)
			break;
		rest = span_skip(rest, (size_t)n);
	}
	_exit(0);
}

static bool start(struct home *h)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC))
		return false;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	h->pid = fork();
	if (h->pid == 0)
		run_reader(h->name, pair[1]);
	close(pair[1]);
	h->fd = pair[0];
	if (h->pid < 0) {
		h->pid = 0;
		return false;
	}
	h->watch = watch_new(h->master->loop, h->fd, false, on_readable, h);
	watch_on(h->watch);
	return true;
}

static void start_waiting(struct master *m)
{
	unsigned running = 0;
	for (struct home *h = m->homes; h; h = h->next)
		running += h->pid != 0;
	for (struct home *h = m->homes, *next; h && running < READERS_MOST; h = next) {
		next = h->next;
		if (h->pid || h->is_answered || h->watch)
			continue;
		if (start(h)) {
			running++;
			continue;
		}
		tell(h, HOME_LATER, SPAN("no process can be made to look it up"), SPAN(""));
		free_if_over(h);
	}
}

void home_ask(struct master *m, const struct msg_home_ask *ask)
{
	struct home *h = xcalloc(1, sizeof *h), **at = &m->homes;
	size_t count = 0;
	*h = (struct home){.master = m, .id = ask->id, .fd = -1};
	snprintf(h->name, sizeof h->name, "%.*s", SPAN_ARG(ask->name));
	for (; *at; at = &(*at)->next)
		count++;
	*at = h;
	if (count >= QUESTIONS_MOST) {
		tell(h, HOME_LATER, SPAN("too many are looked up at once"), SPAN(""));
		free_if_over(h);
		return;
	}
	h->timer = timer_new(m->loop, on_deadline, h);
	timer_set(h->timer, ANSWER_MS_MOST);
	start_waiting(m);
}

void home_ended(struct master *m, pid_t pid)
{
	struct home *h = m->homes;
	while (h && h->pid != pid)
		h = h->next;
	if (!h)
		return;
	h->pid = 0; /* its answer may still be in the pipe */
	free_if_over(h);
	start_waiting(m);
}

void homes_forget(struct master *m)
{
	for (struct home *h = m->homes, *next; h; h = next) {
		next = h->next;
		h->is_answered = true;
		stop_reading(h);
		if (h->pid)
			kill(h->pid, SIGKILL);
		free_if_over(h);
	}
}
