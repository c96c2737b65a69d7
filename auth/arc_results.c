/* What the results of another server say for an author. */
#include "auth/arc.h"
#include "wire/address.h"
#include "wire/authentication_results.h"

static bool is_same_domain(struct span a, struct span b)
{
	BUF_AUTO one = {0}, other = {0};
	return domain_is_valid(a, ADDRESS_UTF8) && domain_is_valid(b, ADDRESS_UTF8) && domain_canonical(a, &one, NULL) == 0 &&
	       domain_canonical(b, &other, NULL) == 0 && span_equal(buf_span(&one), buf_span(&other));
}

/* "local@domain", "@domain" or "domain". */
static struct span domain_of(struct span value)
{
	return span_skip(value, (size_t)(span_rchr(value, '@') + 1));
}

static struct span signer_of(const struct authentication_result *r)
{
	struct span domain = authentication_result_property(r, SPAN("header.d"));
	return domain.len ? domain : domain_of(authentication_result_property(r, SPAN("header.i")));
}

bool arc_results_vouch(struct span results, struct span author, struct arena *a, struct dmarc_facts *facts)
{
	struct authentication_result r;
	struct span rest = results;
	*facts = (struct dmarc_facts){.author = author};
	authentication_results_start(&rest, a);
	while (authentication_results_next(&rest, a, &r)) {
		if (!span_equal_nocase(r.result, SPAN("pass")))
			continue;
		if (span_equal_nocase(r.method, SPAN("dmarc")) && is_same_domain(authentication_result_property(&r, SPAN("header.from")), author))
			return true;
		if (span_equal_nocase(r.method, SPAN("spf")) && !facts->spf_domain.len)
			facts->spf_domain = domain_of(authentication_result_property(&r, SPAN("smtp.mailfrom")));
		if (span_equal_nocase(r.method, SPAN("dkim")) && facts->signer_count < DMARC_SIGNERS_MOST && signer_of(&r).len)
			facts->signers[facts->signer_count++] = signer_of(&r);
	}
	return false;
}
