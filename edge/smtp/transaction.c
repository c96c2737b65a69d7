/* MAIL and RCPT: the envelope (RFC 5321 §3.3). Whether a recipient exists, and whether a sender may be used, store says. */
#include "base/clock.h"
#include "base/log.h"
#include "base/network.h"
#include "edge/smtp/session.h"

/* Dots where RFC 5321 has none are let pass on the way in, as Postfix and Exim do: some phone providers gave such
 * addresses out. */
enum { PATH_FLAGS = ADDRESS_LOOSE };

void smtp_reset(struct smtp_session *s)
{
	if (s->delivery)
		delivery_cancel(s->delivery);
	s->delivery = NULL;
	arena_free(&s->memory);
	s->reverse_path = s->envid = s->forwarded_by = (struct span){0};
	s->asked = (struct delivery_recipient){0};
	s->ret = SMTP_RET_UNSAID;
	s->recipients = NULL;
	s->recipient_count = s->recipient_room = s->recipients_over = 0;
	s->is_too_large = s->is_malformed = s->is_priority_lowered = false;
	s->facts = 0;
	s->priority = PRIORITY_NORMAL;
	s->hold_s = 0;
	s->chunked_size = 0;
	s->chunk_scanner = (struct smtp_chunk_scanner){0};
	buf_clear(&s->lmtp_answers);
	s->sequence++; /* an answer that is still on its way is for nobody */
	if (s->state > SMTP_STATE_READY)
		s->state = SMTP_STATE_READY;
}

/* "local@domain" as it is sent between processes. */
static struct span address_text(struct smtp_session *s, const struct address *a)
{
	BUF_AUTO text = {0};
	if (a->is_postmaster)
		return SPAN("postmaster");
	if (a->is_null)
		return SPAN("");
	buf_add(&text, a->local_part);
	buf_add_char(&text, '@');
	buf_add(&text, a->domain);
	return arena_dup(&s->memory, buf_span(&text));
}

static void accept_sender(struct smtp_session *s)
{
	s->state = SMTP_STATE_MAIL;
	if (s->is_priority_lowered)
		smtp_reply(s, "250 2.3.6 Ok, with priority 0"); /* RFC 6710 §4.1 */
	else
		smtp_reply(s, "250 2.1.0 Ok");
}

/* RFC 4865 §4.2: for users only, and not for longer than EHLO says. */
static int take_hold(struct smtp_session *s, const struct smtp_mail *mail, struct error *why)
{
	uint32_t most_s = (uint32_t)child_config(s->connection->edge->self)->hold_most_s;
	int64_t hold_s = mail->hold == SMTP_HOLD_UNTIL ? mail->hold_until_s - clock_wall_s() : (int64_t)mail->hold_for_s;
	if (mail->hold == SMTP_HOLD_UNSAID)
		return 0;
	if (!smtp_is_submission(s) || !most_s)
		return error_set(why, 555, "5.5.4 Messages are not held here");
	if (hold_s > (int64_t)most_s)
		return error_set(why, 501, "5.5.4 Messages are held for %u seconds at most", most_s);
	s->hold_s = hold_s > 0 ? (uint32_t)hold_s : 0; /* a time that is past: at once */
	return 0;
}

/* RFC 6710 §5.1: a stranger's message is not more urgent than others only because he says so. */
static void take_priority(struct smtp_session *s, int wanted)
{
	const struct protocol *p = s->connection->protocol;
	bool is_trusted = p->is_submission || p->is_lmtp || p->is_local;
	s->is_priority_lowered = wanted > 0 && !is_trusted;
	s->priority = (uint8_t)(PRIORITY_NORMAL + (s->is_priority_lowered ? 0 : wanted));
}

static int take_options(struct smtp_session *s, const struct smtp_mail *mail, struct error *why)
{
	if (mail->requiretls && !connection_is_secured(s->connection))
		return error_set(why, 530, "5.7.10 REQUIRETLS comes after STARTTLS"); /* RFC 8689 §2 */
	bool is_binary = mail->body == SMTP_BODY_BINARYMIME;
	s->facts = (uint8_t)((mail->smtputf8 ? FACT_SMTPUTF8 : 0) | (mail->body >= SMTP_BODY_8BITMIME ? FACT_8BIT : 0) |
	                     (is_binary ? FACT_BINARY : 0) | (mail->requiretls ? FACT_REQUIRETLS : 0));
	s->chunk_scanner.is_binary = is_binary;
	s->ret = mail->ret;
	s->envid = arena_dup(&s->memory, mail->envid);
	take_priority(s, mail->priority);
	return take_hold(s, mail, why);
}

/* What a stranger has done too much of lately: the setting is the limit of `counts`. */
static bool is_over(const struct smtp_session *s, const struct rates *counts, uint32_t most)
{
	uint64_t key = network_key(span_cstr(s->connection->address));
	return smtp_is_stranger(s) && rates_are_over(counts, key, most, RATE_HOUR_MS, clock_monotonic_ms());
}

static void count_one(struct smtp_session *s, struct rates *counts, uint32_t most, const char *setting)
{
	struct connection *c = s->connection;
	if (!smtp_is_stranger(s))
		return;
	rates_count(counts, network_key(span_cstr(c->address)), most, RATE_HOUR_MS, clock_monotonic_ms());
	if (!is_over(s, counts, most))
		return;
	c->edge->limited_count++;
	log_event(LOG_LEVEL_WARNING, "limit-reached", log_c("limit", setting), log_c("client", c->address));
}

void smtp_count_message(struct smtp_session *s)
{
	struct edge_process *e = s->connection->edge;
	count_one(s, &e->message_rates, child_config(e->self)->messages_per_hour, "messages_per_hour");
}

void smtp_mail(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	const struct config *config = child_config(c->edge->self);
	struct smtp_mail mail;
	struct error why = {0};
	if (s->state != SMTP_STATE_READY) {
		smtp_junk(s, "503 5.5.1 One message at a time: RSET first");
		return;
	}
	if (smtp_is_submission(s) && !c->user.len) {
		smtp_junk(s, "530 5.7.0 Authenticate first");
		return;
	}
	if (is_over(s, &c->edge->message_rates, config->messages_per_hour)) {
		smtp_junk(s, "450 4.7.1 Your address has brought too many messages in the last hour, try again later");
		return;
	}
	if (smtp_parse_mail(command->argument, PATH_FLAGS, &mail, &why)) {
		smtp_junk(s, "%d %s", why.code, why.text);
		return;
	}
	if (mail.has_size && mail.size_bytes > config->message_size_limit_bytes) {
		smtp_reply(s, "552 5.3.4 The limit is %llu octets", (unsigned long long)config->message_size_limit_bytes);
		return;
	}
	if (take_options(s, &mail, &why)) {
		smtp_reset(s);
		smtp_junk(s, "%d %s", why.code, why.text);
		return;
	}
	s->reverse_path = address_text(s, &mail.reverse_path);
	s->announced_size = mail.has_size ? mail.size_bytes : 0;
	if (!smtp_is_submission(s)) {
		accept_sender(s);
		return;
	}
	if (!c->edge->store || !c->session) {
		smtp_reset(s);
		smtp_reply(s, "451 4.3.0 Cannot be checked now, try again later");
		return;
	}
	connection_wait(c);
	channel_send(c->edge->store, sender_ask, .token = c->token, .session = c->session, .address = s->reverse_path);
}

void smtp_sender_answered(struct connection *c, const struct msg_sender_answer *m)
{
	struct smtp_session *s = c->state;
	if (!s || !c->is_waiting || s->state != SMTP_STATE_READY)
		return;
	if (m->is_allowed) {
		accept_sender(s);
	} else if (m->is_later) {
		smtp_reset(s);
		smtp_reply(s, "451 4.3.0 Cannot be checked now, try again later");
	} else {
		log_event(LOG_LEVEL_WARNING, "sender-not-owned", log_s("user", buf_span(&c->user)), log_s("from", s->reverse_path),
		          log_c("client", c->address));
		smtp_reset(s);
		smtp_junk(s, "553 5.7.1 That sender address is not yours");
	}
	connection_continue(c);
}

/* RFC 5321 §4.5.3.1.10: who named more is to send what was taken and to come again with the rest, and is no fool for that. As many again
 * are borne, since clients name all before they read an answer. */
static void too_many_recipients(struct smtp_session *s)
{
	static const char reply[] = "452 4.5.3 Too many recipients";
	if (++s->recipients_over > child_config(s->connection->edge->self)->recipients_most)
		smtp_junk(s, reply);
	else
		smtp_reply(s, reply);
}

void smtp_rcpt(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	struct smtp_rcpt rcpt;
	struct error why = {0};
	unsigned flags = PATH_FLAGS | (s->facts & FACT_SMTPUTF8 ? ADDRESS_UTF8 : 0);
	if (smtp_parse_rcpt(command->argument, flags, &rcpt, &why)) {
		smtp_junk(s, "%d %s", why.code, why.text);
		return;
	}
	if (s->recipient_count >= child_config(c->edge->self)->recipients_most) {
		too_many_recipients(s);
		return;
	}
	/* who tries which addresses there are hears of none any more, existing or not (attack 90) */
	if (is_over(s, &c->edge->unknown_rates, child_config(c->edge->self)->unknown_per_hour)) {
		smtp_junk(s, "450 4.7.1 Your address has named too many unknown recipients in the last hour, try again later");
		return;
	}
	if (is_over(s, &c->edge->message_rates, child_config(c->edge->self)->messages_per_hour)) {
		smtp_junk(s, "450 4.7.1 Your address has brought too many messages in the last hour, try again later");
		return;
	}
	if (!c->edge->store) {
		smtp_reply(s, "451 4.3.0 Cannot be checked now, try again later");
		return;
	}
	s->asked = (struct delivery_recipient){.address = address_text(s, &rcpt.forward_path), .notify = (uint8_t)rcpt.notify,
	                                       .orcpt = arena_dup(&s->memory, rcpt.orcpt)};
	bool is_greylisted = child_config(c->edge->self)->greylist_delay_s && smtp_is_stranger(s);
	connection_wait(c);
	channel_send(c->edge->store, rcpt_ask, .token = c->token, .sequence = ++s->sequence, .session = c->session, .is_local = c->protocol->is_local,
	             .address = s->asked.address, .size = s->announced_size, .stranger = is_greylisted ? span_cstr(c->address) : SPAN(""), .reverse_path = s->reverse_path);
}

static void add_recipient(struct smtp_session *s)
{
	if (s->recipient_count == s->recipient_room) {
		size_t room = s->recipient_room ? s->recipient_room * 2 : 4;
		struct delivery_recipient *list = arena_alloc_array(&s->memory, room, sizeof *list);
		if (s->recipient_count)
			memcpy(list, s->recipients, s->recipient_count * sizeof *list);
		s->recipients = list;
		s->recipient_room = room;
	}
	s->recipients[s->recipient_count++] = s->asked;
	s->state = SMTP_STATE_RCPT;
	smtp_reply(s, "250 2.1.5 Ok");
}

void smtp_rcpt_answered(struct connection *c, const struct msg_rcpt_answer *m)
{
	static const char *const refusals[] = {
		[RCPT_UNKNOWN] = "550 5.1.1 No such user here",
		[RCPT_NO_RELAY] = "550 5.7.1 Relaying denied",
		[RCPT_BAD] = "553 5.1.3 That is not an address",
		[RCPT_LATER] = "451 4.3.0 Cannot be checked now, try again later",
		[RCPT_FULL] = "452 4.2.2 The mailbox is full",
		[RCPT_NO_SPACE] = "452 4.3.1 No room on the disk, try again later",
		[RCPT_NOWHERE] = "550 5.1.2 No mail goes there from here",
		[RCPT_GREYLISTED] = "450 4.2.0 Greylisted: try again later",
		[RCPT_RATE] = "450 4.7.1 You have sent to too many recipients in the last hour, try again later"};
	struct smtp_session *s = c->state;
	if (!s || m->sequence != s->sequence || !c->is_waiting)
		return;
	const char *refusal = m->outcome < sizeof refusals / sizeof refusals[0] ? refusals[m->outcome] : refusals[RCPT_LATER];
	/* what a program hands over may wait in the drop folder, where nobody hears a refusal: its sender gets a bounce, as by Postfix */
	bool is_bounced = (m->outcome == RCPT_UNKNOWN || m->outcome == RCPT_NOWHERE) && c->protocol->is_local;
	if (!refusal || is_bounced) {
		if (!s->forwarded_by.len)
			s->forwarded_by = arena_dup(&s->memory, m->forwarded_by);
		add_recipient(s);
	} else {
		if (m->outcome == RCPT_GREYLISTED)
			smtp_count_message(s); /* it costs a row on the disk */
		if (m->outcome == RCPT_UNKNOWN)
			count_one(s, &c->edge->unknown_rates, child_config(c->edge->self)->unknown_per_hour, "unknown_per_hour");
		log_event(LOG_LEVEL_INFO, "recipient-refused", log_s("to", s->asked.address), log_s("from", s->reverse_path),
		          log_c("client", c->address), log_c("reply", refusal));
		if (refusal[0] == '5')
			smtp_junk(s, "%s", refusal);
		else
			smtp_reply(s, "%s", refusal);
	}
	connection_continue(c);
}

/* store died while it was asked. */
void smtp_ask_again_failed(struct smtp_session *s)
{
	struct connection *c = s->connection;
	if (!c->is_waiting || s->delivery || s->state == SMTP_STATE_AUTH || c->login_number)
		return;
	if (s->state == SMTP_STATE_READY)
		smtp_reset(s);
	s->sequence++;
	smtp_reply(s, "451 4.3.0 Cannot be checked now, try again later");
	connection_continue(c);
}
