/* SPF and the client's names from the beginning, DKIM from the header's end; when all are there, DMARC for each author. */
#include "filter/authenticate.h"

#include "auth/dkim.h"
#include "auth/dns_lists.h"
#include "auth/spf.h"
#include "auth/spf_name.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/die.h"
#include "filter/authors.h"
#include "wire/address.h"
#include "wire/header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct authentication {
	const char *hostname;
	struct dns_client *dns;
	struct loop *loop;
	struct arena memory;
	struct timer *timer;
	struct span client_address, helo, reverse_path, header;
	unsigned char ip[16];
	struct spf_names names;
	struct dns_lists_check *lists;
	struct spf_check *spf;
	struct dkim_check *dkim;
	struct dmarc_check *dmarc[AUTHENTICATE_AUTHORS_MOST]; /* one an author's domain, in turn */
	struct span authors[AUTHENTICATE_AUTHORS_MOST];
	size_t author_count, dmarc_count;
	bool has_names, has_lists, has_spf, has_dkim, has_ended; /* what is decided */
	bool has_dmarc_begun;
	bool has_too_many_authors;
	loop_fn *named, *done;
	void *named_context, *context;
};

static void go_on(struct authentication *a);

static void on_names(void *context)
{
	struct authentication *a = context;
	a->has_names = true;
	if (a->named)
		a->named(a->named_context);
	go_on(a);
}

static void on_lists(void *context)
{
	struct authentication *a = context;
	a->has_lists = true;
	go_on(a);
}

static void on_spf(void *context)
{
	struct authentication *a = context;
	a->has_spf = true;
	go_on(a);
}

static void on_dkim(void *context)
{
	struct authentication *a = context;
	a->has_dkim = true;
	go_on(a);
}

static struct span binary_address(struct authentication *a)
{
	char text[INET6_ADDRSTRLEN];
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(span_slice(a->client_address, 0, sizeof text - 1)));
	if (inet_pton(AF_INET, text, a->ip) == 1)
		return span_of(a->ip, 4);
	return inet_pton(AF_INET6, text, a->ip) == 1 ? span_of(a->ip, 16) : (struct span){0};
}

struct authentication *authentication_new(const struct authentication_facts *facts)
{
	struct authentication *a = xcalloc(1, sizeof *a);
	a->hostname = facts->hostname;
	a->dns = facts->dns;
	a->loop = facts->loop;
	a->named = facts->named;
	a->named_context = facts->context;
	a->client_address = arena_dup(&a->memory, facts->client_address);
	a->helo = arena_dup(&a->memory, facts->helo);
	a->reverse_path = arena_dup(&a->memory, facts->reverse_path);
	struct spf_facts spf = {.ip = a->client_address, .helo = a->helo, .mail_from = a->reverse_path,
	                        .receiver = span_cstr(a->hostname), .now_s = clock_wall_s()};
	a->spf = spf_check_new(a->dns, &spf);
	spf_check_start(a->spf, on_spf, a);
	struct span address = binary_address(a);
	a->lists = dns_lists_check_new(a->dns, facts->dns_lists, address);
	dns_lists_check_start(a->lists, on_lists, a);
	if (address.len)
		spf_names_start(&a->names, a->dns, address, on_names, a);
	else
		a->has_names = true;
	return a;
}

void authentication_header(struct authentication *a, struct span header)
{
	a->header = header;
	a->dkim = dkim_check_new(a->dns, header, clock_wall_s());
}

void authentication_body(struct authentication *a, struct span piece)
{
	dkim_check_body(a->dkim, piece);
}

/* ---- the end ---- */

static void finish(struct authentication *a)
{
	timer_free(a->timer);
	a->timer = NULL;
	a->done(a->context);
}

static struct span spf_domain(const struct authentication *a)
{
	const struct spf_result *r = spf_check_result(a->spf);
	return a->has_spf && r->outcome == AUTH_PASS ? r->domain : (struct span){0};
}

static void check_next_author(struct authentication *a);

static void on_dmarc(void *context)
{
	struct authentication *a = context;
	a->dmarc_count++;
	check_next_author(a);
}

static void check_next_author(struct authentication *a)
{
	if (a->dmarc_count == a->author_count) {
		finish(a);
		return;
	}
	struct dmarc_facts facts = {.author = a->authors[a->dmarc_count], .spf_domain = spf_domain(a)};
	size_t count;
	const struct dkim_result *results = dkim_check_results(a->dkim, &count);
	for (size_t i = 0; i < count && facts.signer_count < DMARC_SIGNERS_MOST; i++)
		if (results[i].outcome == AUTH_PASS)
			facts.signers[facts.signer_count++] = results[i].signature.domain;
	struct dmarc_check *c = dmarc_check_new(a->dns, &facts);
	a->dmarc[a->dmarc_count] = c;
	dmarc_check_start(c, on_dmarc, a);
}

static void start_dmarc(struct authentication *a)
{
	a->has_dmarc_begun = true;
	check_next_author(a);
}

static void go_on(struct authentication *a)
{
	if (a->has_ended && !a->has_dmarc_begun && a->has_names && a->has_lists && a->has_spf && a->has_dkim)
		start_dmarc(a);
}

/* What is still open vouches for nothing. The author's domain is asked all the same: else a forger whose own DNS is slow enough would
 * keep its policy from being looked at. */
static void on_timeout(void *context)
{
	struct authentication *a = context;
	if (!a->has_names)
		spf_names_cancel(&a->names);
	if (a->has_dmarc_begun) {
		finish(a);
		return;
	}
	timer_set(a->timer, AUTHENTICATE_MOST_MS);
	start_dmarc(a);
}

static void add_author(struct authentication *a, struct span domain)
{
	for (size_t i = 0; i < a->author_count; i++)
		if (span_equal_nocase(a->authors[i], domain))
			return;
	if (a->author_count == AUTHENTICATE_AUTHORS_MOST)
		a->has_too_many_authors = true;
	else
		a->authors[a->author_count++] = arena_dup(&a->memory, domain);
}

/* The domains of all From fields; of one that is no list of addresses, whatever a reader could take for one (RFC 9989 §4.4 leaves open what
 * is done with it): else a word behind an address would keep its domain's policy from being looked at. */
static void read_authors(struct authentication *a)
{
	struct header_reader r = {.header = a->header};
	struct header_field field;
	struct authors authors = {0};
	while (header_next(&r, &field))
		if (span_equal_nocase(field.name, SPAN("From")) && authors_add(field.value, &authors))
			a->has_too_many_authors |= authors_add_all(field.value, &authors) != 0;
	for (size_t i = 0; i < authors.count; i++)
		add_author(a, span_skip(authors.list[i], (size_t)(span_rchr(authors.list[i], '@') + 1)));
	arena_free(&authors.memory);
}

void authentication_end(struct authentication *a, loop_fn *done, void *context)
{
	a->done = done;
	a->context = context;
	read_authors(a);
	a->timer = timer_new(a->loop, on_timeout, a);
	timer_set(a->timer, AUTHENTICATE_MOST_MS);
	/* has_ended comes last: the end of DKIM may be told at once */
	dkim_check_end(a->dkim, on_dkim, a);
	a->has_ended = true;
	go_on(a);
}

/* ---- results ---- */

struct span authentication_client(const struct authentication *a)
{
	return a->client_address;
}

bool authentication_knows_name(const struct authentication *a)
{
	return a->has_names;
}

struct span authentication_client_name(const struct authentication *a)
{
	struct span best = a->has_names ? spf_names_best(&a->names, a->helo) : SPAN("unknown");
	return span_equal(best, SPAN("unknown")) ? SPAN("") : best;
}

int authentication_listed(const struct authentication *a, struct span *zone)
{
	return dns_lists_weight(a->lists, zone); /* also of those that have answered, if some have not in time */
}

bool authentication_is_unfinished(const struct authentication *a)
{
	size_t count;
	const struct dkim_result *results = dkim_check_results(a->dkim, &count);
	bool is_unfinished = !a->has_spf || !a->has_dkim || spf_check_result(a->spf)->outcome == AUTH_TEMPERROR;
	for (size_t i = 0; i < count && !is_unfinished; i++)
		is_unfinished = results[i].outcome == AUTH_TEMPERROR;
	return is_unfinished;
}

bool authentication_has_policies(const struct authentication *a)
{
	return a->dmarc_count >= a->author_count;
}

size_t authentication_authors(const struct authentication *a)
{
	return a->has_too_many_authors ? AUTHENTICATE_AUTHORS_MOST + 1 : a->author_count;
}

enum dmarc_policy authentication_policy(const struct authentication *a, struct span *domain)
{
	enum dmarc_policy worst = DMARC_POLICY_NONE;
	for (size_t i = 0; i < a->dmarc_count; i++) {
		const struct dmarc_result *r = dmarc_check_result(a->dmarc[i]);
		if (r->outcome == AUTH_FAIL && r->policy > worst) {
			worst = r->policy;
			*domain = r->policy_domain;
		}
	}
	return worst;
}

/* A domain as a token of RFC 8601 §2.2, in A-labels; "invalid" if it is none. */
static void add_domain(struct span domain, struct buf *out)
{
	if (!domain_is_valid(domain, ADDRESS_UTF8) || domain_canonical(domain, out, NULL))
		buf_add_cstr(out, "invalid");
}

/* A reason is ours, but for the names that a record has in it. */
static void add_reason(const char *reason, struct buf *out)
{
	if (!reason || !reason[0])
		return;
	buf_add_cstr(out, " reason=\"");
	for (; *reason; reason++)
		buf_add_char(out, *reason < ' ' || *reason > '~' || *reason == '"' || *reason == '\\' ? '?' : *reason);
	buf_add_char(out, '"');
}

static void add_spf(const struct authentication *a, struct buf *out)
{
	const struct spf_result *r = spf_check_result(a->spf);
	enum auth_outcome outcome = a->has_spf ? r->outcome : AUTH_TEMPERROR;
	buf_printf(out, ";\r\n\tspf=%s", auth_outcome_word(outcome));
	if (outcome == AUTH_TEMPERROR || outcome == AUTH_PERMERROR)
		add_reason(a->has_spf ? r->reason : "no answer in time", out);
	if (!r->domain.len)
		return;
	buf_add_cstr(out, a->reverse_path.len ? " smtp.mailfrom=" : " smtp.helo=");
	add_domain(r->domain, out);
}

static void add_signature(const struct dkim_result *r, enum auth_outcome outcome, const char *reason, struct buf *out)
{
	static const char *algorithms[] = {"rsa-sha256", "ed25519-sha256", "rsa-sha1"};
	const struct dkim_signature *s = &r->signature;
	buf_printf(out, ";\r\n\tdkim=%s", auth_outcome_word(outcome));
	add_reason(reason, out);
	if (!s->domain.len || !s->selector.len)
		return;
	buf_add_cstr(out, " header.d=");
	add_domain(s->domain, out);
	buf_add_cstr(out, " header.s=");
	add_domain(s->selector, out);
	buf_printf(out, " header.a=%s", algorithms[s->algorithm]);
}

static void add_dkim(const struct authentication *a, struct buf *out)
{
	size_t count;
	const struct dkim_result *results = dkim_check_results(a->dkim, &count);
	if (count == 0)
		buf_add_cstr(out, ";\r\n\tdkim=none");
	for (size_t i = 0; i < count; i++)
		add_signature(&results[i], a->has_dkim ? results[i].outcome : AUTH_TEMPERROR, a->has_dkim ? results[i].reason : "no answer in time", out);
}

static void add_dmarc(const struct authentication *a, struct buf *out)
{
	static const char *policies[] = {"none", "quarantine", "reject"};
	for (size_t i = 0; i < a->dmarc_count; i++) {
		const struct dmarc_result *r = dmarc_check_result(a->dmarc[i]);
		buf_printf(out, ";\r\n\tdmarc=%s", auth_outcome_word(r->outcome));
		if (r->outcome == AUTH_FAIL)
			buf_printf(out, " (p=%s)", policies[r->policy]);
		buf_add_cstr(out, " header.from=");
		add_domain(r->author, out);
	}
	for (size_t i = a->dmarc_count; i < a->author_count; i++)
		buf_add_cstr(out, ";\r\n\tdmarc=temperror reason=\"no answer in time\"");
	if (a->author_count == 0)
		buf_add_cstr(out, ";\r\n\tdmarc=permerror reason=\"no author in the From field\"");
	if (a->has_too_many_authors)
		buf_add_cstr(out, ";\r\n\tdmarc=permerror reason=\"too many authors in the From field\"");
}

void authentication_write(const struct authentication *a, struct buf *out)
{
	struct span name = authentication_client_name(a);
	buf_printf(out, "Authentication-Results: %s;\r\n\tiprev=%s", a->hostname, name.len ? "pass" : a->has_names ? "fail" : "temperror");
	buf_printf(out, " policy.iprev=\"%.*s\"", SPAN_ARG(a->client_address));
	add_spf(a, out);
	add_dkim(a, out);
	add_dmarc(a, out);
	buf_add_cstr(out, "\r\n");
}

void authentication_free(struct authentication *a)
{
	if (!a)
		return;
	timer_free(a->timer);
	spf_names_cancel(&a->names);
	dns_lists_check_free(a->lists);
	spf_check_free(a->spf);
	dkim_check_free(a->dkim);
	for (size_t i = 0; i < AUTHENTICATE_AUTHORS_MOST; i++)
		dmarc_check_free(a->dmarc[i]);
	arena_free(&a->memory);
	free(a);
}
