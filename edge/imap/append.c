/* APPEND: RFC 3501 §6.3.11, RFC 4315 §3 (APPENDUID), RFC 7889 §4 (TOOBIG). The message goes on to filter
 * and store as it comes (edge/delivery.h); no more of it is held here than one piece. */
#include "base/clock.h"
#include "edge/imap/session.h"

enum { PIECE_BYTES = 64 * 1024 };

/* Without its literal it is no APPEND: with it, imap_append_announced has taken it before. */
void imap_append(struct imap_session *s, struct imap_parser *p)
{
	(void)p;
	imap_bad_text(s, "APPEND needs the message as a literal");
}

static void on_writable(struct connection *c)
{
	struct imap_session *s = c->state;
	if (s && s->delivery && !c->is_closing)
		connection_continue(c);
}

static void on_delivered(struct connection *c, const struct msg_delivery_result *r)
{
	struct imap_session *s = c->state;
	if (!s)
		return;
	s->delivery = NULL;
	if (c->is_closing)
		return;
	switch ((enum delivery_outcome)r->outcome) {
	case DELIVERED: case QUEUED:
		if (r->uid)
			imap_ok(s, "[APPENDUID %u %u] APPEND done", r->uidvalidity, r->uid);
		else
			imap_ok(s, "APPEND done");
		return;
	case DELIVERY_NO_MAILBOX: imap_no(s, "[TRYCREATE] There is no mailbox of that name"); return;
	case DELIVERY_NO_SPACE: imap_no(s, "[OVERQUOTA] There is no room"); return;
	case DELIVERY_TOO_LARGE: imap_no(s, "[TOOBIG] The message is too large"); return;
	case DELIVERY_REFUSED: imap_no(s, "[CANNOT] The message is refused"); return;
	case DELIVERY_LATER: case DELIVERY_UNKNOWN: case DELIVERY_NOT_YOURS: case DELIVERY_NO_RECIPIENT: case DELIVERY_DISCARDED:
		imap_no(s, "[UNAVAILABLE] The message was not kept: try again later");
		return;
	}
}

static void begin_message(struct imap_session *s, const struct imap_append *a, struct span keywords)
{
	static const struct delivery_events events = {.writable = on_writable, .done = on_delivered};
	int64_t date_ms = a->has_date ? a->date_seconds * 1000 : clock_wall_ms();
	struct delivery_facts facts = {.kind = DELIVERY_APPEND, .mailbox = a->mailbox, .flags = a->flags.system, .keywords = keywords,
	                               .internaldate_ms = date_ms > 0 ? (uint64_t)date_ms : 0,
	                               .priority = PRIORITY_NORMAL, .facts = connection_is_secured(s->connection) ? FACT_SECURED : 0};
	s->delivery = delivery_new(s->connection, &facts, &events);
	if (!s->delivery) {
		imap_no(s, "[UNAVAILABLE] Nothing can be stored now: try again later");
		imap_skip_literal(s);
		return;
	}
	s->input = IMAP_INPUT_MESSAGE;
	s->message_left = a->size_bytes;
	if (s->scanner.literal_waits)
		imap_continuation(s, "OK");
}

/* The mailbox has been looked for before the client sends what may be much. */
static void on_mailbox_known(struct imap_session *s, const struct msg_request_done *m)
{
	struct imap_append *w = s->work;
	BUF_AUTO keywords = {0};
	if (m->outcome != REQUEST_OK) {
		imap_no_outcome(s, m, true);
		return;
	}
	s->answers = NULL;
	if (!imap_pack_keywords(s, &w->flags, &keywords))
		return;
	begin_message(s, w, buf_span(&keywords));
	if (s->connection->is_waiting && s->delivery)
		connection_continue(s->connection);
}

void imap_append_announced(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.done = on_mailbox_known};
	struct imap_append *w = arena_alloc(&s->arena, sizeof *w);
	BUF_AUTO keywords = {0};
	uint64_t most = child_config(s->connection->edge->self)->message_size_limit_bytes;
	if (!imap_take_space(p) || imap_parse_append(p, w) != 1) {
		imap_bad(s, p);
	} else if (w->size_bytes == 0) {
		imap_no(s, "[CANNOT] A message is not empty");
	} else if (w->size_bytes > most) {
		imap_no(s, "[TOOBIG] A message has at most %llu bytes", (unsigned long long)most);
	} else if (s->scanner.literal_waits) {
		s->work = w;
		imap_ask(s, &answers, mailbox_list_ask, .name = w->mailbox);
		return;
	} else if (imap_pack_keywords(s, &w->flags, &keywords)) {
		begin_message(s, w, buf_span(&keywords));
		return;
	}
	imap_skip_literal(s);
}

/* RFC 3501 §4.3: a literal has no NUL. The rest of it comes all the same. */
static void refuse_nul(struct imap_session *s, uint64_t left)
{
	imap_append_abandon(s);
	imap_no(s, "[CANNOT] A message has no NUL");
	s->scanner.literal_left = left;
	s->is_skipping = true;
}

void imap_append_input(struct imap_session *s)
{
	struct connection *c = s->connection;
	struct span in = connection_peek(c, s->message_left < PIECE_BYTES ? (size_t)s->message_left : PIECE_BYTES);
	if (span_chr(in, 0) >= 0) {
		refuse_nul(s, s->message_left);
		return;
	}
	bool has_room = delivery_write(s->delivery, in);
	s->message_left -= in.len;
	connection_consume(c, in.len);
	if (s->message_left == 0)
		s->input = IMAP_INPUT_MESSAGE_END;
	if (!has_room)
		connection_wait(c);
}

/* CR LF ends the command; there is no second message (RFC 3502 is not offered). */
void imap_append_end(struct imap_session *s, struct span line)
{
	if (line.len == 0) {
		connection_wait(s->connection);
		delivery_end(s->delivery);
		return;
	}
	imap_append_abandon(s);
	imap_bad_text(s, "There is something behind the message");
	/* a literal that comes unasked would be read as commands */
	if (span_ends_with(line, SPAN("+}")) && !s->connection->is_closing)
		imap_bye(s, "Only one message a command");
}

void imap_append_abandon(struct imap_session *s)
{
	if (s->delivery)
		delivery_cancel(s->delivery);
	s->delivery = NULL;
}
