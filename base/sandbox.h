/* The sandbox of a process: no new privileges, no file system (Landlock), and only the system calls that its job needs
 * (seccomp). Closed once, after everything has been opened that is opened late otherwise (base/tls.h, ICU). */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

enum sandbox_profile {
	SANDBOX_COMPUTE, /* reads and writes what it holds: filter */
	SANDBOX_SERVE,   /* and accepts connections on listeners that it was given: edge */
};

/* From here on a forbidden system call ends the process (in sanitizer builds it fails with EPERM, so that the sanitizer can
 * still report); files are out of reach by both layers. A kernel without Landlock is logged and served with seccomp alone;
 * one without seccomp ends the process. */
void sandbox_enclose(enum sandbox_profile profile);

#endif
