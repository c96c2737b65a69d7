/* Landlock and seccomp. Facts about what the libraries call late are in docs/architecture.md, "Sandboxes". */
#include "base/sandbox.h"

#include "base/die.h"
#include "base/log.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* Rights by the version of Landlock that knows them first; newer ones than Debian 12's header names, by their bits. */
enum {
	FILE_RIGHTS_V1 = (1 << 13) - 1,
	FILE_RIGHTS_V2 = 1 << 13, /* REFER */
	FILE_RIGHTS_V3 = 1 << 14, /* TRUNCATE */
	FILE_RIGHTS_V5 = 1 << 15, /* IOCTL_DEV */
	NET_RIGHTS_V4 = 3,        /* TCP bind and connect */
	SCOPES_V6 = 3,            /* abstract sockets and signals of others */
};

struct ruleset {
	uint64_t handled_files, handled_net, scoped;
};

static void enclose_files(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1) {
		log_event(LOG_LEVEL_WARNING, "no-landlock", log_c("why", strerror(errno)), log_c("then", "seccomp alone guards files"));
		return;
	}
	struct ruleset rules = {.handled_files = FILE_RIGHTS_V1};
	if (version >= 2)
		rules.handled_files |= FILE_RIGHTS_V2;
	if (version >= 3)
		rules.handled_files |= FILE_RIGHTS_V3;
	if (version >= 4)
		rules.handled_net = NET_RIGHTS_V4;
	if (version >= 5)
		rules.handled_files |= FILE_RIGHTS_V5;
	if (version >= 6)
		rules.scoped = SCOPES_V6;
	size_t size = version >= 6 ? sizeof rules : version >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, handled_net);
	long fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0))
		die("sandbox: Landlock refuses: %s", strerror(errno));
	close((int)fd);
}

/* What every process calls once it is up: memory, waiting, clocks, its channels, its log, its end. */
static const int compute_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mprotect),
	SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(tgkill), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static const int serve_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(shutdown), SCMP_SYS(ioctl),
};

static const int sanitizer_calls[] = {
	SCMP_SYS(sigaltstack), SCMP_SYS(prctl), SCMP_SYS(sched_getaffinity), SCMP_SYS(uname), SCMP_SYS(getuid), SCMP_SYS(getppid),
};

static void allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0))
			die("sandbox: seccomp does not take a rule");
}

#define ALLOW(filter, calls) allow(filter, calls, sizeof calls / sizeof calls[0])

static void enclose_calls(enum sandbox_profile profile)
{
	scmp_filter_ctx filter = seccomp_init(IS_SANITIZED ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
	if (!filter)
		die("sandbox: no seccomp");
	ALLOW(filter, compute_calls);
	if (profile == SANDBOX_SERVE)
		ALLOW(filter, serve_calls);
	if (IS_SANITIZED)
		ALLOW(filter, sanitizer_calls);
	if (seccomp_load(filter))
		die("sandbox: the kernel refuses the filter");
	seccomp_release(filter);
}

void sandbox_enclose(enum sandbox_profile profile)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("sandbox: no_new_privs is refused: %s", strerror(errno));
	enclose_files();
	enclose_calls(profile);
}
