/* A POP3 session's life. */
#include "edge/pop3/session.h"

#include "base/die.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void say(struct pop3_session *s, const char *format, va_list args)
{
	char text[512];
	int n = vsnprintf(text, sizeof text, format, args);
	if (n < 0 || (size_t)n >= sizeof text)
		die("pop3: a reply that is too long");
	connection_write(s->connection, span_of(text, (size_t)n));
	connection_write(s->connection, SPAN("\r\n"));
}

void pop3_reply(struct pop3_session *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(s, format, args);
	va_end(args);
}

void pop3_junk(struct pop3_session *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(s, format, args);
	va_end(args);
	if (++s->junk < POP3_JUNK_MOST)
		return;
	pop3_reply(s, "-ERR Too many errors, goodbye");
	connection_close(s->connection);
}

static void open_session(struct connection *c)
{
	struct pop3_session *s = xcalloc(1, sizeof *s);
	s->connection = c;
	c->state = s;
	connection_set_timeout(c, (int64_t)child_config(c->edge->self)->session_timeout_s * 1000);
	pop3_reply(s, "+OK %s carteiro ready", child_hostname(c->edge->self));
}

static void input(struct connection *c)
{
	struct pop3_session *s = c->state;
	while (!c->is_waiting && !c->is_closing) {
		struct span line;
		/* RFC 5034 §4: an initial response may make the AUTH command longer than others */
		size_t most = s->state <= POP3_SASL ? POP3_AUTH_LINE_MOST : POP3_LINE_MOST;
		int got = connection_line(c, most, true, &line);
		if (got == 0)
			return;
		if (got < 0) {
			pop3_reply(s, "-ERR Line too long");
			connection_close(c);
			return;
		}
		if (s->state == POP3_SASL)
			pop3_sasl_response(s, line);
		else
			pop3_command(s, line);
		OPENSSL_cleanse(c->edge->line.ptr, c->edge->line.len);
	}
}

static void secured(struct connection *c)
{
	/* RFC 2595 §4: back to AUTHORIZATION, with nothing known */
	struct pop3_session *s = c->state;
	buf_clear(&s->user);
	s->state = POP3_AUTHORIZATION;
}

static void drained(struct connection *c)
{
	pop3_send_more(c->state);
}

static void closed(struct connection *c)
{
	struct pop3_session *s = c->state;
	buf_free(&s->user);
	free(s->messages);
	free(s);
	c->state = NULL;
}

static void shutdown_session(struct connection *c, const char *why)
{
	struct pop3_session *s = c->state;
	if (!s->sending.is_active) /* in the middle of a message there is no place for words */
		pop3_reply(s, "-ERR [SYS/TEMP] %s", why);
	connection_close(c);
}

static void logged_in(struct connection *c, enum login_outcome outcome)
{
	struct pop3_session *s = c->state;
	s->state = POP3_AUTHORIZATION;
	switch (outcome) {
	case LOGIN_OK:
		connection_set_timeout(c, (int64_t)child_config(c->edge->self)->idle_timeout_s * 1000);
		pop3_open_mailbox(s);
		break;
	case LOGIN_FORBIDDEN: pop3_junk(s, "-ERR [AUTH] That is not a user to act for"); break;
	case LOGIN_REFUSED: pop3_junk(s, "-ERR [AUTH] User name or password wrong"); break;
	/* RFC 3206 §4: SYS/TEMP is for what passes by itself; AUTH would make a client ask its user for another password */
	case LOGIN_HELD: pop3_junk(s, "-ERR [SYS/TEMP] Too many wrong passwords, try again later"); break;
	case LOGIN_LATER: pop3_reply(s, "-ERR [SYS/TEMP] Cannot be checked now, try again later"); break;
	}
}

const struct protocol pop3_protocol = {
	.name = "pop3", .ends_without_a_word = true /* RFC 1939 §3 */, .open = open_session, .input = input, .drained = drained, .secured = secured, .closed = closed,
	.shutdown = shutdown_session, .logged_in = logged_in, .challenge = pop3_challenge, .store = &pop3_store_handlers};
