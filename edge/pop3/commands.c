/* The commands of POP3: in which state each is allowed, and who handles it. */
#include "edge/pop3/session.h"
#include "edge/sasl.h"

#include <stdio.h>

static void capa(struct pop3_session *s, struct span argument)
{
	struct connection *c = s->connection;
	(void)argument;
	pop3_reply(s, "+OK");
	if (connection_may_login(c)) {
		BUF_AUTO others = {0};
		sasl_add_mechanisms(c, " ", &others);
		pop3_reply(s, "USER\r\nSASL%s PLAIN", buf_cstr(&others));
	}
	if (connection_may_start_tls(c) && s->state == POP3_AUTHORIZATION)
		pop3_reply(s, "STLS");
	pop3_reply(s, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nIMPLEMENTATION carteiro\r\n.");
}

static bool may_login(struct pop3_session *s)
{
	if (connection_may_login(s->connection))
		return true;
	pop3_reply(s, "-ERR [AUTH] STLS first");
	return false;
}

static void user(struct pop3_session *s, struct span argument)
{
	if (!may_login(s))
		return;
	buf_clear(&s->user);
	buf_add(&s->user, argument);
	/* RFC 1939 §7: whether there is such a user is not told */
	if (argument.len)
		pop3_reply(s, "+OK");
	else
		pop3_junk(s, "-ERR A name is missing");
}

static void pass(struct pop3_session *s, struct span argument)
{
	if (!may_login(s))
		return;
	if (!s->user.len || !argument.len)
		pop3_junk(s, "-ERR USER first, then PASS with a password");
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
		pop3_junk(s, "-ERR Cancelled");
	} else if (sasl_response(c, line, &why) != SASL_TAKEN) {
		pop3_junk(s, "-ERR %s", why.text);
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
	sasl_add_mechanisms(s->connection, "\r\n", &others);
	pop3_reply(s, "+OK%s\r\nPLAIN\r\n.", buf_cstr(&others));
}

static void auth(struct pop3_session *s, struct span argument)
{
	struct span mechanism = span_next_word(&argument), initial = span_trim(argument);
	if (!mechanism.len) {
		list_mechanisms(s);
	} else if (!may_login(s)) {
		return;
	} else if (!sasl_begin(s->connection, mechanism)) {
		pop3_junk(s, "-ERR Mechanism not known");
	} else if (initial.len) {
		pop3_sasl_response(s, span_equal(initial, SPAN("=")) ? SPAN("") : initial);
	} else {
		s->state = POP3_SASL;
		pop3_reply(s, "+ ");
	}
}

static void stls(struct pop3_session *s, struct span argument)
{
	(void)argument;
	if (!connection_may_start_tls(s->connection)) {
		pop3_junk(s, "-ERR TLS is on already, or not available");
		return;
	}
	pop3_reply(s, "+OK Begin");
	connection_start_tls(s->connection);
}

static void quit(struct pop3_session *s, struct span argument)
{
	(void)argument;
	if (s->state == POP3_TRANSACTION) {
		pop3_update(s);
		return;
	}
	pop3_reply(s, "+OK Bye");
	connection_close(s->connection);
}

/* The message that a word names, or NULL after saying that there is none. */
static struct pop3_message *message_of(struct pop3_session *s, struct span word)
{
	uint64_t number;
	if (span_to_u64(word, s->count, &number) || number == 0 || s->messages[number - 1].is_deleted) {
		pop3_junk(s, "-ERR There is no such message");
		return NULL;
	}
	return &s->messages[number - 1];
}

static void stat(struct pop3_session *s, struct span argument)
{
	unsigned long long count = 0, size = 0;
	(void)argument;
	for (size_t i = 0; i < s->count; i++)
		if (!s->messages[i].is_deleted) {
			count++;
			size += s->messages[i].size;
		}
	pop3_reply(s, "+OK %llu %llu", count, size);
}

static void say_scan(struct pop3_session *s, const struct pop3_message *m, bool is_uidl, const char *front)
{
	size_t number = (size_t)(m - s->messages) + 1;
	if (is_uidl)
		pop3_reply(s, "%s%zu %08x%08x", front, number, s->uidvalidity, m->uid);
	else
		pop3_reply(s, "%s%zu %u", front, number, m->size);
}

static void scan(struct pop3_session *s, struct span argument, bool is_uidl)
{
	if (argument.len) {
		struct pop3_message *m = message_of(s, argument);
		if (m)
			say_scan(s, m, is_uidl, "+OK ");
		return;
	}
	pop3_reply(s, "+OK");
	for (size_t i = 0; i < s->count; i++)
		if (!s->messages[i].is_deleted)
			say_scan(s, &s->messages[i], is_uidl, "");
	pop3_reply(s, ".");
}

static void list(struct pop3_session *s, struct span argument)
{
	scan(s, argument, false);
}

static void uidl(struct pop3_session *s, struct span argument)
{
	scan(s, argument, true);
}

static void retr(struct pop3_session *s, struct span argument)
{
	struct pop3_message *m = message_of(s, argument);
	if (m)
		pop3_retrieve(s, (size_t)(m - s->messages), UINT64_MAX);
}

static void top(struct pop3_session *s, struct span argument)
{
	uint64_t lines;
	struct span number = span_next_word(&argument);
	if (span_to_u64(span_trim(argument), UINT32_MAX, &lines)) {
		pop3_junk(s, "-ERR TOP wants a message and a number of lines");
		return;
	}
	struct pop3_message *m = message_of(s, number);
	if (m)
		pop3_retrieve(s, (size_t)(m - s->messages), lines);
}

static void dele(struct pop3_session *s, struct span argument)
{
	struct pop3_message *m = message_of(s, argument);
	if (!m)
		return;
	m->is_deleted = true;
	pop3_reply(s, "+OK");
}

static void rset(struct pop3_session *s, struct span argument)
{
	(void)argument;
	for (size_t i = 0; i < s->count; i++)
		s->messages[i].is_deleted = false;
	pop3_reply(s, "+OK");
}

static void noop(struct pop3_session *s, struct span argument)
{
	(void)argument;
	pop3_reply(s, "+OK");
}

enum { BEFORE = 1 << POP3_AUTHORIZATION, INSIDE = 1 << POP3_TRANSACTION };

static const struct {
	const char *name;
	int when;
	void (*handler)(struct pop3_session *s, struct span argument);
	const char *rfc;
} commands[] = {
	{"CAPA", BEFORE | INSIDE, capa, "RFC 2449 §5"},
	{"USER", BEFORE, user, "RFC 1939 §7"},
	{"PASS", BEFORE, pass, "RFC 1939 §7"},
	{"AUTH", BEFORE, auth, "RFC 5034 §4"},
	{"STLS", BEFORE, stls, "RFC 2595 §4"},
	{"QUIT", BEFORE | INSIDE, quit, "RFC 1939 §6"},
	{"STAT", INSIDE, stat, "RFC 1939 §5"},
	{"LIST", INSIDE, list, "RFC 1939 §5"},
	{"RETR", INSIDE, retr, "RFC 1939 §5"},
	{"DELE", INSIDE, dele, "RFC 1939 §5"},
	{"NOOP", INSIDE, noop, "RFC 1939 §5"},
	{"RSET", INSIDE, rset, "RFC 1939 §5"},
	{"TOP", INSIDE, top, "RFC 1939 §7"},
	{"UIDL", INSIDE, uidl, "RFC 1939 §7"},
};

void pop3_command(struct pop3_session *s, struct span line)
{
	struct span rest = line, name = span_next_word(&rest);
	/* a password may begin or end with blanks: exactly one is taken off in front */
	struct span argument = rest.len ? span_skip(rest, 1) : rest;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (!span_equal_nocase(name, span_cstr(commands[i].name)))
			continue;
		if (!(commands[i].when & 1 << s->state))
			pop3_junk(s, "-ERR Not now");
		else
			commands[i].handler(s, commands[i].handler == pass ? argument : span_trim(argument));
		return;
	}
	pop3_junk(s, "-ERR Command not known");
}
