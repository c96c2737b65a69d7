/* A job's life: its hosts one after another, until every recipient has its result. */
#include "relay/job.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "relay/demand.h"
#include "relay/former.h"
#include "relay/session.h"
#include "relay/tls_report.h"
#include "wire/address.h"
#include "wire/next_hop.h"
#include "wire/smtp.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	TRIES_MOST = 5,                     /* addresses, whatever the DNS says; RFC 5321 §5.1: two at least */
	DEADLINE_MS = 10 * 60 * 1000,       /* until a server takes the message; a slow one must not hold a slot longer */
	TRANSFER_BYTES_PER_S_LEAST = 4096,  /* a server that takes less is given up */
	FINAL_REPLY_MS = 10 * 60 * 1000,    /* RFC 5321 §4.5.3.2.6 */
	LMTP_PORT = 24,                     /* RFC 2033 §5: not 25; this is what private mail systems use */
	RECIPIENTS_MOST = 100000,           /* recipients_most's largest value: config/settings.def */
};

static const char *const outcome_words[] = {"delivered", "later", "failed"};

static void release(void *context)
{
	struct job *j = context;
	mime_parser_free(j->parser);
	arena_free(&j->arena);
	free(j->recipients);
	free(j);
}

void job_stop(struct job *j)
{
	struct relay_process *p = j->relay;
	if (j->question)
		map_take(&p->questions, j->question);
	j->question = 0;
	timer_free(j->deadline);
	j->deadline = NULL;
	if (j->session) {
		j->session->job = NULL;
		session_free(j->session);
		j->session = NULL;
	}
}

void job_drop(struct job *j)
{
	struct relay_process *p = j->relay;
	job_stop(j);
	j->state = JOB_ENDED;
	if (j->is_former)
		former_remove(j);
	else
		map_take(&p->jobs, j->number);
	/* whoever is calling may still look at it */
	j->release = (struct later){.fn = release, .context = j};
	loop_later(p->loop, &j->release);
}

static void end(struct job *j)
{
	struct relay_process *p = j->relay;
	job_stop(j);
	if (j->is_former) {
		former_ended(j);
		return;
	}
	channel_send(p->store, job_done, .job = j->number);
	j->state = JOB_TOLD;
	if (p->is_stopping)
		job_drop(j);
	relay_job_ended(p);
}

static const char *current_host(const struct job *j)
{
	return j->session ? j->session->target.name : "";
}

static void log_result(const struct job *j, const struct recipient *r, const struct verdict *v)
{
	char id[ID128_TEXT_BYTES + 1], tls[128] = "";
	if (j->session && j->session->stream)
		stream_tls_text(j->session->stream, tls, sizeof tls);
	log_event(LOG_LEVEL_INFO, "relayed", log_s("id", id128_text(j->delivery, id)), log_s("to", r->address),
	          log_c("outcome", outcome_words[v->outcome]), log_c("host", current_host(j)), log_n("code", v->code),
	          log_c("status", v->status), log_c("tls", tls), log_c("text", v->text));
}

static void keep(struct job *j, struct recipient *r, const struct verdict *v)
{
	struct verdict *kept = arena_alloc(&j->arena, sizeof *kept);
	*kept = (struct verdict){.outcome = v->outcome, .code = v->code, .has_dsn = v->has_dsn,
	                         .status = arena_dup(&j->arena, span_cstr(v->status)).ptr,
	                         .text = arena_dup(&j->arena, span_cstr(v->text)).ptr,
	                         .host = arena_dup(&j->arena, span_cstr(v->host ? v->host : current_host(j))).ptr};
	r->known = kept;
}

static void note(struct job *j, struct recipient *r, const struct verdict *v)
{
	r->is_decided = true;
	j->undecided--;
	/* store may have written that there is to be another try, and die before it says so: its successor must get that try. A
	 * former job's result no store has heard of, and the try was now (RFC 5321 §4.5.4.1: the next one has to wait). */
	if (v->outcome != RELAY_LATER || j->is_former)
		keep(j, r, v);
	if (!j->is_former)
		channel_send(j->relay->store, job_result, .job = j->number, .index = r->index, .outcome = (uint8_t)v->outcome,
		             .code = (uint16_t)v->code, .status = span_cstr(v->status), .text = span_cstr(v->text),
		             .host = span_cstr(v->host ? v->host : current_host(j)), .has_dsn = v->has_dsn);
}

void job_know(struct job *j, struct recipient *r, const struct verdict *v)
{
	log_event(LOG_LEVEL_INFO, "result-known", log_s("to", r->address), log_c("outcome", outcome_words[v->outcome]),
	          log_c("why", "store ended before it had written it"));
	note(j, r, v);
}

void job_decide(struct job *j, struct recipient *r, const struct verdict *v)
{
	struct relay_process *p = j->relay;
	if (r->is_decided)
		return;
	switch (v->outcome) {
	case RELAY_DELIVERED: p->delivered_count++; break;
	case RELAY_LATER: p->later_count++; break;
	case RELAY_FAILED: p->failed_count++; break;
	}
	log_result(j, r, v);
	note(j, r, v);
}

void job_decide_rest(struct job *j, const struct verdict *v)
{
	for (size_t i = 0; i < j->recipient_count; i++)
		job_decide(j, &j->recipients[i], v);
}

static void end_all(struct job *j, enum relay_outcome outcome, unsigned code, const char *status, const char *text)
{
	struct verdict v = {outcome, code, status, text};
	job_decide_rest(j, &v);
	end(j);
}

static void on_deadline(void *context)
{
	struct job *j = context;
	char text[REPLY_TEXT_MOST + 1];
	if (j->session && j->session->state == SESSION_END) {
		transaction_lost_at_end(j->session, "no answer in time");
		return;
	}
	snprintf(text, sizeof text, "no server took the message in time%s%.400s", j->last_failure[0] ? "; last: " : "", j->last_failure);
	text_clean(span_cstr(text), j->last_failure, sizeof j->last_failure); /* the cut may be inside a character */
	end_all(j, RELAY_LATER, 0, "4.4.1", j->last_failure);
}

/* ---- hosts ---- */

static void note_failure(struct job *j, const char *host, const char *why)
{
	char text[2 * sizeof j->last_failure];
	snprintf(text, sizeof text, "%s: %s", host, why);
	text_clean(span_cstr(text), j->last_failure, sizeof j->last_failure);
}

static void end_without_host(struct job *j)
{
	const char *status = j->lacks_requiretls ? "5.7.30" : "5.7.10";
	if (demand_is_secret(j) && j->was_unsafe) /* RFC 8689 §4.2.1: at once */
		end_all(j, RELAY_FAILED, 0, status, j->last_failure);
	else if (j->refused_addresses && j->refused_addresses == j->targets.count && j->route == ROUTE_DOMAIN)
		end_all(j, RELAY_FAILED, 0, "5.4.6", j->last_failure);
	else
		end_all(j, RELAY_LATER, 0, j->was_unsafe ? "4.7.5" : "4.4.1", j->last_failure[0] ? j->last_failure : "there is no address to connect to");
}

/* Only what takes time is a try: an address that this machine has no route to costs nothing, and a host may have as many of
 * a family that is not in use here as it likes before the one that works. */
static bool try_target(struct job *j, const struct target *t, const struct target *second, bool may_use_tls)
{
	struct error why = {0};
	j->session = session_open(j, t, second, may_use_tls, &why);
	if (!j->session) {
		note_failure(j, t->name, why.text);
		log_event(LOG_LEVEL_INFO, "connection-failed", log_c("host", t->name), log_c("why", why.text));
	}
	return j->session != NULL;
}

/* The next target, if it is the same host by the other family: the two are tried together. */
static const struct target *second_of(const struct job *j, const struct target *t)
{
	const struct target *next = j->target_at < j->targets.count ? &j->targets.list[j->target_at] : NULL;
	bool is_pair = next && next->address.ss_family != t->address.ss_family && strcmp(next->host, t->host) == 0;
	return is_pair && (!next->is_nobodys || j->is_port_named) ? next : NULL;
}

/* False if the two were not tried together, or there is no way there. */
static bool try_spare(struct job *j)
{
	const struct target *t = j->spare;
	j->first = j->second = j->spare = NULL;
	return t && try_target(j, t, NULL, true);
}

static void try_next(struct job *j)
{
	if (try_spare(j))
		return;
	while (j->target_at < j->targets.count && j->tries < TRIES_MOST) {
		const struct target *t = &j->targets.list[j->target_at++];
		if (t->is_nobodys && !j->is_port_named) {
			j->refused_addresses++;
			note_failure(j, t->name, "no other mail server can have this address of the domain's mail host: it is refused");
			continue;
		}
		const struct target *second = second_of(j, t);
		j->target_at += second ? 1 : 0;
		if (try_target(j, t, second, true)) {
			j->tries += second ? 2 : 1;
			j->first = second ? t : NULL;
			j->second = second;
			return;
		}
	}
	end_without_host(j);
}

struct span job_sender_domain(const struct job *j)
{
	return span_skip(j->reverse_path, (size_t)(span_rchr(j->reverse_path, '@') + 1));
}

/* What a resolve has said that died before its answer is forgotten. */
static void send_question(struct job *j)
{
	j->targets.count = j->target_at = 0;
	j->first = j->second = j->spare = NULL;
	j->policy = SPAN("");
	channel_send(j->relay->resolve, mx_ask, .id = j->question, .domain = span_cstr(j->next_hop), .sender = span_slice(job_sender_domain(j), 0, 255),
	             .is_chosen = j->route != ROUTE_DOMAIN, .is_lax = demand_is_lax(j));
}

static void ask_for_hosts(struct job *j)
{
	struct relay_process *p = j->relay;
	j->state = JOB_ASKING;
	j->question = ++p->last_question;
	map_put(&p->questions, j->question, j);
	if (p->resolve)
		send_question(j);
}

void jobs_ask_again(struct relay_process *p)
{
	struct job *j;
	for (size_t at = 0; (j = map_next(&p->questions, &at));)
		send_question(j);
}

static void use_hosts(struct job *j)
{
	demand_of_hosts(j);
	j->state = JOB_TRYING;
	j->session = session_reuse(j);
	if (!j->session)
		try_next(j);
}

/* The domain takes no mail, for good, or so its DNS says. */
static void end_refused(struct job *j, enum mx_outcome outcome, const char *text)
{
	if (j->route != ROUTE_DOMAIN) {
		/* what an administrator has named is no fault of the recipient's, and is mended soon */
		log_event(LOG_LEVEL_ERROR, "next-hop-unusable", log_c("next-hop", j->next_hop), log_c("why", text));
		end_all(j, RELAY_LATER, 0, "4.3.5", text);
	} else if (outcome == MX_NULL) {
		end_all(j, RELAY_FAILED, 556, "5.1.10", text); /* RFC 7505 §4.2 */
	} else {
		end_all(j, RELAY_FAILED, 0, outcome == MX_LOOP ? "5.4.6" : "5.1.2", text);
	}
}

bool job_host(struct relay_process *p, const struct msg_mx_host *m)
{
	struct job *j = map_get(&p->questions, m->id);
	return !j || target_list_add(&j->targets, m, j->hop_host, j->port, &j->arena) == 0; /* its job may have gone meanwhile */
}

void job_policy(struct relay_process *p, const struct msg_mx_policy *m)
{
	struct job *j = map_get(&p->questions, m->id);
	if (j)
		j->policy = arena_dup(&j->arena, m->policy);
}

void job_fault(struct relay_process *p, const struct msg_mx_fault *m)
{
	struct job *j = map_get(&p->questions, m->id);
	if (j)
		tls_report_fault(j, m);
}

bool job_hosts(struct relay_process *p, const struct msg_mx_answer *m)
{
	struct job *j = map_take(&p->questions, m->id);
	char text[256];
	bool is_whole;
	if (!j)
		return true; /* its job has gone meanwhile */
	j->question = 0;
	text_clean(m->text, text, sizeof text);
	switch ((enum mx_outcome)m->outcome) {
	case MX_FOUND:
		is_whole = j->targets.count > 0;
		use_hosts(j);
		return is_whole;
	case MX_NULL: case MX_NO_DOMAIN: case MX_LOOP:
		end_refused(j, (enum mx_outcome)m->outcome, text);
		return true;
	case MX_LATER:
		end_all(j, RELAY_LATER, 0, "4.4.3", text);
		return true;
	case MX_UNSAFE:
		end_all(j, demand_is_secret(j) ? RELAY_FAILED : RELAY_LATER, 0, demand_is_secret(j) ? "5.7.10" : "4.7.5", text);
		return true;
	}
	return false;
}

/* ---- sessions ---- */

static void prepare_retry(struct job *j)
{
	int64_t left = j->deadline_ms - clock_monotonic_ms();
	j->session = NULL;
	timer_set(j->deadline, left > 0 ? left : 0);
	for (size_t i = 0; i < j->recipient_count; i++)
		j->recipients[i].is_accepted = false;
}

void job_session_failed(struct job *j, enum session_failure failure, const char *text)
{
	if (failure == FAILURE_STALE) {
		prepare_retry(j);
		ask_for_hosts(j);
		return;
	}
	log_event(LOG_LEVEL_INFO, "connection-failed", log_c("host", current_host(j)), log_c("why", text));
	note_failure(j, current_host(j), text);
	j->was_unsafe = failure == FAILURE_UNSAFE;
	struct target same = j->session->target;
	if (j->second && j->session->was_connected)
		j->spare = strcmp(same.name, j->second->name) == 0 ? j->first : j->second;
	prepare_retry(j);
	if (failure == FAILURE_TLS && j->targets.count && try_target(j, &same, NULL, false))
		return;
	/* of a connection that was kept open, the hosts are not known yet */
	if (j->targets.count)
		try_next(j);
	else
		ask_for_hosts(j);
}

void job_session_done(struct job *j)
{
	j->session = NULL;
	end(j);
}

void job_allow_transfer(struct job *j)
{
	timer_set(j->deadline, DEADLINE_MS + FINAL_REPLY_MS + (int64_t)(j->size / TRANSFER_BYTES_PER_S_LEAST) * 1000);
}

/* ---- store ---- */

bool job_new(struct relay_process *p, const struct msg_job *m)
{
	if (p->open_slots == 0 || map_get(&p->jobs, m->job))
		return false;
	p->open_slots--;
	struct job *j = xcalloc(1, sizeof *j);
	*j = (struct job){.relay = p, .number = m->job, .delivery = m->delivery, .size = m->size, .facts = m->facts, .route = m->route, .tls = m->tls, .priority = m->priority - PRIORITY_NORMAL};
	j->reverse_path = arena_dup(&j->arena, m->reverse_path);
	j->ret = m->ret;
	j->envid = smtp_is_value(m->envid) ? arena_dup(&j->arena, m->envid) : SPAN("");
	snprintf(j->next_hop, sizeof j->next_hop, "%.*s", SPAN_ARG(m->next_hop));
	j->deadline = timer_new(p->loop, on_deadline, j);
	map_put(&p->jobs, j->number, j);
	return true;
}

bool job_add_recipient(struct relay_process *p, const struct msg_job_rcpt *m)
{
	struct job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != JOB_COLLECTING || j->recipient_count == RECIPIENTS_MOST)
		return false;
	if (j->recipient_count == j->recipient_room) {
		j->recipient_room = j->recipient_room ? 2 * j->recipient_room : 4;
		j->recipients = xrealloc_array(j->recipients, j->recipient_room, sizeof *j->recipients);
	}
	j->recipients[j->recipient_count++] = (struct recipient){
		.index = m->index, .address = arena_dup(&j->arena, m->address), .notify = m->notify,
		.orcpt = smtp_is_value(m->orcpt) ? arena_dup(&j->arena, m->orcpt) : SPAN("")};
	return true;
}

/* What stands in a command can end neither it nor its path. */
static bool is_sendable(struct span address)
{
	for (size_t i = 0; i < address.len; i++)
		if ((unsigned char)address.ptr[i] < ' ' || address.ptr[i] == 0x7f)
			return false;
	return true;
}

static void refuse_bad_addresses(struct job *j)
{
	const struct verdict bad_sender = {RELAY_FAILED, 0, "5.1.7", "the sender's address cannot be sent by SMTP"};
	const struct verdict bad_recipient = {RELAY_FAILED, 0, "5.1.3", "the address cannot be sent by SMTP"};
	if (!is_sendable(j->reverse_path))
		job_decide_rest(j, &bad_sender);
	for (size_t i = 0; i < j->recipient_count; i++)
		if (j->recipients[i].address.len == 0 || !is_sendable(j->recipients[i].address))
			job_decide(j, &j->recipients[i], &bad_recipient);
}

static void read_next_hop(struct job *j)
{
	BUF_AUTO host = {0};
	struct next_hop hop = {0};
	bool is_one = next_hop_parse(span_cstr(j->next_hop), &hop, NULL) == 0;
	bool is_configured = j->route != ROUTE_DOMAIN && is_one;
	j->is_lmtp = is_configured && hop.is_lmtp;
	j->is_port_named = is_configured && (hop.port || hop.is_lmtp);
	j->port = is_configured && hop.port ? hop.port : j->is_lmtp ? LMTP_PORT : (uint16_t)child_config(j->relay->self)->smtp_out_port;
	if (is_one && domain_canonical(hop.host, &host, NULL) == 0)
		snprintf(j->hop_host, sizeof j->hop_host, "%s", buf_cstr(&host));
}

void job_go_on(struct job *j)
{
	bool is_out = former_answer(j);
	if (j->undecided == 0) {
		end(j);
		return;
	}
	if (is_out) {
		j->state = JOB_WAITING;
		return;
	}
	const char *relay_host = child_config(j->relay->self)->relay_host;
	if (j->route == ROUTE_RELAY_HOST && !span_equal_nocase(span_cstr(relay_host), span_cstr(j->next_hop))) {
		end_all(j, RELAY_LATER, 0, "4.3.5", "relay_host has been changed since this was to go to it");
		return;
	}
	read_next_hop(j);
	j->deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	timer_set(j->deadline, DEADLINE_MS);
	j->session = session_reuse(j);
	if (j->session)
		j->state = JOB_TRYING;
	else
		ask_for_hosts(j);
}

bool job_start(struct relay_process *p, const struct msg_job_start *m)
{
	struct job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != JOB_COLLECTING)
		return false;
	j->undecided = j->recipient_count;
	refuse_bad_addresses(j);
	job_go_on(j);
	return true;
}

void job_piece(struct relay_process *p, const struct msg_job_piece *m)
{
	struct job *j = map_get(&p->jobs, m->job);
	if (j && j->session)
		transfer_take(j->session, m);
}

bool job_settled(struct relay_process *p, const struct msg_job_settled *m)
{
	struct job *j = map_get(&p->jobs, m->job);
	if (!j || j->state != JOB_TOLD)
		return false;
	job_drop(j);
	relay_offer_slots(p);
	return true;
}
