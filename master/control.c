/* Commands over the control socket. */
#include "master/control.h"

#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "master/home.h"
#include "master/local.h"
#include "master/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { CLIENTS_MOST = 32 };

struct client {
	struct master *master;
	struct channel *channel; /* NULL: a free place */
	uint64_t command;        /* that store works on for it; 0: none */
	unsigned answers_wanted; /* of a `status`, or of a `reload`, which ends when all have taken it */
	bool is_reload;
	bool awaits[PROCESSES_MOST];
	struct buf text;
};

struct control {
	int fd;
	char path[108];
	struct watch *accepting;
	struct client clients[CLIENTS_MOST];
	uint64_t last_command;
	bool is_announced, had_client;
};

static void finish(struct client *c, struct span text, uint8_t code)
{
	if (text.len)
		channel_send(c->channel, output, .text = text);
	channel_send(c->channel, finished, .code = code);
	c->command = 0;
}

static void finish_status(struct client *c)
{
	c->answers_wanted = 0;
	finish(c, c->is_reload ? SPAN("reloaded\n") : buf_span(&c->text), 0);
	buf_clear(&c->text);
}

static void status_line(struct buf *text, const struct process *p, struct span words)
{
	buf_printf(text, "%-10s %u  pid %-8d %s restarts=%u %.*s\n", role_name(p->role), p->index, p->pid,
	           p->is_ready ? "running" : "starting", p->restarts, SPAN_ARG(words));
}

/* A process takes messages in their order: who answers this one has taken a new configuration that was sent before. */
static void begin_status(struct client *c, bool is_reload)
{
	struct master *m = c->master;
	c->is_reload = is_reload;
	buf_clear(&c->text);
	buf_printf(&c->text, "%s  %s  configuration %s (epoch %u)", m->hostname, "carteiro", m->config_file, m->epoch);
	if (process_draining(m))
		buf_printf(&c->text, "; %zu processes of earlier ones still serve their connections", process_draining(m));
	buf_add_char(&c->text, '\n');
	c->answers_wanted = 1; /* our own, so that no answer finishes it early */
	for (size_t i = 0; i < m->process_count; i++) {
		struct process *p = &m->processes[i];
		if (p->channel && p->is_ready) {
			c->answers_wanted++;
			c->awaits[i] = true;
			channel_send(p->channel, status_ask);
		} else {
			status_line(&c->text, p, SPAN(""));
		}
	}
	if (--c->answers_wanted == 0)
		finish_status(c);
}

void control_status_answer(struct master *m, const struct process *p, struct span text)
{
	if (p < m->processes || p >= m->processes + m->process_count)
		return; /* one that drains: its place has been answered for */
	for (size_t i = 0; i < CLIENTS_MOST; i++) {
		struct client *c = &m->control->clients[i];
		if (!c->channel || !c->awaits[p - m->processes])
			continue;
		c->awaits[p - m->processes] = false;
		status_line(&c->text, p, text);
		if (--c->answers_wanted == 0)
			finish_status(c);
	}
}

static void on_request(void *context, const struct msg_request *msg)
{
	struct client *c = context;
	struct master *m = c->master;
	ARENA_AUTO a = {0};
	struct span *words;
	ssize_t count = words_unpack(msg->words, &a, &words);
	if (count < 1 || c->command || c->answers_wanted) {
		finish(c, SPAN("one command at a time\n"), 64);
		return;
	}
	bool is_ours = span_equal(words[0], SPAN("status")) || span_equal(words[0], SPAN("reload")) || span_equal(words[0], SPAN("reload-keys")) ||
	               span_equal(words[0], SPAN("stop"));
	if (is_ours && count > 1) {
		finish(c, SPAN("this command takes no more words: `carteiro -c FILE COMMAND` names another configuration\n"), 64);
	} else if (span_equal(words[0], SPAN("status"))) {
		begin_status(c, false);
	} else if (span_equal(words[0], SPAN("reload"))) {
		struct error why = {0};
		bool is_bad = master_reload(m, &why);
		if (is_bad)
			snprintf(why.text + strnlen(why.text, sizeof why.text - 2), 2, "\n");
		if (is_bad)
			finish(c, span_cstr(why.text), 78);
		else
			begin_status(c, true);
	} else if (span_equal(words[0], SPAN("reload-keys"))) {
		master_reload_keys(m);
		finish(c, SPAN(""), 0);
	} else if (span_equal(words[0], SPAN("stop"))) {
		finish(c, SPAN(""), 0);
		channel_flush(c->channel);
		master_stop(m);
	} else if (!m->store_commands) {
		finish(c, SPAN("the store is not running: see the log\n"), 69);
	} else {
		c->command = ++m->control->last_command;
		channel_send(m->store_commands, command, .id = c->command, .words = msg->words);
	}
}

static void on_client_gone(void *context, bool is_violation)
{
	(void)is_violation;
	struct client *c = context;
	channel_free(c->channel);
	c->channel = NULL;
	c->command = 0;
	c->answers_wanted = 0;
	memset(c->awaits, 0, sizeof c->awaits);
	buf_free(&c->text);
	if (!c->master->is_offline)
		return;
	for (size_t i = 0; i < CLIENTS_MOST; i++)
		if (c->master->control->clients[i].channel)
			return;
	master_stop(c->master);
}

static const struct cli_to_master client_handlers = {.request = on_request};

static void on_accept(void *context)
{
	struct master *m = context;
	int fd = accept4(m->control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (size_t i = 0; i < CLIENTS_MOST; i++) {
		struct client *c = &m->control->clients[i];
		if (c->channel)
			continue;
		c->master = m;
		struct channel_use use = {cli_to_master_dispatch, &client_handlers, c, on_client_gone, "command"};
		c->channel = channel_new(m->loop, fd, &use);
		return;
	}
	close(fd); /* more commands at once than anybody types */
}

static struct client *client_of(struct master *m, uint64_t command)
{
	for (size_t i = 0; command && i < CLIENTS_MOST; i++)
		if (m->control->clients[i].channel && m->control->clients[i].command == command)
			return &m->control->clients[i];
	return NULL;
}

static void on_command_output(void *context, const struct msg_command_output *msg)
{
	struct client *c = client_of(context, msg->id);
	if (c)
		channel_send(c->channel, output, .text = msg->text);
}

static void on_command_done(void *context, const struct msg_command_done *msg)
{
	struct client *c = client_of(context, msg->id);
	if (c)
		finish(c, SPAN(""), msg->code);
}

static void on_store_gone(void *context, bool is_violation)
{
	(void)is_violation;
	struct master *m = context;
	channel_free(m->store_commands);
	m->store_commands = NULL;
	homes_forget(m);
	for (size_t i = 0; i < CLIENTS_MOST; i++)
		if (m->control->clients[i].channel && m->control->clients[i].command)
			finish(&m->control->clients[i], SPAN("the store went away: look whether it was done, and try again\n"), 75);
}

static void on_home_ask(void *context, const struct msg_home_ask *msg)
{
	home_ask(context, msg);
}

static const struct store_to_master store_handlers = {.command_output = on_command_output, .command_done = on_command_done, .home_ask = on_home_ask};

void control_store_attached(struct master *m, int fd)
{
	struct channel_use use = {store_to_master_dispatch, &store_handlers, m, on_store_gone, "store"};
	channel_free(m->store_commands);
	homes_forget(m);
	m->store_commands = channel_new(m->loop, fd, &use);
}

void control_process_ready(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++)
		if (!m->processes[i].is_ready)
			return;
	if (m->control->is_announced)
		return;
	m->control->is_announced = true;
	local_start(m);
	sd_notify(0, "READY=1");
	log_event(LOG_LEVEL_INFO, "ready", log_c("hostname", m->hostname), log_n("pid", getpid()));
}

int control_open(struct master *m, struct error *why)
{
	struct control *control = m->control = xcalloc(1, sizeof *control);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (mkdir(m->config.run_dir, 0755) && errno != EEXIST)
		return error_set(why, errno, "cannot make %s: %s", m->config.run_dir, strerror(errno));
	int n = snprintf(control->path, sizeof control->path, "%s/control", m->config.run_dir);
	if (n < 0 || (size_t)n >= sizeof at.sun_path)
		return error_set(why, 0, "run_dir is too long for a socket's name: %s", m->config.run_dir);
	strcpy(at.sun_path, control->path);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return error_set(why, errno, "cannot make a socket: %s", strerror(errno));
	if (connect(control->fd, (struct sockaddr *)&at, sizeof at) == 0)
		return error_set(why, EADDRINUSE, "carteiro runs already with this configuration (%s answers)", control->path);
	close(control->fd);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(control->path);
	mode_t mask = umask(0177); /* only who runs carteiro may command it */
	int bad = bind(control->fd, (struct sockaddr *)&at, sizeof at);
	umask(mask);
	if (bad || listen(control->fd, 16))
		return error_set(why, errno, "cannot listen on %s: %s", control->path, strerror(errno));
	control->accepting = watch_new(m->loop, control->fd, false, on_accept, m);
	watch_on(control->accepting);
	return 0;
}

void control_close(struct master *m)
{
	watch_free(m->control->accepting);
	close(m->control->fd);
	unlink(m->control->path);
}
