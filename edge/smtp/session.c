/* A session's life: greeting, lines, the end. */
#include "edge/smtp/session.h"

#include "base/die.h"
#include "base/log.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void say(struct smtp_session *s, const char *format, va_list args)
{
	char text[SMTP_TEXT_MOST];
	int n = vsnprintf(text, sizeof text - 2, format, args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof text - 3)
		n = (int)sizeof text - 3; /* strangers' words in it were too long */
	text[n++] = '\r';
	text[n++] = '\n';
	connection_write(s->connection, span_of(text, (size_t)n));
}

void smtp_reply(struct smtp_session *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(s, format, args);
	va_end(args);
}

void smtp_junk(struct smtp_session *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(s, format, args);
	va_end(args);
	if (++s->junk < SMTP_JUNK_MOST)
		return;
	log_event(LOG_LEVEL_WARNING, "too-much-junk", log_c("protocol", s->connection->protocol->name),
	          log_c("client", s->connection->address));
	smtp_reply(s, "421 4.7.0 Too many errors, goodbye");
	connection_close(s->connection);
}

void smtp_greet(struct smtp_session *s)
{
	const struct connection *c = s->connection;
	smtp_reply(s, "220 %s %s carteiro", child_hostname(c->edge->self), c->protocol->is_lmtp ? "LMTP" : "ESMTP");
}

bool smtp_is_stranger(const struct smtp_session *s)
{
	const struct connection *c = s->connection;
	return c->protocol == &smtp_protocol && !c->is_loopback &&
	       !config_networks_have(&child_config(c->edge->self)->limits_exempt, span_cstr(c->address));
}

static void on_greeting_due(void *context)
{
	struct smtp_session *s = context;
	if (s->state != SMTP_STATE_CONNECTED || s->connection->is_closing)
		return;
	s->state = SMTP_STATE_GREETED;
	smtp_greet(s);
}

/* Whoever talks before it is greeted is none that reads what it is told (RFC 5321 §3.1, §4.3.1): programs that send spam. */
static void wait_before_greeting(struct smtp_session *s, uint64_t delay_s)
{
	s->state = SMTP_STATE_CONNECTED;
	s->greeting = timer_new(s->connection->edge->loop, on_greeting_due, s);
	timer_set(s->greeting, (int64_t)delay_s * 1000);
}

static void cut_off(struct smtp_session *s)
{
	log_event(LOG_LEVEL_WARNING, "early-talker", log_c("client", s->connection->address), log_c("before", "the greeting"));
	s->connection->edge->refused_count++;
	smtp_reply(s, "554 5.5.1 You talk before you are greeted");
	connection_close(s->connection);
}

static void open_session(struct connection *c)
{
	struct smtp_session *s = xcalloc(1, sizeof *s);
	const struct config *config = child_config(c->edge->self);
	s->connection = c;
	s->may_xclient = config_networks_have(&config->xclient_hosts, span_cstr(c->address));
	s->priority = PRIORITY_NORMAL;
	c->state = s;
	connection_set_timeout(c, (int64_t)config->session_timeout_s * 1000);
	if (smtp_is_stranger(s) && config->greeting_delay_s && !s->may_xclient)
		wait_before_greeting(s, config->greeting_delay_s);
	else
		smtp_greet(s);
}

static void input(struct connection *c)
{
	struct smtp_session *s = c->state;
	if (s->state == SMTP_STATE_CONNECTED) {
		cut_off(s);
		return;
	}
	while (!c->is_waiting && !c->is_closing) {
		struct span line;
		if (s->state == SMTP_STATE_DATA) {
			smtp_data_input(s);
			if (s->state == SMTP_STATE_DATA)
				return;
			continue;
		}
		if (s->state == SMTP_STATE_CHUNK) {
			smtp_chunk_input(s);
			if (s->state == SMTP_STATE_CHUNK)
				return;
			continue;
		}
		size_t most = s->state == SMTP_STATE_AUTH ? SMTP_AUTH_LINE_MAX : SMTP_COMMAND_MAX;
		int got = connection_line(c, most, false, &line);
		if (got == 0)
			return;
		if (got < 0) {
			/* RFC 5321 §4.3.2: 500; what follows cannot be told from commands, so that is the end of it */
			smtp_reply(s, "500 5.5.2 Line too long");
			connection_close(c);
			return;
		}
		if (s->state == SMTP_STATE_AUTH)
			smtp_auth_response(s, line);
		else
			smtp_command(s, line);
		/* it may have been a password */
		OPENSSL_cleanse(c->edge->line.ptr, c->edge->line.len);
	}
}

/* RFC 3207 §4.2: back to the state before EHLO, and everything said in the clear is forgotten. */
static void secured(struct connection *c)
{
	struct smtp_session *s = c->state;
	smtp_reset(s);
	buf_clear(&s->helo);
	s->is_esmtp = false;
	s->state = SMTP_STATE_GREETED;
}

static void closed(struct connection *c)
{
	struct smtp_session *s = c->state;
	smtp_reset(s);
	arena_free(&s->memory);
	buf_free(&s->helo);
	buf_free(&s->xclient_helo);
	timer_free(s->greeting);
	buf_free(&s->auth_user);
	buf_free(&s->lmtp_answers);
	free(s);
	c->state = NULL;
}

static void store_gone(struct connection *c)
{
	smtp_ask_again_failed(c->state);
}

static void shutdown_session(struct connection *c, const char *why)
{
	struct smtp_session *s = c->state;
	if (s->delivery && c->is_waiting) {
		s->is_last = true; /* its outcome is still said (edge/delivery.c) */
		return;
	}
	/* RFC 3463: X.4.2 a bad connection, X.3.2 a system that takes no messages */
	smtp_reply(s, "421 %s %s closing: %s", strcmp(why, CONNECTION_SILENT) ? "4.3.2" : "4.4.2", child_hostname(c->edge->self), why);
	connection_close(c);
}

#define SMTP_FUNCTIONS \
	.open = open_session, .input = input, .secured = secured, .closed = closed, .store_gone = store_gone, \
	.shutdown = shutdown_session, .logged_in = smtp_logged_in, .challenge = smtp_challenge

const struct protocol smtp_protocol = {.name = "smtp", SMTP_FUNCTIONS};
const struct protocol lmtp_protocol = {.name = "lmtp", .is_lmtp = true, SMTP_FUNCTIONS};
const struct protocol local_protocol = {.name = "local", .is_local = true, SMTP_FUNCTIONS};
const struct protocol submission_protocol = {.name = "submission", .is_submission = true, SMTP_FUNCTIONS};
