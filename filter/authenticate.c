/* SPF and the client's names from the beginning, DKIM and ARC from the header's end; when all are there, DMARC for each author, and for those
 * that it fails for, what the last seal of a chain says of them. */
#include "filter/authentication.h"

#include "base/clock.h"
#include "base/die.h"
#include "config/config.h"
#include "filter/authors.h"
#include "wire/address.h"
#include "wire/header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

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

static void on_arc(void *context)
{
	struct authentication *a = context;
	a->has_arc = true;
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
	a->wants_body_hash = facts->wants_body_hash;
	a->dns = facts->dns;
	a->loop = facts->loop;
	a->named = facts->named;
	a->named_context = facts->context;
	a->client_address = arena_dup(&a->memory, facts->client_address);
	a->helo = arena_dup(&a->memory, facts->helo);
	a->reverse_path = arena_dup(&a->memory, facts->reverse_path);
	a->arc_trusted = arena_dup(&a->memory, facts->arc_trusted).ptr;
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
	dkim_fields_read(&a->fields, header);
	if (a->wants_body_hash)
		dkim_bodies_want(&a->bodies, DKIM_RELAXED);
	a->dkim = dkim_check_new(a->dns, &a->fields, &a->bodies, clock_wall_s());
	a->arc = arc_check_new(a->dns, header, &a->fields, &a->bodies, clock_wall_s());
}

void authentication_body(struct authentication *a, struct span piece)
{
	dkim_bodies_feed(&a->bodies, piece);
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

/* ---- what the last seal's results say ---- */

static void hear_next_testimony(struct authentication *a);

/* Only of an author whose policy would tell, by a sealer who is trusted, in a chain that holds or may still. */
static bool is_heard(const struct authentication *a, size_t author)
{
	const struct arc_result *arc = arc_check_result(a->arc);
	const struct dmarc_result *r = dmarc_check_result(a->dmarc[author]);
	BUF_AUTO sealer = {0};
	bool may_hold = !a->has_arc || arc->outcome == AUTH_PASS || arc->is_later;
	return r->outcome == AUTH_FAIL && r->policy != DMARC_POLICY_NONE && may_hold && arc->sealer.len &&
	       domain_canonical(arc->sealer, &sealer, NULL) == 0 && config_domains_have(a->arc_trusted, buf_span(&sealer));
}

static void on_testimony(void *context)
{
	struct authentication *a = context;
	struct testimony *t = &a->testimonies[a->testimony_count++];
	enum auth_outcome outcome = dmarc_check_result(t->check)->outcome;
	t->is_for_author = outcome == AUTH_PASS;
	t->is_later = outcome == AUTH_TEMPERROR;
	hear_next_testimony(a);
}

static void hear_next_testimony(struct authentication *a)
{
	for (; a->testimony_count < a->author_count; a->testimony_count++) {
		struct testimony *t = &a->testimonies[a->testimony_count];
		struct dmarc_facts facts;
		if (!is_heard(a, a->testimony_count))
			continue;
		t->is_for_author = arc_results_vouch(arc_check_result(a->arc)->results, a->authors[a->testimony_count], &a->memory, &facts);
		if (t->is_for_author || (!facts.spf_domain.len && !facts.signer_count))
			continue;
		t->check = dmarc_check_new(a->dns, &facts);
		dmarc_check_start(t->check, on_testimony, a);
		return;
	}
	a->has_testimonies = true;
	finish(a);
}

bool authentication_is_overridden(const struct authentication *a, size_t author)
{
	return author < a->testimony_count && a->testimonies[author].is_for_author && a->has_arc && arc_check_result(a->arc)->outcome == AUTH_PASS;
}

/* True if a chain that cannot be judged now, or what it says, would vouch for an author. */
static bool is_testimony_later(const struct authentication *a)
{
	for (size_t i = 0; i < a->dmarc_count; i++) {
		const struct testimony *t = &a->testimonies[i];
		bool is_asked = i < a->testimony_count ? t->is_for_author : is_heard(a, i);
		if (t->is_later || (is_asked && !authentication_is_overridden(a, i)))
			return true;
	}
	return false;
}

/* ---- DMARC ---- */

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
		hear_next_testimony(a);
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
	if (a->has_ended && !a->has_dmarc_begun && a->has_names && a->has_lists && a->has_spf && a->has_dkim && a->has_arc)
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
	/* has_ended comes last: the ends of DKIM and ARC may be told at once */
	dkim_bodies_end(&a->bodies);
	dkim_check_end(a->dkim, on_dkim, a);
	arc_check_end(a->arc, on_arc, a);
	a->has_ended = true;
	go_on(a);
}

/* ---- what was found ---- */

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
	return is_unfinished || is_testimony_later(a);
}

bool authentication_has_policies(const struct authentication *a)
{
	return a->dmarc_count >= a->author_count;
}

struct span authentication_overridden_by(const struct authentication *a)
{
	for (size_t i = 0; i < a->testimony_count; i++)
		if (authentication_is_overridden(a, i))
			return arc_check_result(a->arc)->sealer;
	return SPAN("");
}

const struct arc_result *authentication_arc(const struct authentication *a)
{
	return arc_check_result(a->arc);
}

const struct arc_chain *authentication_chain(const struct authentication *a)
{
	return arc_check_chain(a->arc);
}

struct span authentication_body_hash(const struct authentication *a)
{
	return span_of(a->bodies.forms[DKIM_RELAXED].digest, DKIM_DIGEST_BYTES);
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
		if (r->outcome == AUTH_FAIL && r->policy > worst && !authentication_is_overridden(a, i)) {
			worst = r->policy;
			*domain = r->policy_domain;
		}
	}
	return worst;
}

struct span authentication_report_signer(const struct authentication *a)
{
	size_t count;
	const struct dkim_result *results = dkim_check_results(a->dkim, &count);
	if (!a->has_dkim || a->author_count != 1 || a->has_too_many_authors)
		return SPAN("");
	for (size_t i = 0; i < count; i++) {
		struct span signer = results[i].signature.domain, author = a->authors[0];
		size_t more = author.len > signer.len ? author.len - signer.len : 0;
		bool is_above = more && author.ptr[more - 1] == '.' && span_chr(signer, '.') > 0;
		if (results[i].has_signed_report && signer.len && (is_above || !more) && span_equal_nocase(span_skip(author, more), signer))
			return signer;
	}
	return SPAN("");
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
	arc_check_free(a->arc);
	dkim_bodies_free(&a->bodies);
	dkim_fields_free(&a->fields);
	for (size_t i = 0; i < AUTHENTICATE_AUTHORS_MOST; i++) {
		dmarc_check_free(a->dmarc[i]);
		dmarc_check_free(a->testimonies[i].check);
	}
	arena_free(&a->memory);
	free(a);
}
