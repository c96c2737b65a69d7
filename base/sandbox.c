/* Landlock and seccomp. Facts about what the libraries call late are in docs/architecture.md, "Sandboxes". */
#include "base/sandbox.h"

#include "base/die.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
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

enum { READ_RIGHTS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };

static void allow_path(int ruleset, const char *path, uint64_t rights)
{
	struct stat status;
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
	if (rule.parent_fd < 0 || fstat(rule.parent_fd, &status)) {
		close(rule.parent_fd);
		return;
	}
	if (!S_ISDIR(status.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		die("sandbox: Landlock does not take a rule for %s: %s", path, strerror(errno));
	close(rule.parent_fd);
}

static void enclose_files(enum sandbox_profile profile, const char *const *paths)
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
	if (version >= 4 && profile != SANDBOX_CALL)
		rules.handled_net = NET_RIGHTS_V4;
	if (version >= 5)
		rules.handled_files |= FILE_RIGHTS_V5;
	if (version >= 6)
		rules.scoped = SCOPES_V6;
	size_t size = version >= 6 ? sizeof rules : version >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, handled_net);
	long fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	for (; fd >= 0 && paths && *paths; paths++)
		allow_path((int)fd, *paths, profile == SANDBOX_KEEP ? rules.handled_files & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE : READ_RIGHTS);
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
	SCMP_SYS(sched_yield), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(sysinfo), /* qsort, of more than a kilobyte */
};

static const int serve_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(shutdown), SCMP_SYS(ioctl),
};

/* Out of bounds for everybody: other programs and processes, the kernel's levers, and ways around this list. */
static const int outside_calls[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal), SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(setns), SCMP_SYS(unshare),
	SCMP_SYS(chroot), SCMP_SYS(pivot_root), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at),
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
};

/* The same for those who may run programs. */
static const int lever_calls[] = {
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(chroot), SCMP_SYS(pivot_root),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(bpf), SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff),
};

static const int network_calls[] = {SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind)};

static const int sanitizer_calls[] = {
	SCMP_SYS(sigaltstack), SCMP_SYS(prctl), SCMP_SYS(sched_getaffinity), SCMP_SYS(uname), SCMP_SYS(getuid), SCMP_SYS(getppid),
};

static void add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (seccomp_rule_add(filter, action, calls[i], 0))
			die("sandbox: seccomp does not take a rule");
}

#define ADD(filter, action, calls) add(filter, action, calls, sizeof calls / sizeof calls[0])

static scmp_filter_ctx listed_calls(enum sandbox_profile profile)
{
	scmp_filter_ctx filter = seccomp_init(IS_SANITIZED ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
	if (!filter)
		die("sandbox: no seccomp");
	ADD(filter, SCMP_ACT_ALLOW, compute_calls);
	if (profile == SANDBOX_SERVE)
		ADD(filter, SCMP_ACT_ALLOW, serve_calls);
	if (IS_SANITIZED)
		ADD(filter, SCMP_ACT_ALLOW, sanitizer_calls);
	return filter;
}

static scmp_filter_ctx all_calls_but(enum sandbox_profile profile)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		die("sandbox: no seccomp");
	ADD(filter, SCMP_ACT_ERRNO(EPERM), outside_calls);
	if (profile != SANDBOX_CALL)
		ADD(filter, SCMP_ACT_ERRNO(EPERM), network_calls);
	if (IS_SANITIZED)
		return filter; /* which stops its own threads by these to look for leaks */
	/* clone3 hides its flags from us, and glibc falls back to clone, which may make threads only */
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace), 0) ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)))
		die("sandbox: seccomp does not take a rule");
	return filter;
}

/* Nobody becomes root, by whatever number of the call's arguments. */
static scmp_filter_ctx calls_of_programs(void)
{
	static const struct { int call; unsigned arguments; } changes[] = {{SCMP_SYS(setuid), 1}, {SCMP_SYS(setgid), 1}, {SCMP_SYS(setreuid), 2}, {SCMP_SYS(setregid), 2},
	                                                                   {SCMP_SYS(setresuid), 3}, {SCMP_SYS(setresgid), 3}, {SCMP_SYS(setfsuid), 1}, {SCMP_SYS(setfsgid), 1}};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		die("sandbox: no seccomp");
	ADD(filter, SCMP_ACT_ERRNO(EPERM), lever_calls);
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
		for (unsigned argument = 0; argument < changes[i].arguments; argument++)
			if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), changes[i].call, 1, SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, 0xffffffff, 0)))
				die("sandbox: seccomp does not take a rule");
	return filter;
}

static void enclose_calls(enum sandbox_profile profile)
{
	scmp_filter_ctx filter = profile == SANDBOX_RUN ? calls_of_programs() : profile <= SANDBOX_SERVE ? listed_calls(profile) : all_calls_but(profile);
	if (seccomp_load(filter))
		die("sandbox: the kernel refuses the filter");
	seccomp_release(filter);
}

void sandbox_enclose(enum sandbox_profile profile, const char *const *paths)
{
	tzset(); /* which gmtime_r would do later, and read a file */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("sandbox: no_new_privs is refused: %s", strerror(errno));
	if (profile != SANDBOX_RUN)
		enclose_files(profile, paths);
	enclose_calls(profile);
}

/* access() tells whether a file is there and might be read; Landlock is asked only by opening it. */
bool sandbox_reaches(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || access(path, R_OK) != 0;
}
