/* One connection to a server, RFC 5321 as a client. See the table in session.c. */
#ifndef RELAY_SESSION_H
#define RELAY_SESSION_H

#include "base/stream.h"
#include "relay/job.h"
#include "relay/reply.h"
#include "relay/transfer.h"

#include <arpa/inet.h>

enum session_state {
	SESSION_CONNECTING,
	SESSION_GREETING,
	SESSION_EHLO,
	SESSION_HELO,
	SESSION_STARTTLS,
	SESSION_HANDSHAKE,
	SESSION_AUTH,
	SESSION_PARSING,
	SESSION_RSET,
	SESSION_MAIL,
	SESSION_RCPT,
	SESSION_DATA,
	SESSION_BODY,
	SESSION_END,
	SESSION_IDLE,
	SESSION_QUIT,
	SESSION_STATES,
};

/* What the server offered in its last answer to EHLO. */
struct session_offers {
	bool starttls, pipelining, eightbitmime, size, smtputf8, dsn, mt_priority, requiretls, auth_plain, auth_login;
};

struct session {
	struct relay_process *relay;
	struct session *next, *before;
	struct job *job;             /* NULL: idle or leaving */
	enum session_state state;
	struct target target;
	char next_hop[256], sender[256]; /* of the message at hand, or the last one: its domain */
	enum route route;            /* by which it was chosen */
	struct connection_race *connecting;
	struct stream *stream;
	struct timer *patience;      /* for the whole answer that is waited for, so that single bytes do not prolong it */
	struct reply_reader reader;
	struct session_offers offers;
	bool was_connected;          /* somebody has answered at the target's address */
	bool may_use_tls, was_greeted, is_retired, is_lmtp;
	char own_address[INET6_ADDRSTRLEN], helo[TARGET_NAME_BYTES]; /* helo: by which the server has introduced itself */
	unsigned login_steps;        /* of AUTH LOGIN that are done */
	unsigned mail_count;         /* handed over on this connection */
	/* the transaction */
	size_t rcpt_at;              /* whose reply is waited for */
	size_t accepted;
	bool is_pipelined;           /* RCPT and DATA were sent with MAIL (RFC 2920) */
	bool is_mail_refused;
	struct reply mail_refusal;
	struct transfer transfer;
	struct later release;
	bool is_dead;                /* freed at the end of the turn */
};

/* Connects to the target for the job, or to a second address of the same host (relay/connect.h; may be NULL); NULL with *why if that fails
 * at once. */
struct session *session_open(struct job *j, const struct target *target, const struct target *second, bool may_use_tls, struct error *why);
/* A connection that is open and idle for this next hop, now the job's; NULL if there is none. Before the job knows its targets, one that
 * the last message of the same sender's domain went by; then one to any of them. */
struct session *session_reuse(struct job *j);
/* Ends without a word. */
void session_free(struct session *s);
/* Ends those that are idle, and the others after the message that they have: none is used again. */
void sessions_retire(struct relay_process *p);

/* For the transaction (transaction.c). */
void session_enter(struct session *s, enum session_state state);
void session_fail(struct session *s, enum session_failure failure, const char *what, const char *detail);
/* The transaction is over and every recipient decided. is_usable: the connection can take another. */
void session_done(struct session *s, bool is_usable);

/* transaction.c */
void transaction_begin(struct session *s);
void transaction_mail(struct session *s);
void transaction_on_mail(struct session *s, const struct reply *r);
void transaction_on_rcpt(struct session *s, const struct reply *r);
void transaction_on_data(struct session *s, const struct reply *r);
void transaction_on_early_reply(struct session *s, const struct reply *r);
void transaction_on_end(struct session *s, const struct reply *r);
/* The connection went while the answer to the end of the message was waited for. */
void transaction_lost_at_end(struct session *s, const char *why);
void transaction_body_sent(struct session *s);
void transaction_parsed(struct session *s, bool is_readable);
void transaction_unreadable(struct session *s);

#endif
