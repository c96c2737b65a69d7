/* A question's way:
 *
 *   asked    -- store has told what it has kept --> the TXT record
 *   record   none, or none that is one           -> the policy that is remembered, if any
 *            with the id of the remembered one   -> that; where half of its time is over it is fetched anew, for the next question
 *            with another id                     -> fetched; whoever asks meanwhile waits with it
 *   fetched  a policy                            -> it takes the place of the old one
 *            failed                              -> the remembered one, if any; not tried again for five minutes */
#include "resolve/policy.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/random.h"
#include "ipc/channel.h"
#include "ipc/terms.h"
#include "resolve/rdata.h"
#include "resolve/record.h"
#include "wire/address.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	FAILURE_MS = 5 * 60 * 1000,  /* RFC 8461 §3.3 */
	FAILURES_MOST = 10000,       /* remembered; more are not */
	CLOCK_FAULT_MOST_S = 86400,  /* a policy that was fetched later than this from now was so by a clock that was wrong */
};

/* What is known of a domain. */
struct policy {
	struct policy *same_hash;
	uint64_t hash;
	char *domain;
	char id[MTA_STS_ID_BYTES_MOST + 1];
	struct buf text;             /* empty: none is known */
	uint32_t max_age_s;
	uint64_t fetched_s;          /* wall clock */
	int64_t failed_until_ms;     /* monotonic; 0: not */
	enum tlsrpt_result fault;    /* why, and in words */
	char fault_text[256];
	struct policy *next_failed;
	bool is_fetching;
	char next_id[MTA_STS_ID_BYTES_MOST + 1]; /* of what is being fetched */
	struct policies *all;
	struct policy_question *waiting;
};

/* ---- what is remembered ---- */

static struct policy *find(const struct policies *p, struct span domain)
{
	struct policy *one = map_get(&p->by_hash, span_hash(domain, p->secret));
	while (one && !span_equal(span_cstr(one->domain), domain))
		one = one->same_hash;
	return one;
}

static struct policy *find_or_add(struct policies *p, struct span domain)
{
	struct policy *one = find(p, domain);
	if (one)
		return one;
	one = xcalloc(1, sizeof *one);
	*one = (struct policy){.all = p, .hash = span_hash(domain, p->secret), .domain = span_strdup(domain)};
	one->same_hash = map_get(&p->by_hash, one->hash);
	map_put(&p->by_hash, one->hash, one);
	return one;
}

/* Frees it if there is nothing to remember. */
static void drop_if_idle(struct policy *old)
{
	struct policies *p = old->all;
	if (old->text.len || old->failed_until_ms || old->is_fetching)
		return;
	struct policy *first = map_take(&p->by_hash, old->hash), **at = &first;
	while (*at != old)
		at = &(*at)->same_hash;
	*at = old->same_hash;
	if (first)
		map_put(&p->by_hash, first->hash, first);
	free(old->domain);
	free(old);
}

static void forget_text(struct policy *one)
{
	struct policies *p = one->all;
	if (!one->text.len)
		return;
	p->count--;
	p->bytes -= one->text.len;
	buf_free(&one->text);
}

/* It holds no longer. */
static void forget(struct policy *one)
{
	if (one->all->store && one->text.len)
		channel_send(one->all->store, policy_forget, .domain = span_cstr(one->domain));
	forget_text(one);
}

static bool holds(const struct policy *one)
{
	uint64_t now = (uint64_t)clock_wall_s();
	return one->text.len && one->fetched_s <= now + CLOCK_FAULT_MOST_S && now < one->fetched_s + one->max_age_s;
}

static bool is_older(const struct policy *one, const struct policy *other)
{
	return !holds(one) || (holds(other) && one->fetched_s < other->fetched_s);
}

/* One that holds no longer, or that was fetched first. */
static struct policy *find_oldest(const struct policies *p)
{
	struct policy *oldest = NULL, *first;
	for (size_t at = 0; (first = map_next(&p->by_hash, &at));)
		for (struct policy *one = first; one; one = one->same_hash)
			if (one->text.len && (!oldest || is_older(one, oldest)))
				oldest = one;
	return oldest;
}

/* Until one more can be remembered. */
static void make_room(struct policies *p, size_t bytes)
{
	struct policy *oldest;
	while ((p->count >= POLICIES_MOST || p->bytes + bytes > POLICIES_BYTES_MOST) && (oldest = find_oldest(p))) {
		forget(oldest);
		drop_if_idle(oldest);
	}
}

static void remember(struct policy *one, const char *id, uint64_t fetched_s, const struct mta_sts_policy *policy)
{
	struct policies *p = one->all;
	forget_text(one);
	make_room(p, policy->text.len);
	snprintf(one->id, sizeof one->id, "%s", id);
	buf_add(&one->text, policy->text);
	one->fetched_s = fetched_s;
	one->max_age_s = policy->max_age_s;
	p->count++;
	p->bytes += one->text.len;
}

/* Failures are over in the order in which they came. */
static void forget_failures(struct policies *p)
{
	int64_t now = clock_monotonic_ms();
	for (struct policy *one; (one = p->failed) && one->failed_until_ms <= now;) {
		p->failed = one->next_failed;
		if (!p->failed)
			p->failed_last = &p->failed;
		p->failure_count--;
		one->failed_until_ms = 0;
		drop_if_idle(one);
	}
}

static void remember_failure(struct policy *one, enum tlsrpt_result fault, const char *why)
{
	struct policies *p = one->all;
	one->fault = fault;
	snprintf(one->fault_text, sizeof one->fault_text, "%s", why);
	forget_failures(p);
	if (p->failure_count == FAILURES_MOST || one->failed_until_ms)
		return;
	p->failure_count++;
	one->failed_until_ms = clock_monotonic_ms() + FAILURE_MS;
	one->next_failed = NULL;
	*p->failed_last = one;
	p->failed_last = &one->next_failed;
}

static bool has_failed(const struct policy *one)
{
	return one->failed_until_ms > clock_monotonic_ms();
}

/* ---- answers ---- */

static void stop_waiting(struct policy_question *q)
{
	struct policy_question **at = q->list;
	if (!at)
		return;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	q->list = NULL;
}

static void wait_in(struct policy_question *q, struct policy_question **list)
{
	q->list = list;
	q->next = *list;
	*list = q;
}

/* With what is remembered, if it holds. */
static void answer(struct policy_question *q, struct policy *one)
{
	struct mta_sts_policy policy;
	BUF_AUTO text = {0};
	if (one && one->text.len && !holds(one))
		forget(one);
	if (one)
		buf_add(&text, buf_span(&one->text)); /* whoever is told may ask for something else that takes its place */
	if (one && !text.len && (has_failed(one) || one->is_fetching)) { /* is_fetching: it has just failed */
		q->fault = one->fault;
		memcpy(q->fault_text, one->fault_text, sizeof q->fault_text);
	}
	if (one)
		drop_if_idle(one);
	bool has_one = text.len && mta_sts_policy_parse(buf_span(&text), &policy, NULL) == 0;
	q->done(q->context, has_one ? &policy : NULL);
}

static void tell_store(const struct policy *one)
{
	if (one->all->store)
		channel_send(one->all->store, policy_keep, .domain = span_cstr(one->domain), .policy_id = span_cstr(one->id), .fetched_s = one->fetched_s,
		             .policy = buf_span(&one->text));
}

static void log_failure(const struct policy *one, const char *why)
{
	log_event(LOG_LEVEL_WARNING, "mta-sts-unfetched", log_c("domain", one->domain), log_c("why", why),
	          log_c("then", holds(one) ? "the policy that was fetched before holds" : "its mail is sent as without a policy"));
}

/* False if it is none. */
static bool take_text(struct policy *one, struct span text, const struct error *why, struct mta_sts_policy *out)
{
	static const char *const modes[] = {[MTA_STS_NONE] = "none", [MTA_STS_TESTING] = "testing", [MTA_STS_ENFORCE] = "enforce"};
	struct error fault = *why;
	if (!text.ptr || mta_sts_policy_parse(text, out, &fault)) {
		log_failure(one, fault.text);
		remember_failure(one, text.ptr ? TLSRPT_STS_POLICY_INVALID : fault.code == FETCH_UNPROVED ? TLSRPT_STS_WEBPKI_INVALID : TLSRPT_STS_POLICY_FETCH_ERROR, fault.text);
		return false;
	}
	remember(one, one->next_id, (uint64_t)clock_wall_s(), out);
	tell_store(one);
	log_event(LOG_LEVEL_INFO, "mta-sts-fetched", log_c("domain", one->domain), log_c("id", one->id), log_c("mode", modes[out->mode]),
	          log_n("max-age", out->max_age_s));
	return true;
}

static void on_fetched(void *context, struct span text, const struct error *why)
{
	struct policy *one = context;
	struct mta_sts_policy policy = {0};
	/* it counts as being fetched, and stays, until all that wait have been told */
	bool is_new = take_text(one, text, why, &policy);
	for (struct policy_question *q; (q = one->waiting);) {
		stop_waiting(q);
		if (is_new)
			q->done(q->context, &policy); /* also one that holds for no longer than now: a max_age of 0 */
		else
			answer(q, one);
	}
	one->is_fetching = false;
	if (!holds(one))
		forget(one);
	drop_if_idle(one);
}

/* ---- questions ---- */

static void fetch(struct policy *one, struct span id)
{
	if (one->is_fetching)
		return;
	one->is_fetching = true;
	snprintf(one->next_id, sizeof one->next_id, "%.*s", SPAN_ARG(id));
	fetch_start(&one->all->fetches, one->domain, on_fetched, one);
}

static void use_id(struct policy_question *q, struct span id)
{
	struct policy *one = find_or_add(q->policies, span_cstr(q->domain));
	bool is_known = holds(one) && span_equal(id, span_cstr(one->id));
	/* §10.2: so that an attacker has to be there for half of max_age before he can keep a policy from being renewed */
	bool is_half_over = is_known && (uint64_t)clock_wall_s() > one->fetched_s + one->max_age_s / 2;
	if ((!is_known || is_half_over) && !has_failed(one))
		fetch(one, id);
	if (one->is_fetching && !is_known)
		wait_in(q, &one->waiting);
	else
		answer(q, one);
}

static void on_txt(void *context, const struct lookup_result *result)
{
	struct policy_question *q = context;
	BUF_AUTO values = {0};
	struct span records[DNS_RECORDS_MOST], id;
	struct error why;
	size_t count = result->outcome == LOOKUP_ANSWER ? record_values(result->message, DNS_TXT, &values, records) : 0;
	int found = mta_sts_find_id(records, count, &id, &why);
	if (found < 0)
		log_event(LOG_LEVEL_WARNING, "mta-sts-no-record", log_c("domain", q->domain), log_c("why", why.text));
	if (found > 0)
		use_id(q, id);
	else
		answer(q, find(q->policies, span_cstr(q->domain)));
}

static void ask_txt(struct policy_question *q)
{
	char name[RDATA_NAME_MOST + 16];
	snprintf(name, sizeof name, "_mta-sts.%s", q->domain);
	if (strlen(name) < RDATA_NAME_MOST)
		lookup_start(&q->txt, q->policies->fetches.dns, name, RDATA_TYPE_TXT, on_txt, q);
	else
		answer(q, NULL); /* there can be none */
}

void policy_ask(struct policy_question *q, struct policies *p, const char *domain, policy_done_fn *done, void *context)
{
	*q = (struct policy_question){.policies = p, .domain = domain, .done = done, .context = context};
	if (p->is_told)
		ask_txt(q);
	else
		wait_in(q, &p->early);
}

void policy_cancel(struct policy_question *q)
{
	lookup_cancel(&q->txt);
	stop_waiting(q);
}

/* ---- store ---- */

void policies_attach(struct policies *p, struct channel *store)
{
	struct policy *first;
	p->store = store;
	for (size_t at = 0; (first = map_next(&p->by_hash, &at));)
		for (struct policy *one = first; one; one = one->same_hash)
			if (holds(one))
				tell_store(one);
}

bool policies_kept(struct policies *p, const struct msg_policy_kept *m)
{
	struct mta_sts_policy policy;
	BUF_AUTO canonical = {0};
	char id[MTA_STS_ID_BYTES_MOST + 1];
	if (domain_canonical(m->domain, &canonical, NULL) || !span_equal(buf_span(&canonical), m->domain) || !mta_sts_id_is_valid(m->policy_id) ||
	    mta_sts_policy_parse(m->policy, &policy, NULL))
		return false;
	struct policy *one = find_or_add(p, m->domain);
	snprintf(id, sizeof id, "%.*s", SPAN_ARG(m->policy_id));
	if (!one->text.len || one->fetched_s < m->fetched_s)
		remember(one, id, m->fetched_s, &policy);
	if (!holds(one))
		forget(one);
	drop_if_idle(one);
	return true;
}

void policies_told(struct policies *p)
{
	p->is_told = true;
	for (struct policy_question *q; (q = p->early);) {
		stop_waiting(q);
		ask_txt(q);
	}
}

/* ---- life ---- */

void policies_open(struct policies *p, struct loop *l, struct dns *dns, struct ssl_ctx_st *authorities)
{
	if (!p->secret)
		p->secret = random_u64();
	if (!p->failed_last)
		p->failed_last = &p->failed;
	p->fetches = (struct fetches){.loop = l, .dns = dns, .authorities = authorities};
}

void policies_end(struct policies *p)
{
	struct policy *first;
	fetches_end(&p->fetches);
	for (size_t at = 0; (first = map_next(&p->by_hash, &at));)
		for (struct policy *one = first; one; one = one->same_hash)
			one->is_fetching = false;
}
