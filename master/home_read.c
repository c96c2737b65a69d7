/* What is safe to obey: a regular file, the user's own or root's, that nobody else may write, in a home of which the same is true. */
#include "master/home_read.h"

#include "ipc/terms.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	USER_ID_LEAST = 1000, /* below are the system's own (Debian policy 9.2.2): their homes are no people's */
	USER_ID_NOBODY = 65534,
};

static void __attribute__((format(printf, 3, 4))) say(struct buf *answer, enum home_outcome outcome, const char *format, ...)
{
	char text[HOME_TEXT_BYTES_MOST + 1];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
	buf_clear(answer);
	buf_add_char(answer, (char)outcome);
	buf_add_cstr(answer, text);
	buf_add_char(answer, '\0');
}

/* What may go away by itself is no reason to pass a file over. */
static void say_fault(struct buf *answer, const char *path, int fault)
{
	if (fault == ENOENT || fault == ENOTDIR)
		say(answer, HOME_USER, "%s", path);
	else if (fault == ELOOP)
		say(answer, HOME_UNSAFE, "%s is a symbolic link", path);
	else if (fault == EACCES || fault == EPERM || fault == ENXIO || fault == ENAMETOOLONG)
		say(answer, HOME_UNSAFE, "%s cannot be read: %s", path, strerror(fault));
	else
		say(answer, HOME_LATER, "%s cannot be read: %s", path, strerror(fault));
}

/* What is wrong with whose it is, or NULL. */
static const char *fault_of(const struct stat *s, uid_t user)
{
	if (s->st_uid != user && s->st_uid != 0)
		return "belongs to somebody else";
	return s->st_mode & (S_IWGRP | S_IWOTH) ? "may be written by others than its owner" : NULL;
}

static void read_file(int fd, const char *path, struct buf *answer)
{
	say(answer, HOME_FORWARD, "%s", path);
	size_t start = answer->len;
	ssize_t n;
	while ((n = read(fd, buf_reserve(answer, 4096), 4096)) > 0 && answer->len - start <= HOME_FORWARD_BYTES_MOST)
		answer->len += (size_t)n;
	if (n < 0)
		say(answer, HOME_LATER, "%s cannot be read: %s", path, strerror(errno));
	else if (answer->len - start > HOME_FORWARD_BYTES_MOST)
		say(answer, HOME_UNSAFE, "%s has more than %d bytes", path, HOME_FORWARD_BYTES_MOST);
}

static void look_at_home(const struct passwd *user, struct buf *answer)
{
	char path[4096];
	struct stat status;
	const char *fault;
	snprintf(path, sizeof path, "%s/.forward", user->pw_dir);
	int home = open(user->pw_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (home < 0 || fstat(home, &status)) {
		say_fault(answer, path, errno);
		return;
	}
	fault = fault_of(&status, user->pw_uid);
	/* a FIFO or a device in the file's place is not waited for */
	int fd = openat(home, ".forward", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status)) {
		say_fault(answer, path, errno);
		return;
	}
	if (fault)
		say(answer, HOME_UNSAFE, "%s: the home directory %s", path, fault);
	else if (!S_ISREG(status.st_mode))
		say(answer, HOME_UNSAFE, "%s is no regular file", path);
	else if ((fault = fault_of(&status, user->pw_uid)))
		say(answer, HOME_UNSAFE, "%s %s", path, fault);
	else
		read_file(fd, path, answer);
}

/* So that the kernel, or an NFS server, says what he may read. */
static int become(const struct passwd *user)
{
	if (geteuid() != 0)
		return 0;
	return initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid) ? -1 : 0;
}

void home_read(const char *name, struct buf *answer)
{
	errno = 0;
	const struct passwd *user = getpwnam(name);
	bool is_absent = !user && (errno == 0 || errno == ENOENT || errno == ESRCH);
	if (is_absent || (user && user->pw_uid != 0 && (user->pw_uid < USER_ID_LEAST || user->pw_uid == USER_ID_NOBODY)))
		say(answer, HOME_NONE, "no user of this machine");
	else if (!user)
		say(answer, HOME_LATER, "the system's users cannot be looked up: %s", strerror(errno));
	else if (become(user))
		say(answer, HOME_LATER, "cannot become user %s: %s", name, strerror(errno));
	else
		look_at_home(user, answer);
}
