#include "pipe/run.h"

#include "base/buf.h"
#include "base/die.h"
#include "wire/address.h"
#include "wire/program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

enum { VARIABLES_MOST = 10 };

void run_prepare(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || syscall(SYS_capget, &header, data))
		die("pipe: cannot give up what its programs must not have: %s", strerror(errno));
	data[0].inheritable = data[1].inheritable = 0;
	if (syscall(SYS_capset, &header, data))
		die("pipe: cannot give up what its programs must not have: %s", strerror(errno));
}

/* ---- in the new process ---- */

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (write(STDERR_FILENO, text, (size_t)(length < (int)sizeof text ? length : (int)sizeof text - 1)) < 0)
		_exit(EX_TEMPFAIL);
	_exit(EX_TEMPFAIL);
}

/* The rights to change users stay with a process that goes from one plain user to another (capabilities(7)), so they are given up. */
static void become(const struct passwd *user)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};
	if (user->pw_uid == 0 || user->pw_gid == 0)
		fail("programs do not run as root");
	if (user->pw_uid == geteuid())
		fail("programs do not run as the server's own user, and as others only where the server is started by root");
	if (initgroups(user->pw_name, user->pw_gid) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) || syscall(SYS_capset, &header, none))
		fail("cannot become user %s: %s", user->pw_name, strerror(errno));
}

/* As Postfix's command_expansion_filter: whatever could mean something to a shell, in which scripts use these, is replaced. */
static char *filtered(const char *name, struct span value)
{
	static const struct span safe = SPAN("1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	char *out = xcalloc(1, strlen(name) + value.len + 2);
	size_t at = (size_t)sprintf(out, "%s=", name);
	for (size_t i = 0; i < value.len; i++)
		out[at++] = value.ptr[i] && span_chr(safe, value.ptr[i]) >= 0 ? value.ptr[i] : '_';
	return out;
}

static char *plain(const char *name, const char *value)
{
	BUF_AUTO out = {0};
	buf_printf(&out, "%s=%s", name, value);
	return span_strdup(buf_span(&out));
}

static void fill_environment(const struct run *r, const struct passwd *user, char **out)
{
	ssize_t at = span_rchr(r->recipient, '@');
	struct span local = span_slice(r->recipient, 0, at < 0 ? r->recipient.len : (size_t)at), base = local, detail = SPAN("");
	for (const char *c = r->config->recipient_delimiter; *c && !detail.len; c++)
		if (!address_split_detail(local, *c, &base, &detail))
			detail = SPAN("");
	*out++ = plain("PATH", "/usr/local/bin:/usr/bin:/bin");
	*out++ = plain("HOME", user->pw_dir);
	*out++ = plain("USER", user->pw_name);
	*out++ = plain("LOGNAME", user->pw_name);
	*out++ = filtered("SENDER", r->sender);
	*out++ = filtered("RECIPIENT", r->recipient);
	*out++ = filtered("EXTENSION", detail);
	*out++ = filtered("DOMAIN", at < 0 ? SPAN("") : span_skip(r->recipient, (size_t)at + 1));
	*out = NULL;
}

/* Whoever may write to it would be all the users who use it. */
static void check_program(const char *path)
{
	struct stat status;
	if (stat(path, &status))
		fail("cannot run %s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_mode & S_IWOTH)
		fail("%s is no program, or everybody may write to it", path);
}

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) be_program(const struct run *r, char *const *argv, int input, int output, pid_t parent)
{
	char name[40], *environment[VARIABLES_MOST];
	const struct rlimit no_core = {0};
	setsid();
	if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
		_exit(EX_TEMPFAIL);
	close_range(3, ~0U, 0);
	reset_signals();
	setrlimit(RLIMIT_CORE, &no_core);
	struct span chosen = r->user.len ? r->user : span_cstr(r->config->pipe_user);
	snprintf(name, sizeof name, "%.*s", SPAN_ARG(chosen));
	const struct passwd *user = getpwnam(name);
	if (!user)
		fail("there is no user %s, as whom it would run", name);
	fill_environment(r, user, environment);
	become(user);
	umask(077);
	if ((!r->user.len || chdir(user->pw_dir)) && chdir("/"))
		fail("cannot go to /: %s", strerror(errno));
	/* changing the user takes the wish back, so it comes after: a program whose end nobody would hear of ends with us */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_TEMPFAIL);
	check_program(argv[0]);
	execve(argv[0], argv, environment);
	fail("cannot run %s: %s", argv[0], strerror(errno));
}

/* ---- in pipe ---- */

pid_t run_program(const struct run *r, int input, int *output, struct error *why)
{
	ARENA_AUTO a = {0};
	struct span *words;
	int pair[2];
	char *argv[PROGRAM_WORDS_MOST + 1] = {0};
	ssize_t count = program_words(r->command, &a, &words, why);
	if (count < 0)
		return -1;
	if (!program_is_allowed(r->config->pipes, words[0]))
		return error_set(why, 0, "the setting pipes does not have the program %.*s", SPAN_ARG(span_slice(words[0], 0, 100)));
	for (ssize_t i = 0; i < count; i++)
		argv[i] = (char *)words[i].ptr;
	if (pipe2(pair, O_CLOEXEC))
		return error_set(why, errno, "no pipe for its output: %s", strerror(errno));
	pid_t self = getpid(), pid = fork();
	if (pid == 0)
		be_program(r, argv, input, pair[1], self);
	int fault = errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return error_set(why, fault, "no process for it: %s", strerror(fault));
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*output = pair[0];
	return pid;
}
