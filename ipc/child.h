/* What every process but master does alike: it is told its configuration, its channels and its listeners by master, says
 * that it is ready, reloads, drains and stops. */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include "base/loop.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "ipc/roles.h"
#include "ipc/terms.h"

struct child;

/* Each may be NULL where a process has nothing to do. */
struct child_use {
	/* a file with keys, opened by master; before configure and reload; owns fd, or -1 with an errno */
	void (*key_file)(void *context, enum key_file which, int fd, int fault);
	void (*configure)(void *context, const struct config *config); /* first; the sandbox is still open */
	void (*enclose)(void *context);                  /* close the sandbox */
	void (*attach)(void *context, enum role role, unsigned index, int fd); /* a channel to a peer; owns fd */
	void (*listen)(void *context, unsigned protocol, bool is_tls, int fd); /* a listening socket; owns fd */
	void (*start)(void *context);                    /* everything is handed over */
	void (*reload)(void *context, const struct config *config); /* the old one is freed afterwards */
	void (*drain)(void *context);
	void (*stop)(void *context);                     /* tidy up; loop_stop follows, unless stop_is_slow */
	void (*status)(void *context, struct buf *text); /* key=value words for `carteiro status` */
	bool stop_is_slow;                               /* the process calls child_stopped itself */
};

/* Runs the process on `control` (the channel to master) until it is stopped; returns its exit status. `context` is given
 * to every function of `use`. */
int child_run(enum role role, unsigned index, int control, const struct child_use *use, void *context, struct child **self);
struct loop *child_loop(struct child *c);
const struct config *child_config(const struct child *c);
const char *child_hostname(const struct child *c);
unsigned child_index(const struct child *c);
enum role child_role(const struct child *c);
uint32_t child_epoch(const struct child *c);
/* Tells master that the peer broke the protocol; master ends it. */
void child_report_violation(struct child *c, enum role role, unsigned index);
void child_stopped(struct child *c);

#endif
