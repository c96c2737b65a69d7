/* The processes of one instance as master sees them: their specification, their pids and their channels. */
#ifndef MASTER_PROCESS_H
#define MASTER_PROCESS_H

#include "base/loop.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "ipc/roles.h"

enum { PROCESSES_MOST = 64, LISTENERS_MOST = CONFIG_LISTENERS_MOST };

struct listener {
	int fd;
	struct config_listener at;
};

struct process {
	struct master *master;
	enum role role;
	unsigned index;
	pid_t pid;               /* 0: not running */
	struct channel *channel; /* NULL: gone */
	bool is_ready, is_draining;
	bool is_told_to_stop;
	int64_t started_ms;
	int64_t pause_ms;        /* before the next start; grows while it dies young */
	struct timer *restart;
	struct timer *drain_deadline; /* of one that drains: then its clients are sent away */
	unsigned restarts;
};

struct master {
	struct loop *loop;
	const char *config_file;
	struct buf settings;     /* the file's text, given to every child */
	struct config config;
	char hostname[256];
	uint32_t epoch;
	bool is_offline, is_stopping;
	struct process processes[PROCESSES_MOST];
	size_t process_count;
	struct process draining[PROCESSES_MOST]; /* edges of an earlier configuration */
	struct listener listeners[LISTENERS_MOST];
	size_t listener_count;
	struct timer *stop_deadline;
	struct channel *store_commands; /* to store; NULL while it is down */
	struct control *control;
	struct local *local;     /* master/local.c */
	struct home *homes;      /* master/home.c: questions about users of the machine */
	int submit_fd;           /* on which programs of this machine hand over mail; -1: none */
	int imap_fd;             /* on which commands that have a grant speak IMAP; -1: none */
	uid_t uid;               /* what children run as; 0 if master is not root */
	gid_t gid;
};

/* How many of earlier configurations still serve connections. */
size_t process_draining(const struct master *m);
/* Fills m->processes from the configuration. */
void process_plan(struct master *m);
/* Opens the files with secrets that the process is to have, and reads none of them: to be called before it is told a configuration. */
void process_give_keys(struct process *p);
void process_start_all(struct master *m);
/* Starts pipe if a reload has made it one that is needed. */
void process_start_pipe(struct master *m);
/* Starts one and joins it to every process that runs. */
void process_start(struct process *p);
/* Reaps what died; starts it again. */
void process_reap(struct master *m);
/* Tells those to stop whose turn it is: edges first, so that what they hand over is still taken; then relay, whose last
 * results store writes; then the rest. To be called again when one has ended. */
void process_stop_next(struct master *m);
/* Puts new edges beside the old ones, which take no new connection and end when their last one has gone. */
void process_replace_edges(struct master *m);
bool process_any(const struct master *m);

#endif
