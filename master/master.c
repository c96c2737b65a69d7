/* The life of the master process: start, signals, reload, end. */
#include "master/master.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "master/control.h"
#include "master/local.h"
#include "master/reload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

enum {
	SETTINGS_BYTES_MOST = 65536,
	STOP_MOST_MS = 8000, /* then SIGKILL: what was acknowledged is on the disk */
	LISTEN_BACKLOG = 4096,
	LOCK_TRIES = 100,
	LOCK_PAUSE_MS = 50,
};

static int read_file(const char *path, struct buf *out, struct error *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(why, errno, "cannot read %s: %s (`carteiro setup DOMAIN` writes one)", path, strerror(errno));
	ssize_t n;
	while ((n = read(fd, buf_reserve(out, 4096), 4096)) > 0 && out->len <= SETTINGS_BYTES_MOST)
		out->len += (size_t)n;
	close(fd);
	if (n < 0)
		return error_set(why, errno, "cannot read %s: %s", path, strerror(errno));
	if (out->len > SETTINGS_BYTES_MOST)
		return error_set(why, 0, "%s is larger than %d bytes: it is not a configuration of carteiro", path, SETTINGS_BYTES_MOST);
	return 0;
}

static int read_config(const struct master *m, struct buf *settings_out, struct config *config_out, struct error *why)
{
	struct buf settings = {0};
	struct config config = {0};
	struct config_errors errors;
	int bad = read_file(m->config_file, &settings, why);
	if (!bad && config_parse(buf_span(&settings), m->config_file, &config, &errors)) {
		*why = errors.at[0];
		bad = -1;
	}
	if (!bad && config_complete(&config, why)) {
		config_free(&config);
		bad = -1;
	}
	if (bad) {
		buf_free(&settings);
		return -1;
	}
	*settings_out = settings;
	*config_out = config;
	return 0;
}

static void take_config(struct master *m, struct buf *settings, struct config *config)
{
	buf_free(&m->settings);
	config_free(&m->config);
	m->settings = *settings;
	m->config = *config;
	m->epoch++;
	snprintf(m->hostname, sizeof m->hostname, "%s", config->hostname);
}

static int bind_one(const struct config_listener *at, struct error *why)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(at->port)};
	bool is_six = inet_pton(AF_INET6, at->address, &six.sin6_addr) == 1;
	if (!is_six && inet_pton(AF_INET, at->address, &four.sin_addr) != 1)
		return error_set(why, 0, "%s is not an address", at->address);
	int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0)
		return error_set(why, errno, "cannot make a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (is_six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	const struct sockaddr *address = is_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
	if (bind(fd, address, is_six ? sizeof six : sizeof four) || listen(fd, LISTEN_BACKLOG)) {
		int code = errno;
		close(fd);
		return error_set(why, code, "cannot listen on %s port %u: %s%s", at->address, at->port, strerror(code),
		                 code == EADDRINUSE ? " (another mail server?)" : code == EACCES ? " (start it as root)" : "");
	}
	return fd;
}

static bool is_same(const struct config_listener *a, const struct config_listener *b)
{
	return a->protocol == b->protocol && a->port == b->port && a->is_tls == b->is_tls && strcmp(a->address, b->address) == 0;
}

/* An address that this machine has no IPv6 for is left out: "25" means all addresses that there are. */
static bool may_be_left_out(const struct config_listener *at, const struct error *why)
{
	return strcmp(at->address, "::") == 0 && (why->code == EAFNOSUPPORT || why->code == EADDRNOTAVAIL);
}

/* Binds what the configuration names and is not bound yet, closes what it no longer names. -1 with *why, and all as it was. */
static int bind_all(struct master *m, const struct config *config, struct error *why)
{
	struct listener bound[LISTENERS_MOST];
	bool is_kept[LISTENERS_MOST] = {false}, is_new[LISTENERS_MOST] = {false};
	size_t count = 0;
	for (size_t i = 0; i < config->listeners_count && count < LISTENERS_MOST; i++) {
		const struct config_listener *at = &config->listeners[i];
		int fd = -1;
		for (size_t k = 0; k < m->listener_count; k++)
			if (!is_kept[k] && is_same(&m->listeners[k].at, at)) {
				fd = m->listeners[k].fd;
				is_kept[k] = true;
				break;
			}
		is_new[count] = fd < 0;
		if (fd < 0)
			fd = bind_one(at, why);
		if (fd < 0 && may_be_left_out(at, why))
			continue;
		if (fd < 0) {
			/* all stays as it was */
			while (count--)
				if (is_new[count])
					close(bound[count].fd);
			return -1;
		}
		bound[count++] = (struct listener){fd, *at};
	}
	for (size_t k = 0; k < m->listener_count; k++)
		if (!is_kept[k])
			close(m->listeners[k].fd);
	memcpy(m->listeners, bound, count * sizeof bound[0]);
	m->listener_count = count;
	return 0;
}

static void send_reload(struct master *m, struct process *p)
{
	process_give_keys(p);
	channel_send(p->channel, reload, .epoch = m->epoch, .settings = buf_span(&m->settings));
}

void master_reload_keys(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++)
		if (m->processes[i].channel && m->processes[i].role == ROLE_VAULT)
			send_reload(m, &m->processes[i]);
}

/* Where the mail lies, and whose it is, does not change under those that have it open. */
static int must_restart(const struct config *now, const struct config *next, struct error *why)
{
	const char *names[] = {"data_dir", "run_dir", "user"};
	const char *old[] = {now->data_dir, now->run_dir, now->user}, *new[] = {next->data_dir, next->run_dir, next->user};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(old[i], new[i]) != 0)
			return error_set(why, 0, "%s is %s while the server runs: to make it %s, stop the server and start it again", names[i], old[i], new[i]);
	return 0;
}

int master_reload(struct master *m, struct error *why)
{
	struct buf settings;
	struct config config;
	int bad = read_config(m, &settings, &config, why);
	if (!bad && (must_restart(&m->config, &config, why) || bind_all(m, &config, why))) {
		buf_free(&settings);
		config_free(&config);
		bad = -1;
	}
	if (bad) {
		log_event(LOG_LEVEL_ERROR, "reload-refused", log_c("why", why->text));
		return -1;
	}
	take_config(m, &settings, &config);
	for (size_t i = 0; i < m->process_count; i++)
		if (m->processes[i].channel && m->processes[i].role != ROLE_EDGE_MX && m->processes[i].role != ROLE_EDGE_USER)
			send_reload(m, &m->processes[i]);
	process_start_pipe(m);
	process_replace_edges(m);
	log_event(LOG_LEVEL_INFO, "reloaded", log_n("epoch", m->epoch));
	return 0;
}

static void end_if_alone(struct master *m)
{
	if (m->is_stopping && !process_any(m))
		loop_stop(m->loop);
}

static void on_stop_deadline(void *context)
{
	struct master *m = context;
	for (size_t i = 0; i < PROCESSES_MOST; i++) {
		if (m->processes[i].pid)
			kill(m->processes[i].pid, SIGKILL);
		if (m->draining[i].pid)
			kill(m->draining[i].pid, SIGKILL);
	}
}

void master_stop(struct master *m)
{
	if (m->is_stopping)
		return;
	m->is_stopping = true;
	sd_notify(0, "STOPPING=1");
	log_event(LOG_LEVEL_INFO, "stopping", log_n("pid", getpid()));
	for (size_t i = 0; i < m->listener_count; i++)
		close(m->listeners[i].fd);
	m->listener_count = 0;
	process_stop_next(m);
	m->stop_deadline = timer_new(m->loop, on_stop_deadline, m);
	timer_set(m->stop_deadline, STOP_MOST_MS);
	end_if_alone(m);
}

static void on_stop_signal(void *context)
{
	master_stop(context);
}

static void on_child_signal(void *context)
{
	struct master *m = context;
	process_reap(m);
	if (m->is_stopping)
		process_stop_next(m);
	end_if_alone(m);
}

static void on_hangup(void *context)
{
	struct error why = {0};
	struct master *m = context;
	if (!m->is_stopping)
		master_reload(m, &why);
}

/* The unprivileged user that the children become; nothing to do for a master that is not root itself. */
static int find_user(struct master *m, struct error *why)
{
	if (geteuid() != 0)
		return 0;
	struct passwd *user = getpwnam(m->config.user);
	if (!user)
		return error_set(why, 0, "there is no user \"%s\" for carteiro to run as: `carteiro setup` makes it, or name one with `user =`",
		                 m->config.user);
	if (user->pw_uid == 0)
		return error_set(why, 0, "carteiro does not run as root: name another user with `user =`");
	m->uid = user->pw_uid;
	m->gid = user->pw_gid;
	return 0;
}

static int prepare_folders(struct master *m, struct error *why)
{
	if (mkdir(m->config.data_dir, 0700) && errno != EEXIST)
		return error_set(why, errno, "cannot make data_dir %s: %s", m->config.data_dir, strerror(errno));
	if (m->uid && chown(m->config.data_dir, m->uid, m->gid))
		return error_set(why, errno, "cannot give %s to user %s: %s", m->config.data_dir, m->config.user, strerror(errno));
	return 0;
}

/* Two servers on the same mail would fight for it. One that is just ending is waited for. The lock goes with this process: those that it
 * starts do not inherit it. */
static int lock_data(const struct master *m, struct error *why)
{
	int fd = open(m->config.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES)
			return error_set(why, errno, "another server works on data_dir %s: end that one first, or give this one a data_dir of its own",
			                 m->config.data_dir);
		nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000L}, NULL);
	}
	return fd < 0 ? error_set(why, errno, "cannot open data_dir %s: %s", m->config.data_dir, strerror(errno)) : 0;
}

static void raise_limits(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int master_run(const struct master_options *options)
{
	struct master *m = xcalloc(1, sizeof *m);
	struct error why = {0};
	m->config_file = options->config_file;
	m->is_offline = options->is_offline;
	log_open("master", LOG_LEVEL_INFO);
	struct buf settings;
	struct config config;
	int bad = read_config(m, &settings, &config, &why);
	if (!bad) {
		take_config(m, &settings, &config);
		bad = find_user(m, &why);
	}
	if (bad) {
		fprintf(stderr, "carteiro: %s\n", why.text);
		return 78;
	}
	log_open("master", m->config.log_level);
	raise_limits();
	signal(SIGPIPE, SIG_IGN);
	m->loop = loop_new();
	loop_on_signal(m->loop, SIGCHLD, on_child_signal, m);
	loop_on_signal(m->loop, SIGTERM, on_stop_signal, m);
	loop_on_signal(m->loop, SIGINT, on_stop_signal, m);
	loop_on_signal(m->loop, SIGHUP, on_hangup, m);
	if (prepare_folders(m, &why) || control_open(m, &why) || lock_data(m, &why) || local_open(m, &why) || (!m->is_offline && bind_all(m, &m->config, &why))) {
		fprintf(stderr, "carteiro: %s\n", why.text);
		return 71;
	}
	process_plan(m);
	process_start_all(m);
	loop_run(m->loop);
	local_close(m);
	control_close(m);
	log_event(LOG_LEVEL_INFO, "stopped", log_n("pid", getpid()));
	return 0;
}
