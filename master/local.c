#include "master/local.h"

#include "base/die.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, LOOK_MS = 60 * 1000 };

struct local {
	char submit_path[108], imap_path[108];
	struct timer *look;
};

/* Whoever may run a program may leave mail there, and nobody but its owner takes it away again (the sticky bit); names are not told. */
static int make_folder(struct master *m, struct error *why)
{
	const char *path = m->config.drop_dir;
	mode_t mode = geteuid() == 0 ? 01733 : 0700;
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(why, errno, "cannot make %s: %s", path, strerror(errno));
	if (chmod(path, mode))
		return error_set(why, errno, "cannot set the mode of %s: %s", path, strerror(errno));
	return 0;
}

/* -1 with *why. The mode of the socket says who may open it. */
static int listen_at(const struct master *m, const char *name, mode_t mask, char path[108], struct error *why)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(path, sizeof at.sun_path, "%s/%s", m->config.run_dir, name);
	if (n < 0 || (size_t)n >= sizeof at.sun_path) {
		path[0] = 0;
		return error_set(why, 0, "run_dir is too long for a socket's name: %s", m->config.run_dir);
	}
	strcpy(at.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path); /* of one that was killed: no other runs, control_open has seen to that */
	mode_t before = umask(mask);
	int bad = fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at);
	umask(before);
	if (bad || listen(fd, BACKLOG))
		return error_set(why, errno, "cannot listen on %s: %s", path, strerror(errno));
	return fd;
}

int local_open(struct master *m, struct error *why)
{
	struct local *l = m->local = xcalloc(1, sizeof *l);
	m->submit_fd = m->imap_fd = -1;
	if (m->is_offline)
		return 0;
	m->submit_fd = listen_at(m, "submit", 0111, l->submit_path, why);
	if (m->submit_fd < 0)
		return -1;
	m->imap_fd = listen_at(m, "imap", 0177, l->imap_path, why);
	return m->imap_fd < 0 ? -1 : make_folder(m, why);
}

static bool has_files(struct master *m)
{
	DIR *folder = opendir(m->config.drop_dir);
	struct dirent *one = NULL;
	while (folder && (one = readdir(folder)) && one->d_name[0] == '.')
		continue;
	if (folder)
		closedir(folder);
	return one != NULL;
}

/* In a process of its own, which hands over what lies there as any program would (cli/handover.c, handover_empty_drop): master reads none of it. */
static void on_look(void *context)
{
	extern char **environ;
	struct master *m = context;
	pid_t pid;
	char *words[] = {"carteiro", "-c", (char *)m->config_file, "drop", NULL};
	timer_set(m->local->look, LOOK_MS);
	if (has_files(m) && posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environ))
		log_event(LOG_LEVEL_ERROR, "drop-not-emptied", log_c("why", strerror(errno)));
}

void local_start(struct master *m)
{
	if (!m->is_offline && !m->local->look) {
		m->local->look = timer_new(m->loop, on_look, m);
		timer_set(m->local->look, 0);
	}
}

void local_close(struct master *m)
{
	timer_free(m->local->look);
	if (m->submit_fd >= 0)
		close(m->submit_fd);
	if (m->imap_fd >= 0)
		close(m->imap_fd);
	if (m->local->submit_path[0])
		unlink(m->local->submit_path);
	if (m->local->imap_path[0])
		unlink(m->local->imap_path);
}
