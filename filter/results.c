/* What an authentication has found, in the words of RFC 8601. */
#include "filter/authentication.h"

#include "wire/address.h"

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
			buf_printf(out, authentication_is_overridden(a, i) ? " (p=%s, overridden)" : " (p=%s)", policies[r->policy]);
		if (authentication_is_overridden(a, i)) {
			BUF_AUTO reason = {0};
			buf_printf(&reason, "arc.trusted %.*s", SPAN_ARG(arc_check_result(a->arc)->sealer));
			add_reason(buf_cstr(&reason), out);
		}
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

/* RFC 8617 §10.1 and §10.2 */
static void add_arc(const struct authentication *a, struct buf *out)
{
	const struct arc_result *r = arc_check_result(a->arc);
	enum auth_outcome outcome = a->has_arc ? r->outcome : AUTH_FAIL;
	buf_printf(out, ";\r\n\tarc=%s", auth_outcome_word(outcome));
	if (outcome == AUTH_NONE)
		return;
	buf_printf(out, " (i=%u)", arc_check_chain(a->arc)->highest);
	if (outcome == AUTH_FAIL)
		add_reason(a->has_arc ? r->reason : "no answer in time", out);
	buf_printf(out, " smtp.remote-ip=\"%.*s\"", SPAN_ARG(a->client_address));
	if (outcome == AUTH_PASS)
		buf_printf(out, " header.oldest-pass=%u", r->oldest_pass);
}

void authentication_results(const struct authentication *a, struct buf *out)
{
	struct span name = authentication_client_name(a);
	buf_printf(out, "%s;\r\n\tiprev=%s", a->hostname, name.len ? "pass" : a->has_names ? "fail" : "temperror");
	buf_printf(out, " policy.iprev=\"%.*s\"", SPAN_ARG(a->client_address));
	add_spf(a, out);
	add_dkim(a, out);
	add_arc(a, out);
	add_dmarc(a, out);
}

void authentication_write(const struct authentication *a, struct buf *out)
{
	buf_add_cstr(out, "Authentication-Results: ");
	authentication_results(a, out);
	buf_add_cstr(out, "\r\n");
}
