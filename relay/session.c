/* A connection: opening, EHLO, STARTTLS, keeping it for the next message, QUIT. The transaction is in transaction.c.
 *
 *   state        waits for                    then
 *   CONNECTING   the socket                   GREETING
 *   GREETING     220                          EHLO
 *   EHLO         250; 5xx: HELO               STARTTLS if offered and wanted, else the transaction, unless TLS is a must
 *   HELO         250                          the transaction
 *   STARTTLS     220; else on without TLS,    HANDSHAKE
 *                unless it is a must
 *   HANDSHAKE    TLS                          EHLO (RFC 3207 §4.2), or GREETING where TLS comes first
 *   AUTH         235 (relay/login.c)          the transaction
 *   PARSING      the structure (transfer.c)   MAIL
 *   RSET         250                          the transaction
 *   MAIL, RCPT   one reply each               RCPT, DATA
 *   DATA         354                          BODY
 *   BODY         the last byte written        END
 *   END          the reply to it              IDLE or QUIT
 *   IDLE         the next message, 2 s        RSET, or QUIT
 *   QUIT         221                          freed
 *
 * Anything else, a time-out or the end of the connection is a failure of this host: job.c takes the next. */
#include "relay/session.h"

#include "base/die.h"
#include "base/log.h"
#include "base/tls.h"
#include "relay/connect.h"
#include "relay/demand.h"
#include "relay/login.h"
#include "relay/tls_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	IDLE_MS = 2000,
	MAILS_MOST = 100, /* on one connection: Postfix's and Sendmail's limits are of this order */
};

/* How long a state may last, ms: RFC 5321 §4.5.3.2 where it says so. */
static const int64_t patience_ms[SESSION_STATES] = {
	[SESSION_CONNECTING] = 30000,
	[SESSION_GREETING] = 5 * 60000,  /* §4.5.3.2.1 */
	[SESSION_EHLO] = 5 * 60000,
	[SESSION_HELO] = 5 * 60000,
	[SESSION_STARTTLS] = 2 * 60000,
	[SESSION_HANDSHAKE] = 60000,
	[SESSION_AUTH] = 2 * 60000,
	[SESSION_PARSING] = 60000,       /* store, not the server */
	[SESSION_RSET] = 30000,
	[SESSION_MAIL] = 5 * 60000,      /* §4.5.3.2.2 */
	[SESSION_RCPT] = 5 * 60000,      /* §4.5.3.2.3 */
	[SESSION_DATA] = 2 * 60000,      /* §4.5.3.2.4 */
	[SESSION_BODY] = 3 * 60000,      /* §4.5.3.2.5: for each piece that is written */
	[SESSION_END] = 10 * 60000,      /* §4.5.3.2.6 */
	[SESSION_IDLE] = IDLE_MS,
	[SESSION_QUIT] = 5000,
};

static const char *const waiting_for[SESSION_STATES] = {
	"connect", "greeting", "reply to EHLO", "reply to HELO", "reply to STARTTLS", "TLS handshake", "reply to AUTH", "store", "reply to RSET",
	"reply to MAIL", "reply to RCPT", "reply to DATA", "taking the message", "reply to the end of the message", "next message",
	"reply to QUIT",
};

static const char *tls_is_a_must(const struct session *s)
{
	return s->target.is_by_policy ? "TLS is a must here (the domain's MTA-STS policy)" : "TLS is a must here (DANE, REQUIRETLS or a login)";
}

static void say(struct session *s, const char *command)
{
	stream_write(s->stream, span_cstr(command));
}

void session_enter(struct session *s, enum session_state state)
{
	s->state = state;
	timer_set(s->patience, patience_ms[state]);
}

static void release(void *context)
{
	free(context);
}

void session_free(struct session *s)
{
	struct relay_process *p = s->relay;
	if (s->is_dead)
		return;
	s->is_dead = true;
	if (s->next)
		s->next->before = s->before;
	if (s->before)
		s->before->next = s->next;
	else
		p->sessions = s->next;
	p->session_count--;
	transfer_stop(&s->transfer);
	connect_free(s->connecting);
	timer_free(s->patience);
	stream_free(s->stream);
	s->stream = NULL;
	/* whoever is calling may still look at it */
	s->release = (struct later){.fn = release, .context = s};
	loop_later(p->loop, &s->release);
}

void sessions_retire(struct relay_process *p)
{
	for (struct session *s = p->sessions, *next; s; s = next) {
		next = s->next;
		s->is_retired = true;
		if (!s->job)
			session_free(s);
	}
}

void session_fail(struct session *s, enum session_failure failure, const char *what, const char *detail)
{
	char text[REPLY_TEXT_MOST + 128], clean[REPLY_TEXT_MOST + 1];
	struct job *j = s->job;
	snprintf(text, sizeof text, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
	text_clean(span_cstr(text), clean, sizeof clean);
	s->job = NULL;
	session_free(s);
	if (j)
		job_session_failed(j, failure, clean);
}

/* The policy is the next hop's (RFC 8461 §3.4). */
static void lose_tls(struct session *s, const char *why)
{
	char text[2 * TARGET_NAME_BYTES + 128];
	const char *distrust = s->state == SESSION_HANDSHAKE && s->target.is_by_policy ? stream_distrust(s->stream) : NULL;
	if (distrust)
		snprintf(text, sizeof text, "the certificate of %s does not fit the MTA-STS policy of %s (%s)", s->target.host, s->job->hop_host, distrust);
	else
		snprintf(text, sizeof text, "%s: %s", waiting_for[s->state], why);
	tls_report_handshake_failed(s, why);
	session_fail(s, s->target.must_use_tls ? FAILURE_UNSAFE : FAILURE_TLS, text, NULL);
}

/* The connection has gone, or the server takes too long. */
static void lose(struct session *s, const char *why)
{
	switch (s->state) {
	case SESSION_IDLE:
	case SESSION_QUIT:
		session_free(s);
		return;
	case SESSION_RSET:
		session_fail(s, FAILURE_STALE, why, NULL);
		return;
	case SESSION_STARTTLS:
	case SESSION_HANDSHAKE:
		lose_tls(s, why);
		return;
	case SESSION_END:
		transaction_lost_at_end(s, why);
		return;
	case SESSION_CONNECTING:
	case SESSION_GREETING:
	case SESSION_EHLO:
	case SESSION_HELO:
	case SESSION_AUTH:
	case SESSION_PARSING:
	case SESSION_MAIL:
	case SESSION_RCPT:
	case SESSION_DATA:
	case SESSION_BODY:
	case SESSION_STATES:
		session_fail(s, FAILURE_HOST, waiting_for[s->state], why);
		return;
	}
}

static void quit(struct session *s)
{
	say(s, "QUIT\r\n");
	session_enter(s, SESSION_QUIT);
}

static void on_patience_lost(void *context)
{
	struct session *s = context;
	if (s->state == SESSION_IDLE)
		quit(s);
	else
		lose(s, "timeout");
}

void session_done(struct session *s, bool is_usable)
{
	struct job *j = s->job;
	s->job = NULL;
	s->mail_count++;
	/* they are in the job's memory, and have done what they were for */
	s->target.proof = NULL;
	s->target.tlsa = NULL;
	s->target.tlsa_count = 0;
	if (is_usable && s->mail_count < MAILS_MOST && !s->relay->is_stopping && !s->is_retired)
		session_enter(s, SESSION_IDLE);
	else
		quit(s);
	job_session_done(j);
}

static bool is_idle_for(const struct session *s, const struct job *j)
{
	return s->state == SESSION_IDLE && strcmp(s->next_hop, j->next_hop) == 0 && s->route == j->route &&
	       s->target.is_lax == demand_is_lax(j) && s->target.tls == j->tls &&
	       s->target.wants_login == login_is_wanted(j->relay, j->route, j->next_hop) && (!demand_is_secret(j) || s->target.wants_requiretls);
}

/* The sender decides by which family mail leaves (resolve/standing.h), unless somebody has chosen the next hop. */
static bool is_of_sender(const struct session *s, const struct job *j)
{
	return j->route != ROUTE_DOMAIN || span_equal_nocase(span_cstr(s->sender), job_sender_domain(j));
}

static bool is_among_targets(const struct session *s, const struct job *j)
{
	for (size_t i = 0; i < j->targets.count; i++) {
		const struct target *t = &j->targets.list[i];
		if (strcmp(t->name, s->target.name) == 0 && (s->target.must_use_tls || !t->must_use_tls))
			return true;
	}
	return false;
}

static void take_job(struct session *s, struct job *j)
{
	s->job = j;
	snprintf(s->sender, sizeof s->sender, "%.*s", SPAN_ARG(span_slice(job_sender_domain(j), 0, sizeof s->sender - 1)));
}

struct session *session_reuse(struct job *j)
{
	for (struct session *s = j->relay->sessions; s; s = s->next) {
		if (!is_idle_for(s, j) || (j->targets.count ? !is_among_targets(s, j) : !is_of_sender(s, j)))
			continue;
		take_job(s, j);
		say(s, "RSET\r\n");
		session_enter(s, SESSION_RSET);
		return s;
	}
	return NULL;
}

/* ---- greeting and offers ---- */

static void say_hello(struct session *s, enum session_state state)
{
	char line[300];
	snprintf(line, sizeof line, "%s %s\r\n", s->is_lmtp ? "LHLO" : state == SESSION_EHLO ? "EHLO" : "HELO", child_hostname(s->relay->self));
	s->offers = (struct session_offers){0};
	say(s, line);
	session_enter(s, state);
}

static void note_offer(struct session *s, struct span keyword)
{
	struct span word = span_next_word(&keyword);
	s->offers.starttls |= span_equal_nocase(word, SPAN("STARTTLS"));
	s->offers.pipelining |= span_equal_nocase(word, SPAN("PIPELINING"));
	s->offers.eightbitmime |= span_equal_nocase(word, SPAN("8BITMIME"));
	s->offers.size |= span_equal_nocase(word, SPAN("SIZE"));
	s->offers.smtputf8 |= span_equal_nocase(word, SPAN("SMTPUTF8"));
	s->offers.requiretls |= span_equal_nocase(word, SPAN("REQUIRETLS"));
	s->offers.mt_priority |= span_equal_nocase(word, SPAN("MT-PRIORITY"));
	s->offers.dsn |= span_equal_nocase(word, SPAN("DSN"));
	bool is_auth = span_equal_nocase(word, SPAN("AUTH"));
	while (is_auth && (word = span_next_word(&keyword)).len) {
		s->offers.auth_plain |= span_equal_nocase(word, SPAN("PLAIN"));
		s->offers.auth_login |= span_equal_nocase(word, SPAN("LOGIN"));
	}
}

static void on_greeting(struct session *s, const struct reply *r)
{
	struct span helo = tls_report_helo(span_cstr(r->text));
	snprintf(s->helo, sizeof s->helo, "%.*s", SPAN_ARG(helo));
	s->was_greeted = true;
	if (r->code != 220)
		session_fail(s, FAILURE_HOST, "refuses the connection", r->text);
	else
		say_hello(s, SESSION_EHLO);
}

/* What a policy for testing would not have allowed. */
static void note_tested(const struct session *s, const char *why)
{
	log_event(LOG_LEVEL_WARNING, "mta-sts-tested", log_c("host", s->target.name), log_c("domain", s->job->hop_host), log_c("why", why),
	          log_c("then", "the mail is sent, as the policy is one for testing"));
}

static void begin_transaction(struct session *s)
{
	if (s->target.is_tested && !stream_is_secured(s->stream))
		note_tested(s, "there is no TLS");
	transaction_begin(s);
}

static void lack_requiretls(struct session *s)
{
	s->job->lacks_requiretls = true;
	session_fail(s, FAILURE_UNSAFE, "REQUIRETLS support required", "the server does not offer it"); /* RFC 8689 §4.2.1 */
}

static void on_ehlo(struct session *s, const struct reply *r)
{
	if (r->code / 100 == 5 && s->state == SESSION_EHLO && !s->is_lmtp && !stream_is_secured(s->stream) && !s->target.must_use_tls) {
		say_hello(s, SESSION_HELO); /* RFC 5321 §3.2 */
		return;
	}
	if (r->code / 100 != 2) {
		session_fail(s, FAILURE_HOST, "refuses the greeting", r->text);
		return;
	}
	if (s->offers.starttls && s->may_use_tls && !stream_is_secured(s->stream)) {
		say(s, "STARTTLS\r\n");
		session_enter(s, SESSION_STARTTLS);
		return;
	}
	if (!s->offers.starttls)
		tls_report_refused(s, NULL);
	if (s->target.must_use_tls && !stream_is_secured(s->stream))
		session_fail(s, FAILURE_UNSAFE, tls_is_a_must(s), "the server does not offer STARTTLS");
	else if (s->target.wants_requiretls && !s->offers.requiretls)
		lack_requiretls(s);
	else if (s->target.wants_login)
		login_begin(s);
	else
		begin_transaction(s);
}

static void start_tls(struct session *s)
{
	session_enter(s, SESSION_HANDSHAKE);
	stream_start_tls_client(s->stream, s->relay->tls, s->target.host[0] == '[' ? NULL : s->target.host, s->target.proof);
	s->target.proof = NULL; /* it goes with the job's memory */
}

/* What came with the answer was said in the clear and may be anyone's (CVE-2011-0411). */
static void on_starttls(struct session *s, const struct reply *r)
{
	if (r->code != 220) {
		tls_report_refused(s, r->text);
		if (s->target.must_use_tls)
			session_fail(s, FAILURE_UNSAFE, tls_is_a_must(s), r->text);
		else
			begin_transaction(s);
		return;
	}
	if (stream_input_length(s->stream)) {
		session_fail(s, s->target.must_use_tls ? FAILURE_UNSAFE : FAILURE_TLS, "sends more than the answer to STARTTLS before the TLS handshake", NULL);
		return;
	}
	start_tls(s);
}

static void on_rset(struct session *s, const struct reply *r)
{
	if (r->code / 100 == 2)
		transaction_begin(s);
	else
		session_fail(s, FAILURE_STALE, r->text, NULL);
}

static void on_goodbye(struct session *s, const struct reply *r)
{
	(void)r;
	session_free(s);
}

static void on_unasked(struct session *s, const struct reply *r)
{
	lose(s, r->text);
}

typedef void reply_fn(struct session *s, const struct reply *r);

static reply_fn *const on_reply[SESSION_STATES] = {
	[SESSION_CONNECTING] = on_unasked,
	[SESSION_GREETING] = on_greeting,
	[SESSION_EHLO] = on_ehlo,
	[SESSION_HELO] = on_ehlo,
	[SESSION_STARTTLS] = on_starttls,
	[SESSION_HANDSHAKE] = on_unasked,
	[SESSION_AUTH] = login_on_reply,
	[SESSION_PARSING] = on_unasked,
	[SESSION_RSET] = on_rset,
	[SESSION_MAIL] = transaction_on_mail,
	[SESSION_RCPT] = transaction_on_rcpt,
	[SESSION_DATA] = transaction_on_data,
	[SESSION_BODY] = transaction_on_early_reply,
	[SESSION_END] = transaction_on_end,
	[SESSION_IDLE] = on_unasked,
	[SESSION_QUIT] = on_goodbye,
};

/* ---- the stream's events ---- */

/* RFC 5321 §4.2.1: 421 may be the answer to any command. */
static bool is_farewell(const struct session *s, const struct reply *r)
{
	return r->code == 421 && s->state != SESSION_END && s->state != SESSION_BODY;
}

static void handle_reply(struct session *s)
{
	struct reply reply = s->reader.reply;
	s->reader = (struct reply_reader){0};
	if (is_farewell(s, &reply) && s->state != SESSION_GREETING)
		lose(s, reply.text);
	else
		on_reply[s->state](s, &reply);
}

/* Takes one line; false if there is none. */
static bool take_line(struct session *s)
{
	struct span in = stream_peek(s->stream, SMTP_REPLY_LINE_MAX + 2), keyword = {0};
	struct error why;
	ssize_t end = span_chr(in, '\n');
	if (end < 0 && in.len < SMTP_REPLY_LINE_MAX + 2)
		return false;
	if (end < 0) {
		lose(s, "a reply line is too long");
		return false;
	}
	struct span line = span_slice(in, 0, (size_t)end);
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	bool is_first = s->reader.lines == 0;
	int whole = reply_take(&s->reader, line, &keyword, &why);
	if (whole >= 0 && s->state == SESSION_EHLO && !is_first)
		note_offer(s, keyword);
	stream_consume(s->stream, (size_t)end + 1);
	if (whole < 0)
		lose(s, why.text);
	else if (whole)
		handle_reply(s);
	return true;
}

static void on_readable(void *context)
{
	struct session *s = context;
	while (!s->is_dead && s->state != SESSION_HANDSHAKE && take_line(s))
		;
}

static void on_drained(void *context)
{
	struct session *s = context;
	if (s->is_dead || s->state != SESSION_BODY)
		return;
	session_enter(s, SESSION_BODY);
	transfer_go_on(s);
}

static void on_secured(void *context)
{
	struct session *s = context;
	if (s->is_dead)
		return;
	if (s->target.is_tested && stream_distrust(s->stream))
		note_tested(s, stream_distrust(s->stream));
	tls_report_secured(s);
	if (s->was_greeted)
		say_hello(s, SESSION_EHLO);
	else
		session_enter(s, SESSION_GREETING);
}

static void on_closed(void *context, const char *why)
{
	struct session *s = context;
	if (!s->is_dead)
		lose(s, why);
}

static const struct stream_events stream_events = {
	.readable = on_readable, .drained = on_drained, .secured = on_secured, .closed = on_closed};

/* ---- connecting ---- */

static void on_connected(void *context, const struct target *target, int fd)
{
	struct session *s = context;
	s->connecting = NULL;
	s->was_connected = true;
	s->target = *target;
	tls_report_connected(s, fd);
	s->stream = stream_new(s->relay->loop, fd, &stream_events, s);
	if (s->target.is_tls_first)
		start_tls(s);
	else
		session_enter(s, SESSION_GREETING);
}

static void on_connect_failed(void *context, const struct target *target, const char *why)
{
	struct session *s = context;
	s->connecting = NULL;
	s->target = *target;
	session_fail(s, FAILURE_HOST, waiting_for[SESSION_CONNECTING], why);
}

/* relay_connections counts idle connections too. */
static void make_room(struct relay_process *p)
{
	if (p->session_count < child_config(p->self)->relay_connections)
		return;
	for (struct session *s = p->sessions; s; s = s->next)
		if (!s->job) {
			session_free(s);
			return;
		}
}

struct session *session_open(struct job *j, const struct target *target, const struct target *second, bool may_use_tls, struct error *why)
{
	struct relay_process *p = j->relay;
	make_room(p);
	struct session *s = xcalloc(1, sizeof *s);
	*s = (struct session){.relay = p, .next = p->sessions, .target = *target, .is_lmtp = j->is_lmtp, .route = j->route,
	                      .may_use_tls = (may_use_tls && target->tls != ROUTE_TLS_NEVER) || target->must_use_tls};
	struct connect_use use = {on_connected, on_connect_failed, s};
	s->connecting = connect_begin(p, target, second, &use, why);
	if (!s->connecting) {
		free(s);
		return NULL;
	}
	memcpy(s->next_hop, j->next_hop, sizeof s->next_hop);
	take_job(s, j);
	if (s->next)
		s->next->before = s;
	p->sessions = s;
	p->session_count++;
	s->patience = timer_new(p->loop, on_patience_lost, s);
	session_enter(s, SESSION_CONNECTING);
	return s;
}
