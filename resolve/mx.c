/* One question: MX, then the addresses of each host at once; beside that the domain's MTA-STS policy (resolve/policy.h).
 *
 *   asked    -> literal                         -> answered
 *            -> one host                        -> as one that an MX record names
 *            -> MX: error                       -> answered (later, no domain, null, loop)
 *            -> MX: hosts, or none: the domain  -> addresses of all, and TLSA records where DNSSEC has proved the way there (RFC 7672)
 *               hosts and policy are known      -> answered */
#include "resolve/mx.h"

#include "base/arena.h"
#include "base/die.h"
#include "base/log.h"
#include "base/random.h"
#include "ipc/words.h"
#include "resolve/question.h"
#include "wire/address.h"
#include "wire/next_hop.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUESTIONS_MOST = 20000 }; /* relay has at most 10,000 messages, each with one question */

struct exchange {
	unsigned preference;
	char host[RDATA_NAME_MOST];
};

static void free_question(struct question *q)
{
	struct resolve_process *p = q->process;
	lookup_cancel(&q->mx);
	policy_cancel(&q->policy);
	standing_cancel(&q->standing);
	buf_free(&q->policy_text);
	for (size_t i = 0; i < q->host_count; i++)
		host_end(&q->hosts[i]);
	if (q->next)
		q->next->before = q->before;
	if (q->before)
		q->before->next = q->next;
	else
		p->questions = q->next;
	p->question_count--;
	free(q);
}

static void send_answer(struct resolve_process *p, uint64_t id, enum mx_outcome outcome, const char *text)
{
	if (p->relay)
		channel_send(p->relay, mx_answer, .id = id, .outcome = (uint8_t)outcome, .text = span_slice(span_cstr(text), 0, 255));
}

static void end(struct question *q, enum mx_outcome outcome, const char *text)
{
	send_answer(q->process, q->id, outcome, text);
	free_question(q);
}

/* What is wrong, for the report that the domain may want (RFC 8460). */
static void send_fault(const struct question *q, enum tlsrpt_policy_type policy, enum tlsrpt_result result, const char *host, const char *reason)
{
	if (q->process->relay && !q->is_lax)
		channel_send(q->process->relay, mx_fault, .id = q->id, .policy = (uint8_t)policy, .result = (uint8_t)result, .host = span_cstr(host),
		             .reason = span_slice(span_cstr(reason), 0, 255));
}

/* The best host for the domain is this server, but the domain is none of its own. */
static void send_loop(struct resolve_process *p, uint64_t id, struct span domain)
{
	char text[256];
	snprintf(text, sizeof text, "mail for %.*s loops back to myself", SPAN_ARG(span_slice(domain, 0, 200)));
	send_answer(p, id, MX_LOOP, text);
}

static void end_looping(struct question *q)
{
	send_loop(q->process, q->id, span_cstr(q->domain));
	free_question(q);
}

/* The best preference of a host that has an address of ours, under whatever name; UINT_MAX if there is none. */
static unsigned own_preference(const struct question *q)
{
	unsigned best = UINT_MAX;
	for (size_t i = 0; i < q->host_count; i++)
		if (q->hosts[i].preference < best && host_has_own_address(&q->hosts[i]))
			best = q->hosts[i].preference;
	return best;
}

/* ---- the answer ---- */

/* RFC 8461 §4.1; where a host has TLSA records that can be used, these alone are looked at (§2). False: no mail goes there. */
static bool obey_policy(struct question *q, struct host *h, const struct mta_sts_policy *policy)
{
	if (policy->mode == MTA_STS_NONE || h->tlsa_count)
		return true;
	bool is_named = mta_sts_policy_has(policy, span_cstr(h->name)), is_enforced = policy->mode == MTA_STS_ENFORCE;
	if (is_named) {
		h->policy = is_enforced ? MX_HOST_POLICY : MX_HOST_TESTED;
		return true;
	}
	log_event(LOG_LEVEL_WARNING, "mta-sts-unnamed-host", log_c("domain", q->domain), log_c("host", h->name),
	          log_c("then", is_enforced ? "no mail goes there" : "none, as the policy is one for testing"));
	send_fault(q, TLSRPT_STS, TLSRPT_VALIDATION_FAILURE, h->name, "the policy does not name this host");
	if (is_enforced)
		snprintf(q->refused, sizeof q->refused, "%.90s is none of the hosts that the MTA-STS policy of %.90s names", h->name, q->domain);
	return !is_enforced;
}

static bool is_any_of(const struct question *q, unsigned own, bool v6)
{
	for (size_t i = 0; i < q->host_count; i++)
		if (q->hosts[i].preference < own && (v6 ? q->hosts[i].v6_count : q->hosts[i].v4_count))
			return true;
	return false;
}

/* Where one family of our addresses is as receivers want it, mail does not leave by the other. */
static void leave_out_unfit(struct question *q, unsigned own)
{
	const struct standing_question *s = &q->standing;
	bool fits[] = {s->v4_fits, s->v6_fits};
	if (q->is_chosen || fits[0] == fits[1] || !is_any_of(q, own, fits[1]))
		return;
	for (size_t i = 0; i < q->host_count; i++)
		*(fits[1] ? &q->hosts[i].v4_count : &q->hosts[i].v6_count) = 0;
}

/* What the domain says of TLS, and what is wrong with that. */
static void send_policy(const struct question *q, const struct mta_sts_policy *policy)
{
	if (policy->mode != MTA_STS_NONE && q->process->relay)
		channel_send(q->process->relay, mx_policy, .id = q->id, .policy = policy->text);
	if (q->policy.fault)
		send_fault(q, TLSRPT_STS, q->policy.fault, "", q->policy.fault_text);
	for (size_t i = 0; i < q->host_count; i++)
		if (q->hosts[i].is_bogus)
			send_fault(q, TLSRPT_TLSA, TLSRPT_DNSSEC_INVALID, q->hosts[i].name, q->text);
}

/* We, and all that are no better than we are, are left out: the mail would come back (RFC 5321 §5.1). */
static void end_with_hosts(struct question *q)
{
	unsigned own = q->is_port_named ? UINT_MAX : own_preference(q);
	bool failed_for_now = false, is_found = false;
	struct mta_sts_policy policy = {.mode = MTA_STS_NONE};
	if (q->policy_text.len)
		mta_sts_policy_parse(buf_span(&q->policy_text), &policy, NULL);
	send_policy(q, &policy);
	leave_out_unfit(q, own);
	for (size_t i = 0; i < q->host_count; i++) {
		struct host *h = &q->hosts[i];
		if (h->preference >= own)
			continue;
		failed_for_now |= h->failed_for_now;
		if (h->v4_count + h->v6_count == 0 || !obey_policy(q, h, &policy))
			continue;
		host_send(h);
		is_found = true;
	}
	if (is_found) {
		end(q, MX_FOUND, "");
	} else if (failed_for_now) {
		end(q, MX_LATER, q->text);
	} else if (q->refused[0]) {
		end(q, MX_UNSAFE, q->refused);
	} else if (own != UINT_MAX) {
		end_looping(q);
	} else {
		snprintf(q->text, sizeof q->text, q->has_mx ? "no mail exchanger of the domain has an address"
		                                           : "the domain has neither a mail exchanger nor an address");
		end(q, MX_NO_DOMAIN, q->text);
	}
}

void question_one_less(struct question *q)
{
	if (--q->waiting == 0)
		end_with_hosts(q);
}

static void on_policy(void *context, const struct mta_sts_policy *policy)
{
	struct question *q = context;
	if (policy)
		buf_add(&q->policy_text, policy->text);
	question_one_less(q);
}

static void ask_addresses(struct question *q)
{
	size_t count = q->host_count;
	q->waiting += 2 * count;
	for (size_t i = 0; i < count; i++) {
		q->hosts[i].question = q;
		host_ask(&q->hosts[i]);
	}
	question_one_less(q); /* the names are known; answers may have come before */
}

/* ---- MX ---- */

static int by_preference(const void *a, const void *b)
{
	const struct exchange *x = a, *y = b;
	return x->preference < y->preference ? -1 : x->preference > y->preference;
}

/* RFC 5321 §5.1: those of one preference in random order. */
static void sort(struct exchange *list, size_t count)
{
	qsort(list, count, sizeof *list, by_preference);
	for (size_t start = 0, stop; start < count; start = stop) {
		for (stop = start + 1; stop < count && list[stop].preference == list[start].preference; stop++)
			;
		for (size_t n = stop - start; n > 1; n--) {
			size_t other = start + random_below(n);
			struct exchange last = list[start + n - 1];
			list[start + n - 1] = list[other];
			list[other] = last;
		}
	}
}

/* All MX records of the answer; -1 if it is malformed. */
static ssize_t read_exchanges(struct span message, struct arena *a, struct exchange **out)
{
	struct rdata_reader reader;
	struct rdata_record record;
	size_t count = 0;
	int more;
	if (rdata_start(&reader, message, NULL))
		return -1;
	/* a record takes at least eleven bytes, whatever number the header gives */
	*out = arena_alloc_array(a, message.len / 11 + 1, sizeof **out);
	while ((more = rdata_next(&reader, &record, NULL)) == 1)
		if (rdata_mx(message, &record, &(*out)[count].preference, (*out)[count].host) == 0)
			count++;
	return more < 0 ? -1 : (ssize_t)count;
}

static bool is_us(const struct question *q, const char *host)
{
	return span_equal_nocase(span_cstr(host), span_cstr(child_hostname(q->process->self)));
}

static bool has_mx_record(struct span message)
{
	struct rdata_reader reader;
	struct rdata_record record;
	if (rdata_start(&reader, message, NULL))
		return false;
	while (rdata_next(&reader, &record, NULL) == 1)
		if (record.type == RDATA_TYPE_MX)
			return true;
	return false;
}

static void add_host(struct question *q, const char *name, unsigned preference)
{
	for (size_t i = 0; i < q->host_count; i++)
		if (strcmp(q->hosts[i].name, name) == 0)
			return; /* of several preferences, the best */
	if (q->host_count == HOSTS_MOST)
		return;
	struct host *h = &q->hosts[q->host_count++];
	h->preference = preference;
	snprintf(h->name, sizeof h->name, "%s", name);
}

/* Our own name is looked for here, our addresses when they are known (end_with_hosts). */
static void use_exchanges(struct question *q, const struct exchange *list, size_t count)
{
	unsigned own = UINT_MAX;
	for (size_t i = 0; i < count; i++)
		if (is_us(q, list[i].host) && list[i].preference < own)
			own = list[i].preference;
	for (size_t i = 0; i < count; i++)
		if (list[i].preference < own && list[i].host[0])
			add_host(q, list[i].host, list[i].preference);
	if (q->host_count)
		ask_addresses(q);
	else if (own != UINT_MAX)
		end_looping(q);
	else
		end(q, MX_NO_DOMAIN, "no mail exchanger of the domain has a usable name");
}

/* The implicit MX: RFC 5321 §5.1. */
static void use_domain(struct question *q)
{
	if (is_us(q, q->domain) && !q->is_port_named) {
		end_looping(q);
		return;
	}
	add_host(q, q->domain, 0);
	ask_addresses(q);
}

static void on_mx(void *context, const struct lookup_result *result)
{
	struct question *q = context;
	ARENA_AUTO arena = {0};
	struct exchange *list = NULL;
	switch (result->outcome) {
	case LOOKUP_NO_NAME:
		end(q, MX_NO_DOMAIN, "the domain does not exist");
		return;
	case LOOKUP_LATER:
		snprintf(q->text, sizeof q->text, "mail exchangers of %.70s: %s", q->domain, result->text);
		if (result->is_bogus)
			send_fault(q, TLSRPT_TLSA, TLSRPT_DNSSEC_INVALID, "", q->text);
		end(q, MX_LATER, q->text);
		return;
	case LOOKUP_ANSWER:
		break;
	}
	ssize_t count = read_exchanges(result->message, &arena, &list);
	q->has_mx = has_mx_record(result->message);
	q->is_secure = result->is_secure;
	if (count < 0) {
		end(q, MX_LATER, "the answer about the domain's mail exchangers is malformed");
	} else if (count == 1 && !list[0].host[0]) {
		end(q, MX_NULL, "the domain takes no mail (null MX)");
	} else if (!q->has_mx) {
		use_domain(q);
	} else {
		sort(list, (size_t)count);
		use_exchanges(q, list, (size_t)count);
	}
}

/* ---- questions ---- */

static void answer_literal(struct resolve_process *p, uint64_t id, struct span literal, bool is_port_named)
{
	struct span inside = span_slice(literal, 1, literal.len - 2);
	unsigned char bytes[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	bool is_v6 = span_starts_with_nocase(inside, SPAN("IPv6:"));
	if (is_v6)
		inside = span_skip(inside, sizeof "IPv6:" - 1);
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(inside));
	if (!address_literal_is_valid(literal) || inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes) != 1) {
		send_answer(p, id, MX_NO_DOMAIN, "this is no address literal");
		return;
	}
	if (!is_port_named && own_addresses_have(&p->own, text)) {
		send_loop(p, id, literal);
		return;
	}
	struct span address = span_of(bytes, is_v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr));
	BUF_AUTO none = {0};
	words_pack(&none, NULL, 0);
	channel_send(p->relay, mx_host, .id = id, .name = literal, .v4 = is_v6 ? SPAN("") : address, .v6 = is_v6 ? address : SPAN(""), .tlsa = buf_span(&none));
	send_answer(p, id, MX_FOUND, "");
}

static void on_standing(void *context)
{
	question_one_less(context);
}

static void ask_beside(struct question *q, struct span sender)
{
	struct resolve_process *p = q->process;
	q->waiting += !q->is_lax + !q->is_chosen;
	if (!q->is_lax)
		policy_ask(&q->policy, &p->policies, q->domain, on_policy, q); /* of the next hop, whoever named that (RFC 8461 §3.4) */
	if (!q->is_chosen)
		standing_ask(&q->standing, &p->standing, sender, on_standing, q);
}

void mx_ask(struct resolve_process *p, const struct msg_mx_ask *m)
{
	uint64_t id = m->id;
	BUF_AUTO name = {0};
	struct next_hop hop;
	bool is_one = next_hop_parse(m->domain, &hop, NULL) == 0;
	p->asked_count++;
	if (is_one && span_starts_with(hop.host, SPAN("["))) {
		answer_literal(p, id, hop.host, hop.port != 0 || hop.is_lmtp);
		return;
	}
	/* RFC 6531 §3.2: the DNS knows A-labels only */
	if (!is_one || domain_canonical(hop.host, &name, NULL)) {
		send_answer(p, id, MX_NO_DOMAIN, "this is no domain name");
		return;
	}
	if (p->question_count >= QUESTIONS_MOST) {
		send_answer(p, id, MX_LATER, "too many questions are waiting for an answer");
		return;
	}
	struct question *q = xcalloc(1, sizeof *q);
	*q = (struct question){.process = p, .next = p->questions, .id = id, .is_lax = m->is_lax, .is_chosen = m->is_chosen,
	                       .is_port_named = hop.port != 0 || hop.is_lmtp, .port = hop.port ? hop.port : (unsigned)child_config(p->self)->smtp_out_port};
	snprintf(q->domain, sizeof q->domain, "%s", buf_cstr(&name));
	if (q->next)
		q->next->before = q;
	p->questions = q;
	p->question_count++;
	q->waiting = 1; /* for the names of the hosts */
	ask_beside(q, m->sender);
	if (!hop.is_host) {
		lookup_start(&q->mx, p->dns, q->domain, RDATA_TYPE_MX, on_mx, q);
		return;
	}
	q->is_secure = true; /* who named it needs no proof that it is meant */
	use_domain(q);
}

void mx_end_all(struct resolve_process *p, const char *why)
{
	while (p->questions)
		end(p->questions, MX_LATER, why);
}
