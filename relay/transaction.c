/* One message over a session: MAIL, RCPT, DATA, its end (RFC 5321 §3.3), and what each answer means for the recipients.
 *
 * A 2xx, 4xx or 5xx is an answer to the message and final for this try; a lost connection, 421 or nonsense is a failure of
 * the host, and those without an answer are tried at the next. Once the end of the message is written, they are not: the
 * server may have it. */
#include "relay/session.h"
#include "wire/smtp.h"

#include <stdio.h>

/* 530 (RFC 4954 §6) of relay_host is about the login that it has not been told, and not about the message. */
static enum relay_outcome outcome_of(const struct session *s, const struct reply *r)
{
	if (r->code == 530 && s->job->route == ROUTE_RELAY_HOST)
		return RELAY_LATER;
	return r->code / 100 == 2 ? RELAY_DELIVERED : r->code / 100 == 5 ? RELAY_FAILED : RELAY_LATER;
}

static struct verdict verdict_of(const struct session *s, const struct reply *r)
{
	return (struct verdict){outcome_of(s, r), r->code, r->status, r->text};
}

static void decide_accepted(struct session *s, const struct verdict *v)
{
	struct job *j = s->job;
	for (size_t i = 0; i < j->recipient_count; i++)
		if (j->recipients[i].is_accepted)
			job_decide(j, &j->recipients[i], v);
}

/* ---- what the message needs ---- */

/* Binary data always goes as base64, which every server takes (RFC 3030 §3). */
static bool needs_7bit(const struct session *s)
{
	return s->job->facts & FACT_BINARY || (s->job->facts & FACT_8BIT && !s->offers.eightbitmime);
}

static void parse_first(struct session *s)
{
	struct job *j = s->job;
	mime_parser_free(j->parser);
	j->parser = mime_parser_new(NULL);
	session_enter(s, SESSION_PARSING);
	transfer_start(s, TRANSFER_PARSE, NULL);
}

void transaction_begin(struct session *s)
{
	struct job *j = s->job;
	if ((j->facts & FACT_SMTPUTF8) && !s->offers.smtputf8) {
		const struct verdict v = {RELAY_FAILED, 0, "5.6.7", "the server does not take internationalized mail (SMTPUTF8), which this message is"};
		job_decide_rest(j, &v);
		session_done(s, true);
		return;
	}
	if (needs_7bit(s) && !j->tree)
		parse_first(s);
	else
		transaction_mail(s);
}

static void give_up_unreadable(struct session *s, bool is_usable)
{
	const struct verdict v = {RELAY_LATER, 0, "4.3.0", "the message could not be read from this server's store"};
	job_decide_rest(s->job, &v);
	session_done(s, is_usable);
}

void transaction_parsed(struct session *s, bool is_readable)
{
	if (is_readable)
		transaction_mail(s);
	else
		give_up_unreadable(s, true);
}

/* In the middle of the message: only the end of the connection keeps the server from taking what it has. */
void transaction_unreadable(struct session *s)
{
	const struct verdict v = {RELAY_LATER, 0, "4.3.0", "the message could not be read from this server's store"};
	struct job *j = s->job;
	job_decide_rest(j, &v);
	s->job = NULL;
	session_free(s);
	job_session_done(j);
}

/* ---- envelope ---- */

static void add_mail(const struct session *s, struct buf *out)
{
	const struct job *j = s->job;
	buf_printf(out, "MAIL FROM:<%.*s>", SPAN_ARG(j->reverse_path));
	if (s->offers.size && !needs_7bit(s)) /* RFC 1870; converted, its size is not known yet */
		buf_printf(out, " SIZE=%llu", (unsigned long long)j->size);
	if (s->offers.eightbitmime && j->facts & FACT_8BIT && !needs_7bit(s))
		buf_add_cstr(out, " BODY=8BITMIME");
	if (j->facts & FACT_SMTPUTF8)
		buf_add_cstr(out, " SMTPUTF8");
	/* RFC 3461 §5.2.1: what was said about reports goes on as it was said, where it is understood */
	if (s->offers.dsn && j->ret != SMTP_RET_UNSAID)
		buf_printf(out, " RET=%s", j->ret == SMTP_RET_FULL ? "FULL" : "HDRS");
	if (s->offers.dsn && j->envid.len)
		buf_printf(out, " ENVID=%.*s", SPAN_ARG(j->envid));
	if (j->facts & FACT_REQUIRETLS && s->offers.requiretls && stream_is_secured(s->stream))
		buf_add_cstr(out, " REQUIRETLS");
	if (s->offers.mt_priority && j->priority)
		buf_printf(out, " MT-PRIORITY=%d", j->priority);
	buf_add_cstr(out, "\r\n");
}

static void add_rcpt(const struct session *s, size_t i, struct buf *out)
{
	const struct recipient *r = &s->job->recipients[i];
	buf_printf(out, "RCPT TO:<%.*s>", SPAN_ARG(r->address));
	if (s->offers.dsn && r->notify) {
		buf_add_cstr(out, " NOTIFY=");
		smtp_format_notify(r->notify, out);
	}
	if (s->offers.dsn && r->orcpt.len)
		buf_printf(out, " ORCPT=%.*s", SPAN_ARG(r->orcpt));
	buf_add_cstr(out, "\r\n");
}

/* The next recipient that still needs an answer, from `i` on; recipient_count if there is none. */
static size_t next_undecided(const struct job *j, size_t i)
{
	while (i < j->recipient_count && j->recipients[i].is_decided)
		i++;
	return i;
}

void transaction_mail(struct session *s)
{
	struct job *j = s->job;
	BUF_AUTO out = {0};
	s->accepted = 0;
	s->is_mail_refused = false;
	s->is_pipelined = s->offers.pipelining && !s->is_lmtp; /* which says nothing to the end of a message for nobody */
	s->rcpt_at = next_undecided(j, 0);
	add_mail(s, &out);
	if (s->is_pipelined) {
		for (size_t i = s->rcpt_at; i < j->recipient_count; i = next_undecided(j, i + 1))
			add_rcpt(s, i, &out);
		buf_add_cstr(&out, "DATA\r\n");
	}
	stream_write(s->stream, buf_span(&out));
	session_enter(s, SESSION_MAIL);
}

static void go_on_to_data(struct session *s)
{
	if (!s->is_pipelined && s->accepted == 0) {
		session_done(s, true);
		return;
	}
	if (!s->is_pipelined)
		stream_write(s->stream, SPAN("DATA\r\n"));
	session_enter(s, SESSION_DATA);
}

static void go_on_to_rcpt(struct session *s)
{
	if (s->rcpt_at == s->job->recipient_count) {
		go_on_to_data(s);
		return;
	}
	if (!s->is_pipelined) {
		BUF_AUTO out = {0};
		add_rcpt(s, s->rcpt_at, &out);
		stream_write(s->stream, buf_span(&out));
	}
	session_enter(s, SESSION_RCPT);
}

void transaction_on_mail(struct session *s, const struct reply *r)
{
	struct verdict v = verdict_of(s, r);
	if (r->code / 100 == 3) {
		session_fail(s, FAILURE_HOST, "answers MAIL with", r->text);
		return;
	}
	if (v.outcome == RELAY_DELIVERED) {
		go_on_to_rcpt(s);
		return;
	}
	if (!s->is_pipelined) {
		job_decide_rest(s->job, &v);
		session_done(s, true);
		return;
	}
	/* the answers to the rest of the group are still to come; those to RCPT mean nothing */
	s->is_mail_refused = true;
	s->mail_refusal = *r;
	go_on_to_rcpt(s);
}

void transaction_on_rcpt(struct session *s, const struct reply *r)
{
	struct job *j = s->job;
	struct recipient *recipient = &j->recipients[s->rcpt_at];
	const struct verdict v = verdict_of(s, s->is_mail_refused ? &s->mail_refusal : r);
	if (r->code / 100 == 3) {
		session_fail(s, FAILURE_HOST, "answers RCPT with", r->text);
		return;
	}
	s->rcpt_at = next_undecided(j, s->rcpt_at + 1);
	if (v.outcome == RELAY_DELIVERED) {
		recipient->is_accepted = true;
		s->accepted++;
	} else {
		job_decide(j, recipient, &v);
	}
	go_on_to_rcpt(s);
}

/* ---- the message ---- */

static void begin_body(struct session *s)
{
	struct job *j = s->job;
	bool must_convert = needs_7bit(s) && downgrade_is_needed(j->tree);
	job_allow_transfer(j);
	session_enter(s, SESSION_BODY);
	transfer_start(s, TRANSFER_SEND, must_convert ? j->tree : NULL);
}

void transaction_on_data(struct session *s, const struct reply *r)
{
	const struct verdict v = verdict_of(s, r);
	if (r->code == 354 && s->accepted) {
		begin_body(s);
	} else if (r->code == 354) {
		/* RFC 2920 §3.1: a message for nobody has to be ended, and what the server says of it means nothing */
		stream_write(s->stream, SPAN(".\r\n"));
		session_enter(s, SESSION_END);
	} else if (r->code / 100 < 4) {
		session_fail(s, FAILURE_HOST, "answers DATA with", r->text);
	} else {
		decide_accepted(s, &v);
		session_done(s, true);
	}
}

void transaction_body_sent(struct session *s)
{
	session_enter(s, SESSION_END);
}

/* A server that does not hear the message to its end: its refusal counts, anything else is nonsense. */
void transaction_on_early_reply(struct session *s, const struct reply *r)
{
	const struct verdict v = verdict_of(s, r);
	struct job *j = s->job;
	if (r->code / 100 < 4 || r->code == 421) {
		session_fail(s, FAILURE_HOST, "answers in the middle of the message", r->text);
		return;
	}
	decide_accepted(s, &v);
	s->job = NULL;
	session_free(s);
	job_session_done(j);
}

/* RFC 2033 §4.2: a reply for each recipient, in their order. True if there are more to come. */
static bool decide_next_accepted(struct session *s, const struct verdict *v)
{
	struct job *j = s->job;
	bool has_one = false;
	for (size_t i = 0; i < j->recipient_count; i++) {
		struct recipient *r = &j->recipients[i];
		if (!r->is_accepted || r->is_decided)
			continue;
		if (has_one)
			return true;
		job_decide(j, r, v);
		has_one = true;
	}
	return false;
}

void transaction_on_end(struct session *s, const struct reply *r)
{
	struct verdict v = verdict_of(s, r);
	v.has_dsn = s->offers.dsn;
	if (s->is_lmtp && r->code != 421 && decide_next_accepted(s, &v)) {
		session_enter(s, SESSION_END);
		return;
	}
	decide_accepted(s, &v);
	session_done(s, r->code != 421);
}

void transaction_lost_at_end(struct session *s, const char *why)
{
	char text[REPLY_TEXT_MOST + 1], all[REPLY_TEXT_MOST + 128];
	struct job *j = s->job;
	snprintf(all, sizeof all, "connection lost before the answer to the message, which may have been taken: %s", why);
	text_clean(span_cstr(all), text, sizeof text);
	const struct verdict v = {RELAY_LATER, 0, "4.4.2", text};
	decide_accepted(s, &v);
	s->job = NULL;
	session_free(s);
	job_session_done(j);
}
