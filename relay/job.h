/* A job: one message for the recipients at one next hop. */
#ifndef RELAY_JOB_H
#define RELAY_JOB_H

#include "relay/process.h"
#include "relay/reply.h"
#include "relay/target.h"
#include "wire/mime.h"

struct recipient {
	uint32_t index;        /* store's */
	struct span address;
	uint8_t notify;        /* bits of enum smtp_notify */
	struct span orcpt;     /* as the sender gave it; empty: not */
	bool is_decided;       /* its job_result is sent */
	const struct verdict *known; /* kept, since store may die before it has written it; NULL: none */
	bool is_accepted;      /* by the server of the session at hand */
};

/*   collecting  -- job_start --> asking, trying on a connection that is still open, or waiting
 *   waiting     for a former job (relay/former.h) that has sent the same message -- its answer --> asking, trying, or told
 *   asking      -- mx_host for each host, mx_answer --> trying, or told
 *   trying      -- one session after another --> told
 *   told        every recipient has its result -- job_settled: store has written them --> ended
 *   ended       freed at the end of the turn */
enum job_state { JOB_COLLECTING, JOB_WAITING, JOB_ASKING, JOB_TRYING, JOB_TOLD, JOB_ENDED };

struct job {
	struct relay_process *relay;
	enum job_state state;
	uint64_t number;
	struct id128 delivery;
	struct arena arena;         /* all that lives as long as the job */
	struct span reverse_path;   /* empty: the null reverse-path */
	char next_hop[256];
	enum route route;           /* ROUTE_RELAY_HOST: it may want a login */
	enum route_tls tls;
	char hop_host[256];         /* the next hop without its port, with A-labels */
	uint16_t port;
	bool is_port_named;         /* by an administrator, who may mean a server on this machine */
	bool is_lmtp;               /* RFC 2033 */
	uint64_t size;
	unsigned facts;             /* enum message_facts */
	int priority;               /* RFC 6710 */
	uint8_t ret;                /* enum smtp_ret */
	struct span envid;          /* as the sender gave it; empty: not */
	struct recipient *recipients;
	size_t recipient_count, recipient_room, undecided;
	uint64_t question;          /* that it waits for; 0: none */
	struct target_list targets;     /* those of the question at hand, or of the last one */
	size_t target_at;
	const struct target *first, *second; /* that are, or were, tried together; NULL: none are */
	const struct target *spare;     /* of these, the one that was not heard, as the other one was quicker and then failed; NULL: none */
	unsigned tries, refused_addresses;
	struct session *session;
	struct timer *deadline;
	int64_t deadline_ms;        /* monotonic */
	struct span policy;         /* the MTA-STS policy of the domain, for reports (relay/tls_report.h); empty: none is known */
	char last_failure[REPLY_TEXT_MOST + 1];
	bool was_unsafe;            /* the last failure was: RFC 3463 §3.8, X.7.5 */
	bool lacks_requiretls;      /* a server does not offer it */
	/* the structure, where it must be converted: found by reading the message */
	const struct mime_tree *tree;
	struct mime_parser *parser;
	struct later release;
	/* of a former job (relay/former.h) */
	struct job *next_former;
	bool is_former, is_out;
};

/* What a recipient's try came to. */
struct verdict {
	enum relay_outcome outcome;
	unsigned code;        /* of the server's reply; 0 if there was none */
	const char *status;   /* RFC 3463 */
	const char *text;     /* valid UTF-8 */
	const char *host;     /* that said it; NULL: that of the session at hand, if there is one */
	bool has_dsn;         /* it took the message with what was asked about reports (RFC 3461) */
};

enum session_failure {
	FAILURE_HOST,   /* the next address */
	FAILURE_UNSAFE, /* the next address: this one does not prove what it must */
	FAILURE_TLS,    /* the same address once more, without TLS (RFC 7435 §3) */
	FAILURE_STALE,  /* a connection that was kept open has gone: as if there had been none */
};

/* What store says; false: it must not say that. */
bool job_new(struct relay_process *p, const struct msg_job *m);
bool job_add_recipient(struct relay_process *p, const struct msg_job_rcpt *m);
bool job_start(struct relay_process *p, const struct msg_job_start *m);
void job_piece(struct relay_process *p, const struct msg_job_piece *m);
bool job_settled(struct relay_process *p, const struct msg_job_settled *m);
/* What resolve says. */
bool job_host(struct relay_process *p, const struct msg_mx_host *m);
bool job_hosts(struct relay_process *p, const struct msg_mx_answer *m);
void job_policy(struct relay_process *p, const struct msg_mx_policy *m);
void job_fault(struct relay_process *p, const struct msg_mx_fault *m);
/* Asks a new resolve what the one before did not answer. */
void jobs_ask_again(struct relay_process *p);

/* What a session says. */
void job_decide(struct job *j, struct recipient *r, const struct verdict *v);
void job_decide_rest(struct job *j, const struct verdict *v);
void job_session_failed(struct job *j, enum session_failure failure, const char *text);
/* The session is done with the message; every recipient is decided. */
void job_session_done(struct job *j);
/* The body is on its way: the deadline is now that of a transfer of this size. */
void job_allow_transfer(struct job *j);

/* What former jobs say. */
/* Takes over what is known about a recipient, and tells store. */
void job_know(struct job *j, struct recipient *r, const struct verdict *v);
/* What it waited for has happened. */
void job_go_on(struct job *j);

/* Of the envelope's sender; empty: the null reverse-path. */
struct span job_sender_domain(const struct job *j);

/* Ends its question and its session. */
void job_stop(struct job *j);
/* Forgets the job without a word to store. */
void job_drop(struct job *j);

#endif
