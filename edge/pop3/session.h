/* One POP3 session. */
#ifndef EDGE_POP3_SESSION_H
#define EDGE_POP3_SESSION_H

#include "edge/pop3/pop3.h"
#include "wire/smtp.h"

enum {
	POP3_LINE_MOST = 512,    /* RFC 2449 §4 says 255; AUTH may be longer */
	POP3_AUTH_LINE_MOST = 12288,
	POP3_JUNK_MOST = 20,
	POP3_MESSAGES_MOST = 2000000,
};

enum pop3_state { POP3_AUTHORIZATION, POP3_SASL, POP3_OPENING, POP3_TRANSACTION, POP3_UPDATE };

struct pop3_message {
	uint32_t uid, size;
	bool is_deleted;
};

struct pop3_session {
	struct connection *connection;
	enum pop3_state state;
	struct buf user;
	unsigned junk;
	uint32_t request, uidvalidity;
	struct pop3_message *messages;
	size_t count, room;
	/* of RETR and TOP */
	struct {
		size_t message;
		uint64_t offset;
		uint64_t lines_left;   /* of the body; UINT64_MAX for RETR */
		bool is_active, in_body, is_asked, line_has_text;
		struct smtp_dot_stuffer stuffer; /* RFC 1939 §3 stuffs dots as SMTP does */
	} sending;
};

void pop3_reply(struct pop3_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pop3_junk(struct pop3_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* commands.c */
void pop3_command(struct pop3_session *s, struct span line);
void pop3_sasl_response(struct pop3_session *s, struct span line);
void pop3_challenge(struct connection *c, const char *encoded);
/* mailbox.c */
void pop3_open_mailbox(struct pop3_session *s);
void pop3_retrieve(struct pop3_session *s, size_t message, uint64_t lines);
void pop3_send_more(struct pop3_session *s);
void pop3_update(struct pop3_session *s);
extern const struct store_to_edge pop3_store_handlers;

#endif
