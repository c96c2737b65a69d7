/* The commands of SMTP, LMTP and submission: who may give them when, and who handles them. */
#include "base/clock.h"
#include "base/log.h"
#include "edge/sasl.h"
#include "edge/smtp/session.h"
#include "wire/date.h"

#include <stdio.h>

/* RFC 4865 §4.1: for how long, and until when. */
static void offer_holding(struct smtp_session *s, uint32_t most_s)
{
	BUF_AUTO until = {0};
	date_format_internet(clock_wall_s() + (int64_t)most_s, &until);
	smtp_reply(s, "250-FUTURERELEASE %u %s", most_s, buf_cstr(&until));
}

static void say_extensions(struct smtp_session *s)
{
	struct connection *c = s->connection;
	const struct config *config = child_config(c->edge->self);
	smtp_reply(s, "250-%s", child_hostname(c->edge->self));
	smtp_reply(s, "250-PIPELINING");
	smtp_reply(s, "250-SIZE %llu", (unsigned long long)config->message_size_limit_bytes);
	if (connection_may_start_tls(c))
		smtp_reply(s, "250-STARTTLS");
	if (smtp_is_submission(s) && connection_may_login(c) && !c->user.len) {
		BUF_AUTO others = {0};
		sasl_add_mechanisms(c, " ", &others);
		smtp_reply(s, "250-AUTH%s PLAIN LOGIN", buf_cstr(&others));
	}
	smtp_reply(s, "250-ENHANCEDSTATUSCODES");
	smtp_reply(s, "250-8BITMIME");
	smtp_reply(s, "250-CHUNKING");
	smtp_reply(s, "250-BINARYMIME");
	smtp_reply(s, "250-LIMITS RCPTMAX=%u", config->recipients_most); /* RFC 9422 */
	if (!c->protocol->is_lmtp)
		smtp_reply(s, "250-DSN"); /* RFC 3461; who hands over by LMTP reports for itself */
	if (connection_is_secured(c))
		smtp_reply(s, "250-REQUIRETLS"); /* RFC 8689 §2 */
	smtp_reply(s, "250-MT-PRIORITY"); /* RFC 6710 */
	if (s->may_xclient)
		smtp_reply(s, "250-XCLIENT NAME ADDR PORT PROTO HELO");
	if (smtp_is_submission(s) && config->hold_most_s)
		offer_holding(s, (uint32_t)config->hold_most_s);
	smtp_reply(s, "250 SMTPUTF8");
}

static void hello(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	struct error why = {0};
	const char *host = child_hostname(c->edge->self);
	bool is_lhlo = command->verb == SMTP_LHLO;
	if (is_lhlo != c->protocol->is_lmtp) {
		/* RFC 2033 §4.1: LMTP has LHLO and no other hello */
		smtp_junk(s, "500 5.5.1 %s here", is_lhlo ? "This is not LMTP, EHLO" : "This is LMTP, LHLO");
		return;
	}
	if (smtp_check_hello(command->argument, &why)) {
		smtp_junk(s, "%d %s", why.code, why.text);
		return;
	}
	/* RFC 2920 §3.1: EHLO ends a group; who sends more with it has not read what is offered, and does not care */
	if (smtp_is_stranger(s) && connection_peek(c, 1).len) {
		log_event(LOG_LEVEL_WARNING, "early-talker", log_c("client", c->address), log_c("before", "the reply to its hello"));
		smtp_reply(s, "554 5.5.1 Wait for the reply to %s", is_lhlo ? "LHLO" : "EHLO");
		connection_close(c);
		return;
	}
	smtp_reset(s);
	buf_clear(&s->helo);
	buf_add(&s->helo, s->xclient_helo.len ? buf_span(&s->xclient_helo) : span_slice(command->argument, 0, 255));
	s->is_esmtp = command->verb != SMTP_HELO;
	s->state = SMTP_STATE_READY;
	if (!s->is_esmtp) {
		smtp_reply(s, "250 %s", host);
		return;
	}
	say_extensions(s);
}

static void starttls(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	(void)command;
	if (connection_is_secured(c)) {
		smtp_junk(s, "503 5.5.1 TLS is on already");
	} else if (!connection_may_start_tls(c)) {
		smtp_reply(s, "454 4.7.0 TLS is not available");
	} else {
		smtp_reply(s, "220 2.0.0 Go ahead");
		connection_start_tls(c);
	}
}

static void not_implemented(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	smtp_junk(s, "502 5.5.1 Not here");
}

/* All that was said before was said by the proxy: the session begins anew. */
static void xclient(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	struct smtp_xclient said;
	struct error why = {0};
	if (!s->may_xclient) {
		not_implemented(s, command);
		return;
	}
	int bad = smtp_parse_xclient(command->argument, &said, &why);
	char proxy[sizeof c->address];
	snprintf(proxy, sizeof proxy, "%s", c->address);
	if (bad) {
		smtp_junk(s, "%d %s", why.code, why.text);
	} else if (said.client[0] && !connection_rename(c, said.client)) {
		smtp_reply(s, "421 4.7.0 Too many connections, try again later");
		connection_close(c);
	} else {
		log_event(LOG_LEVEL_INFO, "xclient", log_c("proxy", proxy), log_c("client", c->address), log_s("helo", buf_span(&said.helo)));
		smtp_reset(s);
		buf_clear(&c->user);
		connection_forget_login(c);
		connection_leave_session(c);
		buf_clear(&s->helo);
		buf_clear(&s->xclient_helo);
		buf_add(&s->xclient_helo, buf_span(&said.helo));
		s->state = SMTP_STATE_GREETED;
		smtp_greet(s);
	}
	buf_free(&said.helo);
}

static void rset(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	smtp_reset(s);
	smtp_reply(s, "250 2.0.0 Ok");
}

static void noop(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	smtp_reply(s, "250 2.0.0 Ok");
}

/* RFC 5321 §3.5.3: neither yes nor no. */
static void vrfy(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	smtp_reply(s, "252 2.5.0 Send some mail, and it will be delivered if it can be");
}

static void help(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	smtp_reply(s, "214 2.0.0 Commands: %s MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS QUIT",
	           s->connection->protocol->is_lmtp ? "LHLO" : "EHLO HELO");
}

static void quit(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	smtp_reply(s, "221 2.0.0 Bye");
	connection_close(s->connection);
}

enum when {
	ALWAYS = 1 << SMTP_STATE_GREETED | 1 << SMTP_STATE_READY | 1 << SMTP_STATE_MAIL | 1 << SMTP_STATE_RCPT,
	AFTER_HELLO = 1 << SMTP_STATE_READY | 1 << SMTP_STATE_MAIL | 1 << SMTP_STATE_RCPT,
	BETWEEN_MESSAGES = 1 << SMTP_STATE_READY,
	BEFORE_MESSAGES = 1 << SMTP_STATE_GREETED | 1 << SMTP_STATE_READY,
	AFTER_MAIL = 1 << SMTP_STATE_MAIL | 1 << SMTP_STATE_RCPT,
	WHENEVER = ALWAYS | 1 << SMTP_STATE_CHUNKS,
};

static const struct {
	enum smtp_verb verb;
	enum when when;
	bool does_work; /* others are counted: nobody sends a thousand NOOPs for good */
	void (*handler)(struct smtp_session *s, const struct smtp_command *command);
	const char *rfc;
} commands[] = {
	{SMTP_EHLO, WHENEVER, false, hello, "RFC 5321 §4.1.1.1"},
	{SMTP_HELO, WHENEVER, false, hello, "RFC 5321 §4.1.1.1"},
	{SMTP_LHLO, WHENEVER, false, hello, "RFC 2033 §4.1"},
	{SMTP_MAIL, AFTER_HELLO, true, smtp_mail, "RFC 5321 §4.1.1.2"},
	{SMTP_RCPT, AFTER_MAIL, true, smtp_rcpt, "RFC 5321 §4.1.1.3"},
	{SMTP_DATA, AFTER_MAIL, true, smtp_data, "RFC 5321 §4.1.1.4"},
	{SMTP_BDAT, WHENEVER, true, smtp_bdat, "RFC 3030 §2"}, /* its octets follow, whatever is said to it */
	{SMTP_RSET, WHENEVER, false, rset, "RFC 5321 §4.1.1.5"},
	{SMTP_VRFY, WHENEVER, false, vrfy, "RFC 5321 §4.1.1.6"},
	{SMTP_EXPN, ALWAYS, false, not_implemented, "RFC 5321 §4.1.1.7"},
	{SMTP_HELP, WHENEVER, false, help, "RFC 5321 §4.1.1.8"},
	{SMTP_NOOP, WHENEVER, false, noop, "RFC 5321 §4.1.1.9"},
	{SMTP_QUIT, WHENEVER, true, quit, "RFC 5321 §4.1.1.10"},
	{SMTP_STARTTLS, AFTER_HELLO, false, starttls, "RFC 3207 §4"},
	{SMTP_XCLIENT, BEFORE_MESSAGES, true, xclient, "Postfix's XCLIENT_README"},
	{SMTP_AUTH, BETWEEN_MESSAGES, false, smtp_auth, "RFC 4954 §4"},
};

void smtp_command(struct smtp_session *s, struct span line)
{
	struct smtp_command command;
	struct error why = {0};
	if (smtp_parse_command(line, &command, &why)) {
		smtp_junk(s, "%d %s", why.code, why.text);
		if (command.verb == SMTP_BDAT)
			connection_close(s->connection); /* octets follow, and nobody knows how many */
		return;
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (commands[i].verb != command.verb)
			continue;
		if (!(commands[i].when & 1 << s->state)) {
			smtp_junk(s, "503 5.5.1 %s", s->state == SMTP_STATE_GREETED ? "Say hello first" :
			          s->state == SMTP_STATE_CHUNKS ? "BDAT goes on, or RSET" :
			          command.verb == SMTP_AUTH || command.verb == SMTP_XCLIENT ? "Not during a message" : "MAIL and RCPT come first");
			return;
		}
		s->idle_commands = commands[i].does_work ? 0 : s->idle_commands + 1;
		if (s->idle_commands > SMTP_IDLE_COMMANDS_MOST) {
			smtp_reply(s, "421 4.7.0 Too many commands without a message, goodbye");
			connection_close(s->connection);
			return;
		}
		commands[i].handler(s, &command);
		return;
	}
	smtp_junk(s, "500 5.5.2 Command not known");
}
