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

void pop3_ok(struct pop3_session *s, enum pop3_text text)
{
	pop3_reply(s, "+OK %s", pop3_text(text, s->language));
}

void pop3_error(struct pop3_session *s, const char *code, enum pop3_text text)
{
	pop3_reply(s, "-ERR %s%s%s", code ? code : "", code ? " " : "", pop3_text(text, s->language));
}

static void count_junk(struct pop3_session *s)
{
	if (++s->junk < POP3_JUNK_MOST)
		return;
	pop3_error(s, NULL, POP3_TEXT_TOO_MANY_ERRORS);
	connection_close(s->connection);
}

void pop3_junk(struct pop3_session *s, const char *code, enum pop3_text text)
{
	pop3_error(s, code, text);
	count_junk(s);
}

void pop3_junk_because(struct pop3_session *s, const char *why)
{
	pop3_reply(s, "-ERR %s", why);
	count_junk(s);
}

static void open_session(struct connection *c)
{
	struct pop3_session *s = xcalloc(1, sizeof *s);
	s->connection = c;
	c->state = s;
	connection_set_timeout(c, (int64_t)child_config(c->edge->self)->session_timeout_s * 1000);
	pop3_reply(s, "+OK %s %s", child_hostname(c->edge->self), pop3_text(POP3_TEXT_READY, s->language));
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
			pop3_error(s, NULL, POP3_TEXT_LINE_TOO_LONG);
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
	s->language = LANGUAGE_ENGLISH;
	s->state = POP3_AUTHORIZATION;
}

static void drained(struct connection *c)
{
	pop3_send_more(c->state);
	pop3_send_listing(c->state);
}

static void closed(struct connection *c)
{
	struct pop3_session *s = c->state;
	buf_free(&s->user);
	buf_free(&s->sending.header);
	free(s->messages);
	buf_free(&s->unique_ids);
	free(s);
	c->state = NULL;
}

static void shutdown_session(struct connection *c, const char *why)
{
	struct pop3_session *s = c->state;
	if (!s->sending.has_begun && !s->listing.is_active) /* in the middle of an answer there is no place for words */
		pop3_reply(s, "-ERR [SYS/TEMP] %s", why);
	connection_close(c);
}

const struct protocol pop3_protocol = {
	.name = "pop3", .ends_without_a_word = true /* RFC 1939 §3 */, .open = open_session, .input = input, .drained = drained, .secured = secured, .closed = closed,
	.shutdown = shutdown_session, .logged_in = pop3_logged_in, .challenge = pop3_challenge, .store = &pop3_store_handlers};
