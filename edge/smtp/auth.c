/* AUTH (RFC 4954) by the mechanisms of edge/sasl.h, and LOGIN, which is no standard; never in the clear. */
#include "edge/sasl.h"
#include "edge/smtp/session.h"

#include <openssl/crypto.h>

static void end_auth(struct smtp_session *s)
{
	s->auth = SMTP_AUTH_NONE;
	if (s->state == SMTP_STATE_AUTH)
		s->state = SMTP_STATE_READY;
}

static void try_login(struct smtp_session *s, struct span encoded)
{
	BUF_AUTO decoded = {0};
	/* a NUL: somebody answers with a PLAIN response, whose password must not pass for a name and be logged */
	if (sasl_decode(encoded, &decoded) || span_chr(buf_span(&decoded), 0) >= 0) {
		end_auth(s);
		smtp_junk(s, "501 5.5.2 That is not the base64 of a name or password");
		sasl_wipe(&decoded);
		return;
	}
	if (s->auth == SMTP_AUTH_LOGIN_USER) {
		buf_clear(&s->auth_user);
		buf_add(&s->auth_user, buf_span(&decoded));
		s->auth = SMTP_AUTH_LOGIN_PASSWORD;
		smtp_reply(s, "334 UGFzc3dvcmQ6"); /* Password: */
		return;
	}
	end_auth(s);
	connection_login(s->connection, buf_span(&s->auth_user), SPAN(""), buf_span(&decoded));
	sasl_wipe(&decoded);
}

static void try_sasl(struct smtp_session *s, struct span encoded)
{
	struct error why;
	end_auth(s);
	if (sasl_response(s->connection, encoded, &why) != SASL_TAKEN)
		smtp_junk(s, "501 5.5.2 %s", why.text);
}

void smtp_challenge(struct connection *c, const char *encoded)
{
	struct smtp_session *s = c->state;
	s->auth = SMTP_AUTH_SASL;
	s->state = SMTP_STATE_AUTH;
	smtp_reply(s, "334 %s", encoded);
}

/* What a mechanism is given to begin with; RFC 4954 §4: "=" is an empty response. */
static void begin(struct smtp_session *s, enum smtp_auth auth, struct span initial, const char *challenge)
{
	s->auth = auth;
	s->state = SMTP_STATE_AUTH;
	if (initial.len)
		smtp_auth_response(s, auth != SMTP_AUTH_LOGIN_USER && span_equal(initial, SPAN("=")) ? SPAN("") : initial);
	else
		smtp_reply(s, "334 %s", challenge);
}

void smtp_auth(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	struct span rest = command->argument, mechanism = span_next_word(&rest), initial = span_trim(rest);
	if (!smtp_is_submission(s)) {
		smtp_junk(s, "503 5.5.1 No AUTH here, that is for the submission port");
	} else if (c->user.len) {
		smtp_junk(s, "503 5.5.1 Authenticated already");
	} else if (!connection_may_login(c)) {
		smtp_reply(s, "538 5.7.11 STARTTLS first");
	} else if (span_equal_nocase(mechanism, SPAN("LOGIN"))) {
		begin(s, SMTP_AUTH_LOGIN_USER, initial, "VXNlcm5hbWU6"); /* Username: */
	} else if (sasl_begin(c, mechanism)) {
		begin(s, SMTP_AUTH_SASL, initial, "");
	} else {
		smtp_junk(s, "504 5.5.4 Mechanism not known, see the answer to EHLO");
	}
}

void smtp_auth_response(struct smtp_session *s, struct span line)
{
	if (span_equal(line, SPAN("*"))) {
		end_auth(s);
		sasl_cancel(s->connection);
		smtp_junk(s, "501 5.0.0 Cancelled");
	} else if (s->auth == SMTP_AUTH_SASL) {
		try_sasl(s, line);
	} else {
		try_login(s, line);
	}
}

void smtp_logged_in(struct connection *c, enum login_outcome outcome)
{
	struct smtp_session *s = c->state;
	switch (outcome) {
	case LOGIN_OK: smtp_reply(s, "235 2.7.0 Authenticated"); break;
	case LOGIN_FORBIDDEN: smtp_junk(s, "535 5.7.8 That is not a user to act for"); break;
	case LOGIN_REFUSED: smtp_junk(s, "535 5.7.8 User name or password wrong"); break;
	/* RFC 4954 §6: 454 lets a client try again, 535 would make it ask its user; a loop of them ends with 421 */
	case LOGIN_HELD: smtp_junk(s, "454 4.7.0 Too many wrong passwords, try again later"); break;
	case LOGIN_LATER: smtp_reply(s, "454 4.7.0 Cannot be checked now, try again later"); break;
	}
}
