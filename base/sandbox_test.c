/* The sandboxes hold: files, connections and programs are out of reach, but for those of a process's job. */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

#define KEPT "/tmp/carteiro-sandbox-kept"

enum { REFUSED = 40, LET_THROUGH = 41 };

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int try_create(void)
{
	return open("/tmp/carteiro-sandbox-test", O_WRONLY | O_CREAT, 0600);
}

static int try_stat(void)
{
	struct stat status;
	return stat("/etc/passwd", &status);
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int try_listen(void)
{
	return listen(socket(AF_INET, SOCK_STREAM, 0), 1);
}

static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int try_read_mail(void)
{
	return open(KEPT "/mail", O_RDONLY);
}

static int try_write_mail(void)
{
	return open(KEPT "/mail", O_WRONLY | O_CREAT, 0600);
}

static int try_connect(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	return connect(fd, (struct sockaddr *)&to, sizeof to) && (errno == EPERM || errno == EACCES) ? -1 : 0;
}

static int try_exec(void)
{
	char *const words[] = {"true", NULL};
	return execv("/bin/true", words);
}

static int try_fork(void)
{
	return fork();
}

static int try_kill(void)
{
	return kill(getppid(), 0);
}

static int try_to_be_root(void)
{
	return setuid(0);
}

static int try_to_be_root_somehow(void)
{
	return setresuid(1, (uid_t)-1, 0) == 0 || setregid((gid_t)-1, 0) == 0 || setresgid(0, 1, 1) == 0 || setreuid(0, 1) == 0 ? 0 : -1;
}

static int try_mount(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static int try_to_be_somebody(void)
{
	return geteuid() == 0 ? setresuid(65534, 65534, 65534) : 0;
}

static int try_program(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		try_exec();
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* In a child of its own: how it ends says whether the call got through. */
static int outcome(enum sandbox_profile profile, const char *const *paths, int (*attempt)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		sandbox_enclose(profile, paths);
		int result = attempt();
		_exit(result < 0 ? REFUSED : LET_THROUGH);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? REFUSED : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void nothing_outside_is_within_reach(void **state)
{
	(void)state;
	int (*const attempts[])(void) = {try_open, try_create, try_stat, try_connect, try_exec, try_fork, try_kill};
	for (enum sandbox_profile profile = SANDBOX_COMPUTE; profile <= SANDBOX_SERVE; profile++)
		for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
			assert_int_equal(outcome(profile, NULL, attempts[i]), REFUSED);
}

static int by_byte(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

/* The first time that libc does some of these, it asks the kernel something. */
static int use_libc(void)
{
	enum { MANY = 1 << 20 };
	char text[100], *bytes = calloc(1, MANY);
	time_t now = time(NULL);
	struct tm t;
	if (!bytes)
		return -1;
	qsort(bytes, MANY, 1, by_byte);
	free(bytes);
	free(malloc(8 * MANY));
	gmtime_r(&now, &t);
	snprintf(text, sizeof text, "%s %f %d", strerror(EBADF), 1.5, t.tm_year);
	return strtol(text, NULL, 10) == 0 && strtod("1.5", NULL) > 1 ? 0 : -1;
}

static int do_its_work(void)
{
	char byte;
	return read(-1, &byte, 1) < 0 && errno == EBADF ? use_libc() : -1;
}

static void its_own_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(outcome(SANDBOX_COMPUTE, NULL, do_its_work), LET_THROUGH);
	assert_int_equal(outcome(SANDBOX_SERVE, NULL, do_its_work), LET_THROUGH);
}

/* store, vault, relay and resolve: what each may is let through, and what its neighbour may is not. */
static void each_of_the_others_has_its_own(void **state)
{
	(void)state;
	static const char *const kept[] = {KEPT, "/no/such/folder", NULL};
	static const struct { int (*attempt)(void); bool keep, guard, call; } cases[] = {
		{try_read_mail, true, true, false}, {try_write_mail, true, false, false}, {try_open, false, false, false},
		{try_create, false, false, false}, {try_socket, false, false, true}, {try_listen, false, false, false},
		{try_exec, false, false, false}, {try_kill, false, false, false}, {do_its_work, true, true, true}};
	mkdir(KEPT, 0700);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(outcome(SANDBOX_KEEP, kept, try_write_mail), LET_THROUGH); /* so that it is there */
		assert_int_equal(outcome(SANDBOX_KEEP, kept, cases[i].attempt), cases[i].keep ? LET_THROUGH : REFUSED);
		assert_int_equal(outcome(SANDBOX_GUARD, kept, cases[i].attempt), cases[i].guard ? LET_THROUGH : REFUSED);
		assert_int_equal(outcome(SANDBOX_CALL, NULL, cases[i].attempt), cases[i].call ? LET_THROUGH : REFUSED);
	}
	unlink(KEPT "/mail");
	rmdir(KEPT);
}

/* Sanitizers need both: so these are for the builds that people run. */
static void nobody_makes_or_reads_processes(void **state)
{
	(void)state;
	for (enum sandbox_profile profile = SANDBOX_KEEP; !IS_SANITIZED && profile <= SANDBOX_CALL; profile++) {
		assert_int_equal(outcome(profile, NULL, try_fork), REFUSED);
		assert_int_equal(outcome(profile, NULL, try_ptrace), REFUSED);
	}
}

/* It runs as root here, as which pipe never runs: what seccomp says counts all the more. */
static void programs_run_but_nobody_becomes_root(void **state)
{
	(void)state;
	int (*const refused[])(void) = {try_to_be_root, try_to_be_root_somehow, try_mount};
	int (*const done[])(void) = {try_to_be_somebody, try_program, try_open, try_socket};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_int_equal(outcome(SANDBOX_RUN, NULL, refused[i]), REFUSED);
	for (size_t i = 0; i < sizeof done / sizeof done[0]; i++)
		assert_int_equal(outcome(SANDBOX_RUN, NULL, done[i]), LET_THROUGH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_outside_is_within_reach),
		cmocka_unit_test(programs_run_but_nobody_becomes_root),
		cmocka_unit_test(its_own_work_goes_on),
		cmocka_unit_test(each_of_the_others_has_its_own),
		cmocka_unit_test(nobody_makes_or_reads_processes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
