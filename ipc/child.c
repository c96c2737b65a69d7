/* The common life of the processes that master starts. */
#include "ipc/child.h"

#include "base/die.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct child {
	struct loop *loop;
	struct channel *master;
	const struct child_use *use;
	void *context;
	struct config *config;
	char hostname[256];
	char name[32];
	enum role role;
	unsigned index;
	uint32_t epoch;
	bool is_stopping;
};

static struct config *read_settings(struct span settings)
{
	/* master has checked it; what it cannot read now is a fault of this program */
	struct config *config = xcalloc(1, sizeof *config);
	struct config_errors errors;
	struct error why;
	if (config_parse(settings, "configuration", config, &errors) != 0)
		die("carteiro: %s", errors.at[0].text);
	if (config_complete(config, &why))
		die("carteiro: %s", why.text);
	return config;
}

static void set_log(struct child *c)
{
	log_open(c->name, c->config->log_level);
}

static void on_configure(void *context, const struct msg_configure *m)
{
	struct child *c = context;
	if (c->config)
		die("carteiro: configured twice");
	c->config = read_settings(m->settings);
	c->epoch = m->epoch;
	snprintf(c->hostname, sizeof c->hostname, "%.*s", SPAN_ARG(m->hostname));
	set_log(c);
	channel_set_epoch(c->master, m->epoch);
	if (c->use->configure)
		c->use->configure(c->context, c->config);
	if (c->use->enclose)
		c->use->enclose(c->context);
}

static void on_attach(void *context, const struct msg_attach *m)
{
	struct child *c = context;
	int fd = channel_take_fd(c->master);
	if (fd < 0 || !c->use->attach)
		die("carteiro: a channel to %s that this process does not have", role_name(m->role));
	c->use->attach(c->context, m->role, m->index, fd);
}

static void on_key_file(void *context, const struct msg_key_file *m)
{
	struct child *c = context;
	int fd = m->fault ? -1 : channel_take_fd(c->master);
	if (!c->use->key_file)
		die("carteiro: a key that this process does not have");
	c->use->key_file(c->context, (enum key_file)m->which, fd, fd < 0 && !m->fault ? EBADF : (int)m->fault);
}

static void on_listen(void *context, const struct msg_listen *m)
{
	struct child *c = context;
	int fd = channel_take_fd(c->master);
	if (fd < 0 || !c->use->listen)
		die("carteiro: a listener that this process does not have");
	c->use->listen(c->context, m->protocol, m->is_tls, fd);
}

static void on_start(void *context, const struct msg_start *m)
{
	(void)m;
	struct child *c = context;
	if (c->use->start)
		c->use->start(c->context);
	channel_send(c->master, ready, .epoch = c->epoch);
}

static void on_drain(void *context, const struct msg_drain *m)
{
	(void)m;
	struct child *c = context;
	if (c->use->drain)
		c->use->drain(c->context);
}

static void stop(struct child *c)
{
	if (c->is_stopping)
		return;
	c->is_stopping = true;
	if (c->use->stop)
		c->use->stop(c->context);
	if (!c->use->stop_is_slow)
		loop_stop(c->loop);
}

static void on_stop(void *context, const struct msg_stop *m)
{
	(void)m;
	stop(context);
}

static void on_reload(void *context, const struct msg_reload *m)
{
	struct child *c = context;
	struct config *old = c->config;
	c->config = read_settings(m->settings);
	c->epoch = m->epoch;
	set_log(c);
	channel_set_epoch(c->master, m->epoch);
	if (c->use->reload)
		c->use->reload(c->context, c->config);
	if (old) {
		config_free(old);
		free(old);
	}
	channel_send(c->master, ready, .epoch = c->epoch);
}

static void on_status_ask(void *context, const struct msg_status_ask *m)
{
	(void)m;
	struct child *c = context;
	BUF_AUTO text = {0};
	if (c->use->status)
		c->use->status(c->context, &text);
	channel_send(c->master, status_answer, .text = span_slice(buf_span(&text), 0, 4096));
}

/* A process without master has nobody to restart it or tell it to stop: it ends. */
static void on_master_gone(void *context, bool is_violation)
{
	(void)is_violation;
	stop(context);
}

static const struct master_to_child handlers = {
	.configure = on_configure, .attach = on_attach, .key_file = on_key_file, .listen = on_listen, .start = on_start, .drain = on_drain,
	.stop = on_stop, .reload = on_reload, .status_ask = on_status_ask,
};

int child_run(enum role role, unsigned index, int control, const struct child_use *use, void *context, struct child **self)
{
	struct child *c = xcalloc(1, sizeof *c);
	*c = (struct child){.loop = loop_new(), .use = use, .context = context, .role = role, .index = index};
	*self = c;
	snprintf(c->name, sizeof c->name, "%s", role_name(role));
	log_open(c->name, LOG_LEVEL_INFO);
	pthread_setname_np(pthread_self(), "carteiro"); /* it was started as /proc/self/exe, and ps would say "exe" */
	signal(SIGPIPE, SIG_IGN);
	/* Ctrl-C reaches the whole process group: only master obeys it, and then stops the others in order */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	struct channel_use channel = {master_to_child_dispatch, &handlers, c, on_master_gone, "master"};
	c->master = channel_new(c->loop, control, &channel);
	loop_run(c->loop);
	channel_flush(c->master);
	return 0;
}

struct loop *child_loop(struct child *c)
{
	return c->loop;
}

const struct config *child_config(const struct child *c)
{
	return c->config;
}

const char *child_hostname(const struct child *c)
{
	return c->hostname;
}

unsigned child_index(const struct child *c)
{
	return c->index;
}

enum role child_role(const struct child *c)
{
	return c->role;
}

uint32_t child_epoch(const struct child *c)
{
	return c->epoch;
}

void child_report_violation(struct child *c, enum role role, unsigned index)
{
	channel_send(c->master, violated, .role = (uint8_t)role, .index = (uint8_t)index);
}

void child_stopped(struct child *c)
{
	loop_stop(c->loop);
}
