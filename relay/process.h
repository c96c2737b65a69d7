/* What the parts of relay share; relay/relay.c is where to read first. */
#ifndef RELAY_PROCESS_H
#define RELAY_PROCESS_H

#include "base/map.h"
#include "ipc/child.h"
#include "ipc/key_file.h"
#include "ipc/terms.h"

#include <sys/socket.h>

struct job;
struct session;

/* What relay_host, or another next hop, wants to hear. */
struct relay_login {
	struct buf next_hop; /* empty: relay_host's */
	struct buf name, password;
};

enum { RELAY_LOGINS_MOST = 1000 };

struct relay_process {
	struct child *self;
	struct loop *loop;
	struct channel *store, *resolve;  /* NULL while there is none */
	struct ssl_ctx_st *tls;
	struct key_file_taken login_file; /* relay_host_login, as master has opened it */
	struct relay_login *logins;       /* what is in it */
	size_t login_count;
	bool is_login_unread;             /* the file is named and cannot be read */
	struct map jobs;                  /* by store's number; whoever gave them is there: `store` is not NULL */
	struct map questions;             /* jobs that wait for an mx_answer, by its id */
	uint64_t last_question;
	uint32_t open_slots;              /* jobs that store may still send */
	struct job *formers;              /* of a store that has died, the oldest first: relay/former.h */
	size_t former_count, formers_out; /* of them: whose message is out, the answer still to come */
	struct session *sessions;         /* all connections */
	size_t session_count;
	struct sockaddr_storage bind_to;  /* smtp_out_address; ss_family AF_UNSPEC if there is none */
	struct timer *stop_deadline;
	uint64_t delivered_count, later_count, failed_count;
	bool is_stopping;
};

/* Tells store how many more jobs there is room for, if there is. */
void relay_offer_slots(struct relay_process *p);
/* A job has ended: while stopping, the last one ends the process. */
void relay_job_ended(struct relay_process *p);

#endif
