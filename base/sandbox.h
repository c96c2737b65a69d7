/* The sandbox of a process: no new privileges, no files but those of its job (Landlock), no system calls but those of its
 * job (seccomp). Closed once, after everything has been opened that is opened late otherwise (base/tls.h, ICU).
 *
 * edge and filter, which read what strangers wrote, have a list of what is allowed, and end with anything else. The others
 * stand on large libraries, whose calls nobody can list for all days to come: they have a list of what is forbidden (other
 * programs, other processes, the kernel's levers, and the network where that is not their job), which fails with EPERM. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stdbool.h>

enum sandbox_profile {
	SANDBOX_COMPUTE, /* reads and writes what it holds: filter */
	SANDBOX_SERVE,   /* and accepts connections on listeners that it was given: edge */
	SANDBOX_KEEP,    /* changes files below its paths; no network: store */
	SANDBOX_GUARD,   /* reads files below its paths, if it has any; no network: vault */
	SANDBOX_CALL,    /* reads its paths, connects and sends, listens to nobody: relay, resolve */
	SANDBOX_RUN,     /* runs other programs, which keep all of this: any file, no kernel's lever, never as root: pipe */
};

/* `paths`: files and folders, up to a NULL; those that are not there are passed over. NULL: none.
 * From here on a forbidden system call of the first two ends the process (in sanitizer builds it fails with EPERM, so that
 * the sanitizer can still report). A kernel without Landlock is logged and served with seccomp alone; one without seccomp
 * ends the process. */
void sandbox_enclose(enum sandbox_profile profile, const char *const *paths);
/* False if a file is there and could be read, were it not for the sandbox. */
bool sandbox_reaches(const char *path);

#endif
