/* One POP3 session.
 *
 * It is a snapshot of INBOX: RFC 1939 §4 wants an exclusive lock, so that nothing changes under a client; what it wants it for is kept
 * without one, as each message is named by its UID. So a telephone that hangs in a session locks nobody out, mail arrives meanwhile, and
 * there is no [IN-USE] nor [LOGIN-DELAY] (RFC 2449 §8.1): clients show them to their users as errors. */
#ifndef EDGE_POP3_SESSION_H
#define EDGE_POP3_SESSION_H

#include "edge/pop3/pop3.h"
#include "edge/pop3/text.h"
#include "wire/smtp.h"

enum {
	POP3_LINE_MOST = 512,    /* RFC 2449 §4 says 255; AUTH may be longer */
	POP3_AUTH_LINE_MOST = 12288,
	POP3_JUNK_MOST = 20,
	POP3_MESSAGES_MOST = 2000000,
	POP3_UNIQUE_ID_MOST = 70, /* RFC 1939 §7 */
	POP3_HEADER_MOST = 256 * 1024, /* of a message for which a surrogate is made */
};

enum pop3_state { POP3_AUTHORIZATION, POP3_SASL, POP3_OPENING, POP3_TRANSACTION, POP3_UPDATE };

struct pop3_message {
	uint32_t uid, size;
	uint32_t unique_id;     /* where its own one is in unique_ids; 0: it has none */
	bool is_deleted;
};

struct pop3_session {
	struct connection *connection;
	enum pop3_state state;
	enum language language; /* LANG */
	bool is_utf8;           /* UTF8: RFC 6856 §2.1 */
	struct buf user;
	unsigned junk;
	uint32_t request, uidvalidity;
	struct pop3_message *messages;
	struct buf unique_ids;  /* with a NUL behind each; a byte before the first */
	size_t count, room;
	/* of LIST and UIDL of all messages */
	struct {
		bool is_active, is_uidl;
		size_t next;
	} listing;
	/* of RETR and TOP */
	struct {
		size_t message;
		uint64_t offset;
		uint64_t lines_left;   /* of the body; UINT64_MAX for RETR */
		bool is_active, in_body, is_asked, line_has_text;
		bool has_begun;        /* +OK has been said, */
		struct buf header;     /* before that, what may need a surrogate */
		struct smtp_dot_stuffer stuffer; /* RFC 1939 §3 stuffs dots as SMTP does */
	} sending;
	/* of QUIT */
	struct {
		uint32_t first;        /* of its requests, which are answered in their order */
		bool has_failed;
	} update;
};

void pop3_reply(struct pop3_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pop3_ok(struct pop3_session *s, enum pop3_text text);
/* "-ERR ", the code ("[AUTH]") or NULL, and the text. pop3_junk also counts it: too many end the session. */
void pop3_error(struct pop3_session *s, const char *code, enum pop3_text text);
void pop3_junk(struct pop3_session *s, const char *code, enum pop3_text text);
/* The same with a text in English that something else has made. */
void pop3_junk_because(struct pop3_session *s, const char *why);
/* commands.c */
void pop3_command(struct pop3_session *s, struct span line);
void pop3_send_listing(struct pop3_session *s);
/* auth.c: the commands of the AUTHORIZATION state */
void pop3_capa(struct pop3_session *s, struct span argument);
void pop3_user(struct pop3_session *s, struct span argument);
void pop3_pass(struct pop3_session *s, struct span argument);
void pop3_auth(struct pop3_session *s, struct span argument);
void pop3_stls(struct pop3_session *s, struct span argument);
void pop3_utf8(struct pop3_session *s, struct span argument);
void pop3_lang(struct pop3_session *s, struct span argument);
void pop3_sasl_response(struct pop3_session *s, struct span line);
void pop3_challenge(struct connection *c, const char *encoded);
void pop3_logged_in(struct connection *c, enum login_outcome outcome);
/* mailbox.c */
void pop3_open_mailbox(struct pop3_session *s);
void pop3_retrieve(struct pop3_session *s, size_t message, uint64_t lines);
void pop3_send_more(struct pop3_session *s);
void pop3_update(struct pop3_session *s);
extern const struct store_to_edge pop3_store_handlers;

#endif
