/* DATA: the message itself (RFC 5321 §4.1.1.4). It ends at CR LF "." CR LF and nowhere else; a message with a bare CR, a bare
 * LF or a NUL is refused whole, so that no server behind us can find a second message in it (SMTP smuggling). */
#include "base/log.h"
#include "edge/smtp/session.h"

enum { READ_BYTES = 65536 };

static void writable(struct connection *c)
{
	connection_continue(c);
}

static const char *with_word(const struct smtp_session *s)
{
	/* RFC 3848 */
	static const char *words[2][2][2] = {{{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}}, {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}}};
	static const char *lmtp[2] = {"LMTP", "LMTPS"};
	const struct connection *c = s->connection;
	if (c->protocol->is_lmtp)
		return lmtp[connection_is_secured(c)];
	if (!s->is_esmtp)
		return "SMTP";
	return words[(s->facts & FACT_SMTPUTF8) != 0][connection_is_secured(c)][c->user.len != 0];
}

static void reply_for(struct smtp_session *s, const struct msg_delivery_result *m)
{
	char id[ID128_TEXT_BYTES + 1];
	id128_text(m->delivery, id);
	switch ((enum delivery_outcome)m->outcome) {
	case DELIVERED: smtp_reply(s, "250 2.0.0 Ok: delivered as %s", id); break;
	case QUEUED: case DELIVERY_DISCARDED: smtp_reply(s, "250 2.0.0 Ok: queued as %s", id); break;
	case DELIVERY_REFUSED: smtp_reply(s, "%.*s", SPAN_ARG(m->text)); break;
	case DELIVERY_LATER: case DELIVERY_UNKNOWN: case DELIVERY_NO_MAILBOX: case DELIVERY_NO_PERMISSION: case DELIVERY_PARKED:
		smtp_reply(s, "%.*s", SPAN_ARG(m->text.len ? m->text : SPAN("451 4.3.0 Cannot be stored now, try again later")));
		break;
	case DELIVERY_NOT_YOURS: smtp_reply(s, "550 5.7.1 The address in the From field is not yours"); break;
	case DELIVERY_NO_SPACE: smtp_reply(s, "452 4.3.1 No room on the disk, try again later"); break;
	case DELIVERY_NO_RECIPIENT: smtp_reply(s, "550 5.1.1 No such user here"); break;
	case DELIVERY_TOO_LARGE: smtp_reply(s, "552 5.3.4 Too large"); break;
	}
}

static void end_message(struct smtp_session *s)
{
	s->delivery = NULL;
	smtp_reset(s);
	connection_continue(s->connection);
	if (!s->is_last)
		return;
	smtp_reply(s, "421 4.3.2 %s closing", child_hostname(s->connection->edge->self));
	connection_close(s->connection);
}

/* RFC 2033 §4.2: one reply for each recipient, in their order. */
static void lmtp_done(struct smtp_session *s, const struct msg_delivery_result *m)
{
	size_t n = s->recipient_count;
	if (!s->lmtp_answers.len) {
		memset(buf_reserve(&s->lmtp_answers, n), 0xff, n);
		s->lmtp_answers.len = n;
	}
	if (m->recipient < n)
		s->lmtp_answers.ptr[m->recipient] = (char)m->outcome;
	for (size_t i = 0; m->recipient >= n && i < n; i++)
		if (s->lmtp_answers.ptr[i] == (char)0xff)
			s->lmtp_answers.ptr[i] = (char)m->outcome;
	if (span_chr(buf_span(&s->lmtp_answers), (char)0xff) >= 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct msg_delivery_result one = *m;
		one.outcome = (uint8_t)s->lmtp_answers.ptr[i];
		reply_for(s, &one);
	}
	end_message(s);
}

static void done(struct connection *c, const struct msg_delivery_result *m)
{
	struct smtp_session *s = c->state;
	if (!s || !s->delivery)
		return;
	if (c->protocol->is_lmtp) {
		lmtp_done(s, m);
		return;
	}
	reply_for(s, m);
	end_message(s);
}

static const struct delivery_events events = {writable, done};

void smtp_data(struct smtp_session *s, const struct smtp_command *command)
{
	(void)command;
	if (s->recipient_count == 0) {
		/* RFC 5321 §3.3, and for a pipelined group in which every RCPT failed */
		smtp_junk(s, "554 5.5.1 No valid recipients");
		return;
	}
	if (s->facts & FACT_BINARY) {
		smtp_junk(s, "503 5.5.1 BINARYMIME comes by BDAT"); /* RFC 3030 §3 */
		return;
	}
	if (!smtp_start_message(s)) {
		smtp_reply(s, "451 4.3.0 Cannot be taken now, try again later");
		return;
	}
	s->scanner = (struct smtp_data_scanner){0};
	s->state = SMTP_STATE_DATA;
	smtp_reply(s, "354 End with <CR><LF>.<CR><LF>");
}

bool smtp_start_message(struct smtp_session *s)
{
	struct connection *c = s->connection;
	struct delivery_facts facts = {
		.kind = c->protocol->is_lmtp ? DELIVERY_LMTP : c->protocol->is_local ? DELIVERY_LOCAL : smtp_is_submission(s) ? DELIVERY_SUBMISSION : DELIVERY_SMTP,
		.facts = (uint8_t)(s->facts | (connection_is_secured(c) ? FACT_SECURED : 0)), .priority = s->priority, .hold_s = s->hold_s,
		.reverse_path = s->reverse_path, .ret = (uint8_t)s->ret, .envid = s->envid, .helo = buf_span(&s->helo), .with = span_cstr(with_word(s)),
		.recipients = s->recipients, .recipient_count = s->recipient_count, .forwarded_by = s->forwarded_by};
	s->delivery = delivery_new(c, &facts, &events);
	if (s->delivery)
		smtp_count_message(s);
	return s->delivery != NULL;
}

static void refuse(struct smtp_session *s, const char *reply)
{
	struct connection *c = s->connection;
	log_event(LOG_LEVEL_WARNING, "message-refused", log_c("client", c->address), log_s("from", s->reverse_path), log_c("reply", reply));
	smtp_reset(s);
	smtp_junk(s, "%s", reply);
}

void smtp_finish_message(struct smtp_session *s)
{
	struct connection *c = s->connection;
	for (size_t i = 0; c->protocol->is_lmtp && (s->is_malformed || s->is_too_large) && i + 1 < s->recipient_count; i++)
		smtp_reply(s, s->is_malformed ? "550 5.6.0 Bare CR, LF or NUL in the message" : "552 5.3.4 Too large");
	if (s->is_malformed) {
		refuse(s, "550 5.6.0 Bare CR, LF or NUL in the message");
		return;
	}
	if (s->is_too_large) {
		refuse(s, "552 5.3.4 Too large");
		return;
	}
	s->state = SMTP_STATE_RCPT;
	connection_wait(c);
	delivery_end(s->delivery);
}

void smtp_data_input(struct smtp_session *s)
{
	struct connection *c = s->connection;
	uint64_t most = child_config(c->edge->self)->message_size_limit_bytes;
	while (!c->is_waiting) {
		struct span in = connection_peek(c, READ_BYTES), before = in, payload;
		if (!in.len)
			return;
		bool has_room = true;
		while (has_room && smtp_data_scan(&s->scanner, &in, &payload)) {
			s->is_too_large |= s->scanner.payload_bytes > most;
			/* what will be refused is read to its end and thrown away */
			s->is_malformed |= smtp_data_is_malformed(&s->scanner);
			if (!s->is_too_large && !s->is_malformed)
				has_room = delivery_write(s->delivery, payload);
		}
		s->is_malformed |= smtp_data_is_malformed(&s->scanner);
		connection_consume(c, before.len - in.len);
		if (s->scanner.state == SMTP_DATA_END) {
			smtp_finish_message(s);
			return;
		}
		if (!has_room)
			connection_wait(c);
	}
}
