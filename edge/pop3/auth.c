/* The commands before a login, and what the server says of itself: RFC 1939 §7, RFC 2449, RFC 2595, RFC 5034, RFC 6856. */
#include "edge/pop3/session.h"
#include "edge/sasl.h"

#include "base/utf8.h"

void pop3_capa(struct pop3_session *s, struct span argument)
{
	struct connection *c = s->connection;
	if (argument.len) {
		pop3_junk(s, NULL, POP3_TEXT_NO_ARGUMENT);
		return;
	}
	pop3_ok(s, POP3_TEXT_CAPABILITIES);
	if (connection_may_login(c)) {
		BUF_AUTO others = {0};
		sasl_add_mechanisms(c, " ", &others);
		pop3_reply(s, "USER\r\nSASL%s PLAIN", buf_cstr(&others));
	}
	if (connection_may_start_tls(c) && s->state == POP3_AUTHORIZATION && !s->is_utf8)
		pop3_reply(s, "STLS");
	/* no version behind IMPLEMENTATION: it helps attackers only; nothing is ever deleted by itself (EXPIRE) */
	pop3_reply(s, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\nIMPLEMENTATION carteiro\r\n.");
}

/* ---- login ---- */

static bool may_login(struct pop3_session *s)
{
	if (connection_may_login(s->connection))
		return true;
	pop3_error(s, "[AUTH]", POP3_TEXT_TLS_FIRST);
	return false;
}

/* RFC 6856 §2.2. SASLprep is not applied: a password is the same bytes here as by IMAP and PLAIN. */
static bool is_utf8(struct pop3_session *s, struct span argument)
{
	if (utf8_is_valid(argument))
		return true;
	pop3_junk(s, "[AUTH]", POP3_TEXT_NOT_UTF8);
	return false;
}

void pop3_user(struct pop3_session *s, struct span argument)
{
	if (!may_login(s) || !is_utf8(s, argument))
		return;
	buf_clear(&s->user);
	buf_add(&s->user, argument);
	/* RFC 1939 §7: whether there is such a user is not told */
	if (argument.len)
		pop3_reply(s, "+OK");
	else
		pop3_junk(s, NULL, POP3_TEXT_NAME_MISSING);
}

void pop3_pass(struct pop3_session *s, struct span argument)
{
	if (!may_login(s) || !is_utf8(s, argument))
		return;
	if (!s->user.len || !argument.len)
		pop3_junk(s, NULL, POP3_TEXT_NAME_FIRST);
	else
		connection_login(s->connection, buf_span(&s->user), SPAN(""), argument);
}

void pop3_sasl_response(struct pop3_session *s, struct span line)
{
	struct connection *c = s->connection;
	struct error why;
	s->state = POP3_AUTHORIZATION;
	if (span_equal(line, SPAN("*"))) {
		sasl_cancel(c);
		pop3_junk(s, NULL, POP3_TEXT_CANCELLED);
	} else if (sasl_response(c, line, &why) != SASL_TAKEN) {
		pop3_junk_because(s, why.text);
	}
}

void pop3_challenge(struct connection *c, const char *encoded)
{
	struct pop3_session *s = c->state;
	s->state = POP3_SASL;
	connection_printf(c, "+ %s\r\n", encoded); /* longer than other replies */
}

/* What older clients ask: which mechanisms there are. */
static void list_mechanisms(struct pop3_session *s)
{
	BUF_AUTO others = {0};
	pop3_ok(s, POP3_TEXT_MECHANISMS);
	sasl_add_mechanisms(s->connection, "\r\n", &others);
	if (others.len)
		pop3_reply(s, "%s", buf_cstr(&others) + 2);
	pop3_reply(s, "PLAIN\r\n.");
}

void pop3_auth(struct pop3_session *s, struct span argument)
{
	struct span mechanism = span_next_word(&argument), initial = span_trim(argument);
	if (!mechanism.len) {
		list_mechanisms(s);
	} else if (!may_login(s)) {
		return;
	} else if (!sasl_begin(s->connection, mechanism)) {
		pop3_junk(s, NULL, POP3_TEXT_NO_MECHANISM);
	} else if (initial.len) {
		/* RFC 5034 §4: "=" is an empty response */
		pop3_sasl_response(s, span_equal(initial, SPAN("=")) ? SPAN("") : initial);
	} else {
		s->state = POP3_SASL;
		pop3_reply(s, "+ ");
	}
}

void pop3_logged_in(struct connection *c, enum login_outcome outcome)
{
	struct pop3_session *s = c->state;
	s->state = POP3_AUTHORIZATION;
	switch (outcome) {
	case LOGIN_OK:
		connection_set_timeout(c, (int64_t)child_config(c->edge->self)->idle_timeout_s * 1000);
		pop3_open_mailbox(s);
		break;
	case LOGIN_REFUSED: pop3_junk(s, "[AUTH]", POP3_TEXT_WRONG_PASSWORD); break;
	case LOGIN_FORBIDDEN: pop3_junk(s, "[AUTH]", POP3_TEXT_FORBIDDEN); break;
	/* RFC 3206 §4: SYS/TEMP is for what passes by itself; AUTH would make a client ask its user for another password */
	case LOGIN_HELD: pop3_junk(s, "[SYS/TEMP]", POP3_TEXT_HELD); break;
	case LOGIN_LATER: pop3_error(s, "[SYS/TEMP]", POP3_TEXT_LATER); break;
	}
}

/* ---- what the session is like ---- */

void pop3_stls(struct pop3_session *s, struct span argument)
{
	/* RFC 6856 §2.1: not after UTF8 */
	if (argument.len) {
		pop3_junk(s, NULL, POP3_TEXT_NO_ARGUMENT);
	} else if (!connection_may_start_tls(s->connection) || s->is_utf8) {
		pop3_junk(s, NULL, POP3_TEXT_NO_TLS);
	} else {
		pop3_ok(s, POP3_TEXT_TLS_BEGINS);
		connection_start_tls(s->connection);
	}
}

void pop3_utf8(struct pop3_session *s, struct span argument)
{
	if (argument.len) {
		pop3_junk(s, NULL, POP3_TEXT_NO_ARGUMENT);
		return;
	}
	s->is_utf8 = true;
	pop3_ok(s, POP3_TEXT_UTF8);
}

static void list_languages(struct pop3_session *s)
{
	pop3_ok(s, POP3_TEXT_LANGUAGES);
	for (enum language l = 0; l < LANGUAGES; l++)
		pop3_reply(s, "%s %s", language_tag(l), pop3_language_name(l));
	pop3_reply(s, ".");
}

/* RFC 6856 §3.2. "*" is the server's language, whoever has logged in: his own would tell before the login that there is such a user. */
void pop3_lang(struct pop3_session *s, struct span argument)
{
	enum language language;
	if (!argument.len) {
		list_languages(s);
		return;
	}
	if (span_equal(argument, SPAN("*"))) {
		language = child_config(s->connection->edge->self)->default_language == DEFAULT_LANGUAGE_PT ? LANGUAGE_PORTUGUESE : LANGUAGE_ENGLISH;
	} else if (language_parse(argument, &language)) {
		pop3_junk(s, NULL, POP3_TEXT_NO_LANGUAGE);
		return;
	}
	s->language = language;
	pop3_reply(s, "+OK %s %s", language_tag(language), pop3_text(POP3_TEXT_LANGUAGE_SET, language));
}
