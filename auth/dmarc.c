/* author's walk -> policy -> alignment: equal names, else the walk of each name below the author's organisation -> outcome. */
#include "auth/dmarc.h"

#include "auth/tree_walk.h"
#include "base/arena.h"
#include "base/die.h"
#include "wire/address.h"

#include <stdlib.h>

enum { NAMES_MOST = DMARC_SIGNERS_MOST + 1 };

/* A domain that is vouched for. */
struct name {
	struct span domain;
	bool is_spf;
};

struct dmarc_check {
	struct dns_client *dns;
	struct arena memory;
	struct name names[NAMES_MOST];
	size_t name_count, name_at;
	struct tree_walk author, other;
	struct span organisation;           /* of the author */
	const struct dmarc_record *record;
	struct dns_question *question;
	struct dmarc_result result;
	bool has_policy_failed;             /* a question about alignment failed: no pass is possible any more, a fail is not proved */
	loop_fn *done;
	void *context;
};

static void conclude(struct dmarc_check *c, enum auth_outcome outcome)
{
	c->result.outcome = outcome;
	c->done(c->context);
}

/* In A-labels and lower case, in the arena; empty if it is no domain name. */
static struct span canonical(struct dmarc_check *c, struct span domain)
{
	BUF_AUTO out = {0};
	if (domain.len && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	if (!domain_is_valid(domain, ADDRESS_UTF8) || domain_canonical(domain, &out, NULL) || out.len > 253)
		return SPAN("");
	return arena_dup(&c->memory, buf_span(&out));
}

static void add_name(struct dmarc_check *c, struct span domain, bool is_spf)
{
	struct span name = canonical(c, domain);
	if (name.len && c->name_count < NAMES_MOST)
		c->names[c->name_count++] = (struct name){name, is_spf};
}

struct dmarc_check *dmarc_check_new(struct dns_client *dns, const struct dmarc_facts *facts)
{
	struct dmarc_check *c = xcalloc(1, sizeof *c);
	c->dns = dns;
	c->result.author = canonical(c, facts->author);
	if (facts->spf_domain.len)
		add_name(c, facts->spf_domain, true);
	for (size_t i = 0; i < facts->signer_count && i < DMARC_SIGNERS_MOST; i++)
		add_name(c, facts->signers[i], false);
	return c;
}

/* ---- alignment ---- */

static bool is_strict(const struct dmarc_check *c, const struct name *n)
{
	return n->is_spf ? c->record->is_spf_strict : c->record->is_dkim_strict;
}

static void compare_next(struct dmarc_check *c);

static void on_other_walk(void *context)
{
	struct dmarc_check *c = context;
	bool is_aligned = !c->other.has_failed && span_equal(tree_walk_organisation(&c->other), c->organisation);
	c->has_policy_failed |= c->other.has_failed;
	tree_walk_free(&c->other);
	c->other = (struct tree_walk){0};
	if (is_aligned)
		conclude(c, AUTH_PASS);
	else
		compare_next(c);
}

/* Names that only an organisation has in common cost a walk each; equal ones, and others, none. */
static void compare_next(struct dmarc_check *c)
{
	while (c->name_at < c->name_count) {
		const struct name *n = &c->names[c->name_at++];
		if (is_strict(c, n) || !domain_is_within(n->domain, c->organisation))
			continue;
		tree_walk_start(&c->other, c->dns, n->domain, on_other_walk, c);
		return;
	}
	conclude(c, c->has_policy_failed ? AUTH_TEMPERROR : AUTH_FAIL);
}

static void compare(struct dmarc_check *c)
{
	for (size_t i = 0; i < c->name_count; i++)
		if (span_equal(c->names[i].domain, c->result.author)) {
			conclude(c, AUTH_PASS);
			return;
		}
	compare_next(c);
}

/* ---- policy ---- */

static void set_policy(struct dmarc_check *c, enum dmarc_policy policy)
{
	c->result.is_testing = c->record->is_testing;
	if (c->record->is_testing && policy > DMARC_POLICY_NONE)
		policy--; /* one level lower */
	c->result.policy = policy;
	compare(c);
}

static void on_existence(void *context, const struct dns_answer *answer)
{
	struct dmarc_check *c = context;
	c->question = NULL;
	set_policy(c, answer->outcome == DNS_NO_NAME ? c->record->nonexistent_policy : c->record->subdomain_policy);
}

/* The author's own record, else the organisation's, else the one of the public suffix above it (§4.10.1). */
static void find_policy(struct dmarc_check *c)
{
	c->result.policy_domain = c->result.author;
	c->record = tree_walk_record(&c->author, c->result.author);
	if (!c->record) {
		c->result.policy_domain = c->organisation;
		c->record = tree_walk_record(&c->author, c->organisation);
	}
	if (!c->record && c->author.found_count) {
		const struct tree_step *last = &c->author.found[c->author.found_count - 1];
		if (last->record.psd == DMARC_PSD_YES) {
			c->result.policy_domain = last->domain;
			c->record = &last->record;
		}
	}
}

static void on_author_walk(void *context)
{
	struct dmarc_check *c = context;
	if (c->author.has_failed) {
		conclude(c, AUTH_TEMPERROR);
		return;
	}
	c->organisation = tree_walk_organisation(&c->author);
	find_policy(c);
	if (!c->record)
		conclude(c, AUTH_NONE);
	else if (span_equal(c->result.policy_domain, c->result.author))
		set_policy(c, c->record->policy);
	else if (c->record->has_nonexistent_policy)
		c->question = c->dns->ask(c->dns, DNS_A, c->result.author, on_existence, c);
	else
		set_policy(c, c->record->subdomain_policy);
}

void dmarc_check_start(struct dmarc_check *c, loop_fn *done, void *context)
{
	c->done = done;
	c->context = context;
	if (c->result.author.len)
		tree_walk_start(&c->author, c->dns, c->result.author, on_author_walk, c);
	else
		conclude(c, AUTH_PERMERROR);
}

const struct dmarc_result *dmarc_check_result(const struct dmarc_check *c)
{
	return &c->result;
}

void dmarc_check_free(struct dmarc_check *c)
{
	if (!c)
		return;
	if (c->question)
		c->dns->cancel(c->dns, c->question);
	tree_walk_free(&c->author);
	tree_walk_free(&c->other);
	arena_free(&c->memory);
	free(c);
}
