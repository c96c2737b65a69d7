/* Starting, joining, restarting and stopping the processes. */
#include "master/process.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "ipc/terms.h"
#include "master/control.h"
#include "master/home.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	DIED_YOUNG_MS = 1000,
	PAUSE_FIRST_MS = 100,
	PAUSE_MOST_MS = 30000,
	CONTROL_FD = 3, /* where a child finds its channel to master */
	CHANNEL_SOCKET_BYTES = 1024 * 1024,
	DRAINING_MOST = 16,
	DRAIN_MOST_MS = 60 * 60 * 1000,
};

static void add_process(struct master *m, enum role role, unsigned count)
{
	for (unsigned i = 0; i < count && m->process_count < PROCESSES_MOST; i++)
		m->processes[m->process_count++] = (struct process){.master = m, .role = role, .index = i};
}

void process_plan(struct master *m)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned filters = m->config.filters ? (unsigned)m->config.filters : (unsigned)(cores < 1 ? 1 : cores > 16 ? 16 : cores);
	add_process(m, ROLE_STORE, 1);
	add_process(m, ROLE_VAULT, 1);
	add_process(m, ROLE_FILTER, m->is_offline ? 1 : filters);
	if (m->is_offline)
		return;
	add_process(m, ROLE_RESOLVE, 1);
	add_process(m, ROLE_RELAY, 1);
	add_process(m, ROLE_MILTER, 1);
	if (m->config.pipes[0])
		add_process(m, ROLE_PIPE, 1);
	add_process(m, ROLE_EDGE_MX, (unsigned)m->config.edges_mx);
	add_process(m, ROLE_EDGE_USER, (unsigned)m->config.edges_user);
}

static void make_pair(int pair[2])
{
	int bytes = CHANNEL_SOCKET_BYTES;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("master: cannot make a socketpair: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static void give_channel(struct process *to, enum role peer, unsigned index, int fd)
{
	if (to->channel) {
		channel_send(to->channel, attach, .role = (uint8_t)peer, .index = (uint8_t)index);
		channel_send_fd(to->channel, fd);
	}
	close(fd);
}

static void join(struct process *a, struct process *b)
{
	int pair[2];
	make_pair(pair);
	give_channel(a, b->role, b->index, pair[0]);
	give_channel(b, a->role, a->index, pair[1]);
}

static void join_master_and_store(struct process *store)
{
	int pair[2];
	make_pair(pair);
	give_channel(store, ROLE_MASTER, 0, pair[0]);
	control_store_attached(store->master, pair[1]);
}

/* The children's user may not open what only root may (certbot's keys), so it is opened here. What a FIFO or a device in a file's
 * place would do to an open is told not to be waited for. */
static void give_key_file(struct process *to, enum key_file which, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	channel_send(to->channel, key_file, .which = (uint8_t)which, .fault = fd < 0 ? (uint32_t)errno : 0);
	if (fd < 0)
		return;
	channel_send_fd(to->channel, fd);
	close(fd);
}

void process_give_keys(struct process *p)
{
	const struct config *config = &p->master->config;
	if (p->role == ROLE_VAULT) {
		BUF_AUTO path = {0};
		config_dkim_keys_path(config, &path);
		give_key_file(p, KEY_FILE_CERTIFICATE, config->tls_certificate);
		give_key_file(p, KEY_FILE_KEY, config->tls_key);
		give_key_file(p, KEY_FILE_DKIM, buf_cstr(&path));
		if (config->tls_client_authorities[0])
			give_key_file(p, KEY_FILE_CLIENT_AUTHORITIES, config->tls_client_authorities);
	} else if (p->role == ROLE_RELAY && config->relay_host_login[0]) {
		give_key_file(p, KEY_FILE_RELAY_LOGIN, config->relay_host_login);
	}
}

static void on_ready(void *context, const struct msg_ready *msg)
{
	struct process *p = context;
	(void)msg;
	p->is_ready = true;
	control_process_ready(p->master);
}

static void on_violated(void *context, const struct msg_violated *msg)
{
	struct process *p = context;
	struct master *m = p->master;
	/* who accuses one that it has no channel to is the one that breaks the protocol */
	bool is_peer = role_talks_to(p->role, (enum role)msg->role);
	for (size_t i = 0; i < m->process_count; i++) {
		struct process *other = &m->processes[i];
		bool is_meant = is_peer ? other->role == msg->role && other->index == msg->index : other == p;
		if (!is_meant || !other->pid)
			continue;
		log_event(LOG_LEVEL_ERROR, "process-ended-for-violation", log_c("process", role_name(other->role)), log_c("accuser", role_name(p->role)));
		kill(other->pid, SIGKILL);
	}
}

static void on_status_answer(void *context, const struct msg_status_answer *msg)
{
	struct process *p = context;
	control_status_answer(p->master, p, msg->text);
}

static const struct child_to_master handlers = {
	.ready = on_ready, .violated = on_violated, .status_answer = on_status_answer};

static void on_channel_closed(void *context, bool is_violation)
{
	(void)is_violation;
	struct process *p = context;
	/* SIGCHLD tells the rest; a process that only closed its channel must not live on without master */
	channel_free(p->channel);
	p->channel = NULL;
	p->is_ready = false;
	control_status_answer(p->master, p, SPAN("")); /* it will not answer any more */
	if (p->pid)
		kill(p->pid, p->master->is_stopping || p->is_draining ? SIGTERM : SIGKILL);
}

/* Changes the user; pipe alone keeps the right to become other users than that, which it gives up in each program that it runs (pipe/run.c). */
static int become_user(const struct process *p)
{
	const struct master *m = p->master;
	const uint32_t rights = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = rights, .permitted = rights, .inheritable = rights}};
	if (!m->uid)
		return 0;
	if (p->role != ROLE_PIPE)
		return setgroups(0, NULL) || setgid(m->gid) || setuid(m->uid) ? -1 : 0;
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setgid(m->gid) || setuid(m->uid) || syscall(SYS_capset, &header, data))
		return -1;
	for (unsigned right = 0; right < 32; right++)
		if (rights >> right & 1U && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0))
			return -1;
	return 0;
}

static void become_child(struct process *p, int control, pid_t master_pid)
{
	struct master *m = p->master;
	char index[8];
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(control, CONTROL_FD) < 0)
		_exit(71);
	for (int fd = CONTROL_FD + 1; fd < 256; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(CONTROL_FD, F_SETFD, 0);
	if (become_user(p)) {
		fprintf(stderr, "carteiro: cannot become user %u: %s\n", (unsigned)m->uid, strerror(errno));
		_exit(71);
	}
	/* a process does not outlive master, however that ended; changing the user takes the wish back, so it comes after */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != master_pid)
		_exit(71);
	snprintf(index, sizeof index, "%u", p->index);
	execl("/proc/self/exe", "carteiro", "--process", role_name(p->role), index, (char *)NULL);
	fprintf(stderr, "carteiro: cannot start itself: %s\n", strerror(errno));
	_exit(71);
}

static void on_restart(void *context)
{
	struct process *p = context;
	if (!p->master->is_stopping && !p->pid)
		process_start(p);
}

static bool is_edge(const struct process *p)
{
	return p->role == ROLE_EDGE_MX || p->role == ROLE_EDGE_USER;
}

/* Which class of edge serves a protocol: strangers and users are kept apart. */
static bool serves(enum role role, enum config_protocol protocol)
{
	bool is_mx = protocol == CONFIG_SMTP || protocol == CONFIG_LMTP;
	return role == (is_mx ? ROLE_EDGE_MX : ROLE_EDGE_USER);
}

void process_start(struct process *p)
{
	struct master *m = p->master;
	int pair[2];
	make_pair(pair);
	p->started_ms = clock_monotonic_ms();
	p->is_ready = p->is_told_to_stop = false;
	pid_t master_pid = getpid();
	p->pid = fork();
	if (p->pid < 0)
		die("master: cannot fork: %s", strerror(errno));
	if (p->pid == 0)
		become_child(p, pair[1], master_pid);
	close(pair[1]);
	if (!p->restart)
		p->restart = timer_new(m->loop, on_restart, p);
	struct channel_use use = {child_to_master_dispatch, &handlers, p, on_channel_closed, role_name(p->role)};
	p->channel = channel_new(m->loop, pair[0], &use);
	channel_set_epoch(p->channel, m->epoch);
	process_give_keys(p);
	channel_send(p->channel, configure, .epoch = m->epoch, .file = span_slice(span_cstr(m->config_file), 0, 255),
	             .settings = buf_span(&m->settings), .hostname = span_cstr(m->hostname));
	for (size_t i = 0; i < m->process_count; i++) {
		struct process *other = &m->processes[i];
		if (other != p && other->channel && role_talks_to(p->role, other->role))
			join(p, other);
	}
	for (size_t i = 0; i < PROCESSES_MOST; i++)
		if (m->draining[i].channel && !is_edge(p) && role_talks_to(p->role, m->draining[i].role))
			join(p, &m->draining[i]);
	if (p->role == ROLE_STORE)
		join_master_and_store(p);
	for (size_t i = 0; is_edge(p) && i < m->listener_count; i++)
		if (serves(p->role, m->listeners[i].at.protocol)) {
			channel_send(p->channel, listen, .protocol = (uint8_t)m->listeners[i].at.protocol,
			             .is_tls = m->listeners[i].at.is_tls);
			channel_send_fd(p->channel, m->listeners[i].fd);
		}
	if (p->role == ROLE_EDGE_USER && m->submit_fd >= 0) {
		channel_send(p->channel, listen, .protocol = CONFIG_LOCAL);
		channel_send_fd(p->channel, m->submit_fd);
		channel_send(p->channel, listen, .protocol = CONFIG_LOCAL_IMAP);
		channel_send_fd(p->channel, m->imap_fd);
	}
	channel_send(p->channel, start);
	log_event(LOG_LEVEL_INFO, "process-started", log_c("process", role_name(p->role)), log_n("index", p->index),
	          log_n("pid", p->pid));
}

void process_start_pipe(struct master *m)
{
	bool has_one = false;
	for (size_t i = 0; i < m->process_count; i++)
		has_one |= m->processes[i].role == ROLE_PIPE;
	if (has_one || !m->config.pipes[0] || m->is_offline)
		return;
	add_process(m, ROLE_PIPE, 1);
	process_start(&m->processes[m->process_count - 1]);
}

void process_start_all(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++)
		process_start(&m->processes[i]);
}

static void schedule_restart(struct process *p)
{
	bool was_young = clock_monotonic_ms() - p->started_ms < DIED_YOUNG_MS;
	if (!was_young)
		p->pause_ms = 0;
	else
		p->pause_ms = p->pause_ms == 0 ? PAUSE_FIRST_MS : p->pause_ms * 2 > PAUSE_MOST_MS ? PAUSE_MOST_MS : p->pause_ms * 2;
	p->restarts++;
	timer_set(p->restart, p->pause_ms);
}

static void process_ended(struct process *p, int status)
{
	struct master *m = p->master;
	if (!m->is_stopping && !p->is_draining)
		log_event(LOG_LEVEL_ERROR, "process-died", log_c("process", role_name(p->role)), log_n("index", p->index),
		          log_n("pid", p->pid), log_n("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		          log_n("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
	p->pid = 0;
	p->is_ready = false;
	control_status_answer(m, p, SPAN(""));
	channel_free(p->channel);
	p->channel = NULL;
	if (!m->is_stopping && !p->is_draining)
		schedule_restart(p);
}

void process_reap(struct master *m)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		home_ended(m, pid);
		for (size_t i = 0; i < PROCESSES_MOST; i++) {
			if (m->processes[i].pid == pid)
				process_ended(&m->processes[i], status);
			if (m->draining[i].pid == pid)
				process_ended(&m->draining[i], status);
		}
	}
}

bool process_any(const struct master *m)
{
	for (size_t i = 0; i < PROCESSES_MOST; i++)
		if (m->processes[i].pid || m->draining[i].pid)
			return true;
	return false;
}

static void tell_to_stop(struct process *p)
{
	if (p->channel && !p->is_told_to_stop)
		channel_send(p->channel, stop);
	p->is_told_to_stop = true;
}

static bool stop_those(struct master *m, bool (*is_one)(const struct process *p))
{
	bool has_any = false;
	struct process *lists[] = {m->processes, m->draining};
	for (size_t list = 0; list < 2; list++)
		for (size_t i = 0; i < PROCESSES_MOST; i++) {
			struct process *p = &lists[list][i];
			if (!p->pid || !is_one(p))
				continue;
			has_any = true;
			tell_to_stop(p);
		}
	return has_any;
}

static bool is_relay(const struct process *p)
{
	return p->role == ROLE_RELAY || p->role == ROLE_PIPE;
}

static bool is_any(const struct process *p)
{
	(void)p;
	return true;
}

void process_stop_next(struct master *m)
{
	if (!stop_those(m, is_edge) && !stop_those(m, is_relay))
		stop_those(m, is_any);
}

static void on_drained_enough(void *context)
{
	tell_to_stop(context);
}

size_t process_draining(const struct master *m)
{
	size_t count = 0;
	for (size_t i = 0; i < PROCESSES_MOST; i++)
		count += m->draining[i].pid != 0;
	return count;
}

/* Its clients are told, and come back to a new one. */
static void stop_oldest_draining(struct master *m)
{
	struct process *oldest = NULL;
	for (size_t i = 0; i < PROCESSES_MOST; i++) {
		struct process *p = &m->draining[i];
		if (p->pid && !p->is_told_to_stop && (!oldest || p->started_ms < oldest->started_ms))
			oldest = p;
	}
	if (oldest)
		tell_to_stop(oldest);
}

static struct process *free_draining_place(struct master *m)
{
	if (process_draining(m) >= DRAINING_MOST)
		stop_oldest_draining(m);
	for (size_t i = 0; i < PROCESSES_MOST; i++)
		if (!m->draining[i].pid)
			return &m->draining[i];
	return NULL;
}

void process_replace_edges(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++) {
		struct process *p = &m->processes[i], *old;
		if (!is_edge(p) || !p->channel)
			continue;
		old = free_draining_place(m);
		if (!old) { /* reloads without a pause: the oldest have been told to stop, and the next reload finds room */
			log_event(LOG_LEVEL_WARNING, "process-not-replaced", log_c("process", role_name(p->role)), log_c("why", "too many of earlier configurations still end"));
			continue;
		}
		struct timer *restart = old->restart, *drain_deadline = old->drain_deadline;
		*old = *p;
		old->restart = restart;
		old->drain_deadline = drain_deadline ? drain_deadline : timer_new(m->loop, on_drained_enough, old);
		old->is_draining = true;
		timer_set(old->drain_deadline, DRAIN_MOST_MS);
		control_status_answer(m, p, SPAN(""));
		/* the channel's events go to the process's new place */
		channel_set_context(old->channel, old);
		channel_send(old->channel, drain);
		p->pid = 0;
		p->channel = NULL;
		p->drain_deadline = NULL;
		process_start(p);
	}
}
