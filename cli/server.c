/* Talking to the running server over its control socket, or to one that is started for the purpose. */
#include "base/die.h"
#include "base/loop.h"
#include "cli/cli.h"
#include "ipc/channel.h"
#include "ipc/words.h"
#include "master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_TRIES = 200, START_PAUSE_MS = 100, EXIT_UNAVAILABLE = 69, EXIT_LATER = 75 };

struct server {
	struct loop *loop;
	struct channel *channel;
	pid_t own;   /* the master that was started; 0: it ran already */
	int own_log; /* what it said */
	struct buf *said; /* takes what the command says; NULL: it is printed */
	int code;
	bool is_finished, is_gone;
};

static void on_output(void *context, const struct msg_output *m)
{
	struct server *s = context;
	if (s->said)
		buf_add(s->said, m->text);
	else
		fwrite(m->text.ptr, 1, m->text.len, stdout);
}

static void on_finished(void *context, const struct msg_finished *m)
{
	struct server *s = context;
	s->code = m->code;
	s->is_finished = true;
	loop_stop(s->loop);
}

static void on_gone(void *context, bool is_violation)
{
	(void)is_violation;
	struct server *s = context;
	s->is_gone = true;
	loop_stop(s->loop);
}

static const struct master_to_cli handlers = {.output = on_output, .finished = on_finished};

static int connect_to(const struct config *config)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/control", config->run_dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || n < 0 || (size_t)n >= sizeof at.sun_path)
		return -1;
	if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	int code = errno;
	close(fd);
	errno = code;
	return -1;
}

/* A master without listeners, in a process of its own; what it logs is shown only if it does not come up. */
static void start_own(struct server *s, const char *config_file)
{
	s->own_log = memfd_create("log", MFD_CLOEXEC);
	fflush(NULL);
	s->own = fork();
	if (s->own == 0) {
		struct master_options options = {.config_file = config_file, .is_offline = true};
		setsid();
		dup2(s->own_log, STDERR_FILENO);
		_exit(master_run(&options));
	}
}

static void show_log(const struct server *s)
{
	char bytes[4096];
	ssize_t n;
	lseek(s->own_log, 0, SEEK_SET);
	while ((n = read(s->own_log, bytes, sizeof bytes)) > 0)
		fwrite(bytes, 1, (size_t)n, stderr);
}

static int wait_for_own(struct server *s, const struct config *config)
{
	for (int i = 0; i < START_TRIES; i++) {
		int fd = connect_to(config), status;
		if (fd >= 0)
			return fd;
		if (waitpid(s->own, &status, WNOHANG) == s->own) {
			s->own = 0;
			break;
		}
		nanosleep(&(struct timespec){.tv_nsec = START_PAUSE_MS * 1000000L}, NULL);
	}
	show_log(s);
	return -1;
}

struct server *server_connect(const char *config_file, bool may_start)
{
	struct config config;
	struct server *s = xcalloc(1, sizeof *s);
	if (cli_read_config(config_file, &config))
		goto failed;
	int fd = connect_to(&config);
	if (fd < 0 && errno == EACCES) {
		fprintf(stderr, "carteiro: you may not command this server: do it as the user who started it\n");
	} else if (fd < 0 && !may_start) {
		fprintf(stderr, "carteiro: no server runs with %s (%s/control does not answer): `carteiro run`\n", config_file, config.run_dir);
	} else if (fd < 0) {
		start_own(s, config_file);
		fd = wait_for_own(s, &config);
	}
	config_free(&config);
	if (fd < 0)
		goto failed;
	struct channel_use use = {master_to_cli_dispatch, &handlers, s, on_gone, "master"};
	s->loop = loop_new();
	s->channel = channel_new(s->loop, fd, &use);
	return s;
failed:
	free(s);
	return NULL;
}

int server_command(struct server *s, const struct span *words, size_t count)
{
	BUF_AUTO packed = {0};
	words_pack(&packed, words, count);
	if (packed.len > 65536) {
		fprintf(stderr, "carteiro: too many words\n");
		return 64;
	}
	s->is_finished = false;
	channel_send(s->channel, request, .words = buf_span(&packed));
	loop_rearm(s->loop);
	loop_run(s->loop);
	fflush(stdout);
	if (!s->is_finished) {
		fprintf(stderr, "carteiro: the server went away; look whether it was done\n");
		s->code = EXIT_UNAVAILABLE;
	}
	if ((s->code == EXIT_UNAVAILABLE || s->code == EXIT_LATER) && s->own_log)
		show_log(s);
	return s->code;
}

int server_ask(struct server *s, const struct span *words, size_t count, struct buf *said)
{
	s->said = said;
	int code = server_command(s, words, count);
	s->said = NULL;
	return code;
}

void server_close(struct server *s)
{
	int status;
	channel_free(s->channel);
	loop_free(s->loop);
	if (s->own) {
		waitpid(s->own, &status, 0); /* it has closed its store in order */
		close(s->own_log);
	}
	free(s);
}

int server_reload_keys(const char *config_file)
{
	struct config config;
	if (cli_read_config(config_file, &config))
		return 78;
	int fd = connect_to(&config);
	config_free(&config);
	if (fd < 0)
		return 0; /* nobody has read them yet */
	close(fd);
	struct server *s = server_connect(config_file, false);
	if (!s)
		return EXIT_UNAVAILABLE;
	int code = server_command(s, (const struct span[]){SPAN("reload-keys")}, 1);
	server_close(s);
	return code;
}

int cli_forward(const struct cli *c, bool may_start)
{
	struct span words[WORDS_MOST];
	if (c->count > WORDS_MOST)
		return 64;
	for (int i = 0; i < c->count; i++)
		words[i] = span_cstr(c->words[i]);
	struct server *s = server_connect(c->config_file, may_start);
	if (!s)
		return EXIT_UNAVAILABLE;
	int code = server_command(s, words, (size_t)c->count);
	server_close(s);
	return code;
}
