/* One SMTP session: RFC 5321 §4.1.4 says in which order commands come. */
#ifndef EDGE_SMTP_SESSION_H
#define EDGE_SMTP_SESSION_H

#include "base/arena.h"
#include "edge/delivery.h"
#include "edge/smtp/smtp.h"
#include "wire/smtp.h"

enum {
	SMTP_JUNK_MOST = 20,     /* faulty or useless commands in a session */
	SMTP_IDLE_COMMANDS_MOST = 1000, /* NOOP, RSET, VRFY and the like without a message between them */
	SMTP_TEXT_MOST = 900,
};

enum smtp_state {
	SMTP_STATE_GREETED,  /* before EHLO */
	SMTP_STATE_READY,    /* between messages */
	SMTP_STATE_MAIL,     /* MAIL given */
	SMTP_STATE_RCPT,     /* and a recipient */
	SMTP_STATE_CHUNKS,   /* a chunk has come, and it was not the last */
	SMTP_STATE_DATA,     /* the message is coming */
	SMTP_STATE_CHUNK,    /* a chunk is coming */
	SMTP_STATE_AUTH,     /* a SASL response is awaited */
	SMTP_STATE_CONNECTED, /* it has to wait for the greeting */
};

enum smtp_auth { SMTP_AUTH_NONE, SMTP_AUTH_SASL, SMTP_AUTH_LOGIN_USER, SMTP_AUTH_LOGIN_PASSWORD };

struct smtp_session {
	struct connection *connection;
	enum smtp_state state;
	enum smtp_auth auth;
	struct buf auth_user;      /* of AUTH LOGIN */
	struct buf helo;
	struct buf xclient_helo;   /* what the client behind a proxy called itself */
	bool may_xclient;          /* the proxy is one of xclient_hosts, whoever's mail it brings now */
	struct timer *greeting;
	bool is_esmtp;
	unsigned junk, idle_commands;
	/* the transaction */
	struct arena memory;
	struct span reverse_path;  /* without brackets; empty is the null one */
	uint8_t facts;             /* enum message_facts, of what MAIL said */
	uint8_t priority;          /* as in ipc/terms.h */
	uint32_t hold_s;           /* RFC 4865 */
	bool is_priority_lowered;
	enum smtp_ret ret;         /* RFC 3461 */
	struct span envid;
	struct delivery_recipient *recipients;
	size_t recipient_count, recipient_room, recipients_over;
	struct delivery_recipient asked; /* that store is asked about */
	struct span forwarded_by;  /* our domain that sends the message on to another server; empty: none so far */
	uint32_t sequence;
	struct smtp_data_scanner scanner;
	struct delivery *delivery;
	bool is_too_large, is_malformed;
	struct smtp_chunk_scanner chunk_scanner;
	uint64_t chunk_left;       /* octets of the chunk that is coming */
	uint64_t announced_size;   /* by SIZE (RFC 1870); 0: none */
	uint64_t chunk_size;
	uint64_t chunked_size;     /* of all chunks of the message */
	bool is_last_chunk;
	const char *chunk_refusal; /* the chunk is read and thrown away, then this is said */
	bool is_last;              /* the process stops: after this message's answer the session ends */
	struct buf lmtp_answers;   /* outcomes so far, a byte each, in the order of the recipients */
};

/* Replies: the code, the enhanced code and the text ("250 2.1.0 Ok"). smtp_junk counts the command as
 * junk; too much of it ends the session with 421. */
void smtp_reply(struct smtp_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void smtp_junk(struct smtp_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool smtp_is_submission(const struct smtp_session *s)
{
	return s->connection->protocol->is_submission;
}

/* commands.c: finds the command's row and calls its handler. */
void smtp_command(struct smtp_session *s, struct span line);
/* session.c */
void smtp_greet(struct smtp_session *s);
/* Not a neighbour, a user, or a program of this machine or of limits_exempt. */
bool smtp_is_stranger(const struct smtp_session *s);
/* auth.c */
void smtp_auth(struct smtp_session *s, const struct smtp_command *command);
void smtp_auth_response(struct smtp_session *s, struct span line);
void smtp_challenge(struct connection *c, const char *encoded);
void smtp_logged_in(struct connection *c, enum login_outcome outcome);
/* transaction.c */
void smtp_mail(struct smtp_session *s, const struct smtp_command *command);
void smtp_rcpt(struct smtp_session *s, const struct smtp_command *command);
void smtp_reset(struct smtp_session *s);
/* A stranger brings one more: against messages_per_hour. */
void smtp_count_message(struct smtp_session *s);
void smtp_ask_again_failed(struct smtp_session *s);
/* data.c */
void smtp_data(struct smtp_session *s, const struct smtp_command *command);
void smtp_data_input(struct smtp_session *s);
/* Begins handing the message over; false if that cannot be done now, which the client is still to be told. */
bool smtp_start_message(struct smtp_session *s);
/* The message has been read: hands over its end, or says why it is refused. */
void smtp_finish_message(struct smtp_session *s);
/* chunk.c */
void smtp_bdat(struct smtp_session *s, const struct smtp_command *command);
void smtp_chunk_input(struct smtp_session *s);

#endif
