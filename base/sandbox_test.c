/* The sandboxes of edge and filter hold: files, connections and programs are out of reach. */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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

static int try_ptrace_like(void)
{
	return kill(getppid(), 0);
}

/* In a child of its own: how it ends says whether the call got through. */
static int outcome(enum sandbox_profile profile, int (*attempt)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		sandbox_enclose(profile);
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
	int (*const attempts[])(void) = {try_open, try_create, try_stat, try_connect, try_exec, try_fork, try_ptrace_like};
	for (enum sandbox_profile profile = SANDBOX_COMPUTE; profile <= SANDBOX_SERVE; profile++)
		for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
			assert_int_equal(outcome(profile, attempts[i]), REFUSED);
}

static int do_its_work(void)
{
	char byte;
	return read(-1, &byte, 1) < 0 && errno == EBADF ? 0 : -1;
}

static void its_own_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(outcome(SANDBOX_COMPUTE, do_its_work), LET_THROUGH);
	assert_int_equal(outcome(SANDBOX_SERVE, do_its_work), LET_THROUGH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_outside_is_within_reach),
		cmocka_unit_test(its_own_work_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
