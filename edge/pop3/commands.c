/* The commands of POP3: in which state each is allowed, and who handles it. */
#include "edge/pop3/session.h"

/* True after saying that the command takes no argument, where it has one. */
static bool is_too_much(struct pop3_session *s, struct span argument)
{
	if (argument.len)
		pop3_junk(s, NULL, POP3_TEXT_NO_ARGUMENT);
	return argument.len > 0;
}

static void quit(struct pop3_session *s, struct span argument)
{
	if (is_too_much(s, argument))
		return;
	if (s->state == POP3_TRANSACTION) {
		pop3_update(s);
		return;
	}
	pop3_ok(s, POP3_TEXT_BYE);
	connection_close(s->connection);
}

/* The message that a word names, or NULL after saying that there is none. */
static struct pop3_message *message_of(struct pop3_session *s, struct span word)
{
	uint64_t number;
	if (span_to_u64(word, s->count, &number) || number == 0 || s->messages[number - 1].is_deleted) {
		pop3_junk(s, NULL, POP3_TEXT_NO_MESSAGE);
		return NULL;
	}
	return &s->messages[number - 1];
}

static void stat(struct pop3_session *s, struct span argument)
{
	unsigned long long count = 0, size = 0;
	if (is_too_much(s, argument))
		return;
	for (size_t i = 0; i < s->count; i++)
		if (!s->messages[i].is_deleted) {
			count++;
			size += s->messages[i].size;
		}
	pop3_reply(s, "+OK %llu %llu", count, size);
}

/* RFC 1939 §7: at most 70 printable characters, the same in every session, and never another message's: a UID is none's again while the
 * UIDVALIDITY is the same (RFC 9051 §2.3.1.1). */
static void add_unique_id(const struct pop3_session *s, const struct pop3_message *m, struct buf *out)
{
	if (m->unique_id)
		buf_add_cstr(out, s->unique_ids.ptr + m->unique_id);
	else
		buf_printf(out, "%08x%08x", s->uidvalidity, m->uid);
}

static void say_scan(struct pop3_session *s, const struct pop3_message *m, bool is_uidl, const char *front)
{
	BUF_AUTO id = {0};
	size_t number = (size_t)(m - s->messages) + 1;
	if (!is_uidl) {
		pop3_reply(s, "%s%zu %u", front, number, m->size);
		return;
	}
	add_unique_id(s, m, &id);
	pop3_reply(s, "%s%zu %s", front, number, buf_cstr(&id));
}

/* As far as the client takes it: a mailbox may have millions. */
void pop3_send_listing(struct pop3_session *s)
{
	while (s->listing.is_active && connection_backlog(s->connection) < CONNECTION_BACKLOG_MOST) {
		if (s->listing.next == s->count) {
			s->listing.is_active = false;
			pop3_reply(s, ".");
			connection_continue(s->connection);
			return;
		}
		const struct pop3_message *m = &s->messages[s->listing.next++];
		if (!m->is_deleted)
			say_scan(s, m, s->listing.is_uidl, "");
	}
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
	s->listing.is_active = true;
	s->listing.is_uidl = is_uidl;
	s->listing.next = 0;
	connection_wait(s->connection);
	pop3_send_listing(s);
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
		pop3_junk(s, NULL, POP3_TEXT_TOP_WANTS);
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
	if (is_too_much(s, argument))
		return;
	for (size_t i = 0; i < s->count; i++)
		s->messages[i].is_deleted = false;
	pop3_reply(s, "+OK");
}

static void noop(struct pop3_session *s, struct span argument)
{
	if (!is_too_much(s, argument))
		pop3_reply(s, "+OK");
}

enum { BEFORE = 1 << POP3_AUTHORIZATION, INSIDE = 1 << POP3_TRANSACTION };

static const struct {
	const char *name;
	int when;
	void (*handler)(struct pop3_session *s, struct span argument);
	const char *rfc;
} commands[] = {
	{"CAPA", BEFORE | INSIDE, pop3_capa, "RFC 2449 §5"},
	{"LANG", BEFORE | INSIDE, pop3_lang, "RFC 6856 §3"},
	{"UTF8", BEFORE, pop3_utf8, "RFC 6856 §2.1"},
	{"USER", BEFORE, pop3_user, "RFC 1939 §7"},
	{"PASS", BEFORE, pop3_pass, "RFC 1939 §7"},
	{"AUTH", BEFORE, pop3_auth, "RFC 5034 §4"},
	{"STLS", BEFORE, pop3_stls, "RFC 2595 §4"},
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
	/* RFC 1939 §3: nothing but printable characters; at least what would be blank, or end a line, to somebody else */
	if (span_chr(line, '\r') >= 0 || span_chr(line, 0) >= 0) {
		pop3_junk(s, NULL, POP3_TEXT_NO_COMMAND);
		return;
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (!span_equal_nocase(name, span_cstr(commands[i].name)))
			continue;
		if (!(commands[i].when & 1 << s->state))
			pop3_junk(s, NULL, POP3_TEXT_NOT_NOW);
		else
			commands[i].handler(s, commands[i].handler == pop3_pass ? argument : span_trim(argument));
		return;
	}
	pop3_junk(s, NULL, POP3_TEXT_NO_COMMAND);
}
