/* One client's connection, whatever it speaks: its stream, its session at store, its way to a login. A protocol is a table
 * of functions (struct protocol) and a state of its own (connection->state).
 *
 * Order of events: open once; then input whenever there is something to read and nothing is waited for; closed once, after
 * which the connection is gone. A handler that asks another process something returns, and when the answer comes ends with
 * connection_continue, which calls input again for what has arrived meanwhile. */
#ifndef EDGE_CONNECTION_H
#define EDGE_CONNECTION_H

#include "edge/edge.h"

struct connection;

#define CONNECTION_SILENT "silent for too long" /* as the reason of a shutdown */

enum sasl_mechanism { SASL_NONE, SASL_PLAIN, SASL_EXTERNAL, SASL_SCRAM };

struct protocol {
	const char *name;              /* "smtp", for logs and login_ask */
	bool is_submission, is_lmtp;   /* of SMTP's relatives */
	bool is_local;                 /* of a socket that programs of this machine open: there is no network that TLS would keep out */
	bool ends_without_a_word;      /* where the client is silent for too long; else `shutdown` is called */
	void (*open)(struct connection *c);    /* greet; after the handshake where TLS comes first */
	void (*input)(struct connection *c);   /* read with connection_peek or connection_line, as long as nothing is waited for */
	void (*drained)(struct connection *c); /* all output has left; may be NULL */
	void (*secured)(struct connection *c); /* STARTTLS is done: forget everything said before */
	void (*closed)(struct connection *c);  /* free c->state, and give up what is under way */
	void (*store_gone)(struct connection *c); /* store died; connections with a login are closed after this */
	void (*shutdown)(struct connection *c, const char *why); /* say goodbye (421, * BYE) and connection_close */
	void (*logged_in)(struct connection *c, enum login_outcome outcome); /* answer to connection_login and its like */
	void (*challenge)(struct connection *c, const char *encoded); /* of SCRAM, in base64: the client's next line is the response */
	/* Messages of store about this connection's session (only protocols that read mail; else NULL). */
	const struct store_to_edge *store;
};

struct connection {
	struct edge_process *edge;
	const struct protocol *protocol;
	struct stream *stream;
	void *state;                   /* the protocol's */
	uint64_t token;                /* ours, unique in this process */
	uint64_t session;              /* store's; 0: none yet */
	uint64_t login_number;         /* a login that is waited for */
	char address[46];              /* of the client */
	struct buf user;               /* the account's name once logged in; empty before */
	bool is_loopback;
	bool is_administrator;         /* logged in by a grant (vault/grant.h) */
	bool is_waiting;               /* for another process: input is not called */
	bool is_held;                  /* nor here: it must read what was written to it first */
	bool is_closing;
	bool was_tls_first;            /* the listener is one that begins with TLS */
	/* of a login under way */
	enum sasl_mechanism mechanism; /* of which the client's response is awaited: edge/sasl.h */
	bool is_external;              /* by its certificate */
	struct buf login_user, login_authzid, login_password;
	struct scram_exchange *scram;  /* edge/scram.h; NULL: none */
};

/* ---- reading ---- */

/* Takes one line off the input, without its CR LF. 1 with the line (valid until the next call on the connection), 0 if it
 * is not whole yet, -1 if it is longer than `most` bytes. A bare LF does not end a line, but if allow_bare_lf. */
int connection_line(struct connection *c, size_t most, bool allow_bare_lf, struct span *line);
struct span connection_peek(struct connection *c, size_t most);
void connection_consume(struct connection *c, size_t n);

/* ---- writing ---- */

void connection_write(struct connection *c, struct span bytes);
void connection_printf(struct connection *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes that have not left this process: a protocol that answers at length stops above CONNECTION_BACKLOG_MOST and goes on
 * in `drained`. */
enum { CONNECTION_BACKLOG_MOST = 256 * 1024 };
size_t connection_backlog(const struct connection *c);
/* After what is written; then `closed`. */
void connection_close(struct connection *c);

/* ---- waiting ---- */

void connection_wait(struct connection *c);     /* input is not called until connection_continue */
void connection_continue(struct connection *c);
/* How long the client may be silent (then the session ends), or take nothing of what is written to it. */
void connection_set_timeout(struct connection *c, int64_t ms);
/* The client may be silent as long as it likes, but takes what is written to it within `write_ms`. */
void connection_allow_silence(struct connection *c, int64_t write_ms);

/* ---- TLS and login ---- */

bool connection_is_secured(const struct connection *c);
/* True if STARTTLS can be offered. */
bool connection_may_start_tls(const struct connection *c);
/* After the OK has been written: becomes TLS, then `secured`. */
void connection_start_tls(struct connection *c);
/* Everything after what has been written is compressed, in both directions: RFC 4978. */
void connection_start_deflate(struct connection *c);
bool connection_is_deflated(const struct connection *c);
/* The user is nobody's any more, and may log in anew. */
void connection_log_out(struct connection *c);
/* True if a password may be taken on this connection as it is (TLS, or plaintext_login allows it). */
bool connection_may_login(const struct connection *c);
/* Asks vault; waits; then `logged_in` is called (c->user and c->session are set if it is LOGIN_OK). authzid: whom he acts for; empty:
 * himself, or whom his name says ("owner*master"). */
void connection_login(struct connection *c, struct span user, struct span authzid, struct span password);
/* The same, by the certificate that the client has shown. */
void connection_login_external(struct connection *c, struct span authzid);
/* The handshake in which it did; empty: it has shown none, or not so that it could log in by it. */
struct span connection_client_handshake(const struct connection *c);

/* The client is another than its proxy, which has said so (XCLIENT). false: that client has too many connections. */
bool connection_rename(struct connection *c, const char *address);

/* ---- for edge/scram.c ---- */

/* The same, of what c->login_user and c->scram say. */
void connection_ask_login(struct connection *c);
/* The login goes on with what the client says next; nobody else is asked for now. */
void connection_await_client(struct connection *c);
/* The login is over without an answer. */
void connection_forget_login(struct connection *c);
/* Calls `logged_in`. */
void connection_end_login(struct connection *c, enum login_outcome outcome);
/* A session that is somebody's is given up; the next login opens another. */
void connection_leave_session(struct connection *c);

/* For store's answers: NULL if that connection has gone. */
struct connection *connection_of_token(struct edge_process *e, uint64_t token);
struct connection *connection_of_session(struct edge_process *e, uint64_t session);

/* The client is served: called by the listener. Takes fd. */
void connection_new(struct edge_process *e, const struct protocol *p, int fd, const char *address, bool is_tls);
/* store or vault has gone, or the process drains: for edge.c. */
void connection_store_gone(struct edge_process *e);
void connection_vault_gone(struct edge_process *e);
void connection_session_opened(struct edge_process *e, const struct msg_session_opened *m);
void connection_session_ended(struct edge_process *e, const struct msg_session_ended *m);
void connection_login_answered(struct edge_process *e, const struct msg_login_answer *m);

#endif
