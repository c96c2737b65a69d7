#include "wire/dmarc.h"

#include "wire/tag_list.h"

bool dmarc_is_record(struct span txt)
{
	/* the version comes first; white space may stand around its parts */
	ssize_t equals = span_chr(txt, '='), end = span_chr(txt, ';');
	struct span value = span_slice(txt, (size_t)(equals + 1), (size_t)((end < 0 ? (ssize_t)txt.len : end) - equals - 1));
	return equals > 0 && (end < 0 || equals < end) && span_equal_nocase(span_trim(span_slice(txt, 0, (size_t)equals)), SPAN("v")) &&
	       span_equal(span_trim(value), SPAN("DMARC1"));
}

/* -1 if it is no policy. */
static int read_policy(const struct tag *t, enum dmarc_policy *out)
{
	static const struct {
		const char *word;
		enum dmarc_policy policy;
	} words[] = {{"none", DMARC_POLICY_NONE}, {"quarantine", DMARC_POLICY_QUARANTINE}, {"reject", DMARC_POLICY_REJECT}};
	for (size_t i = 0; t && i < sizeof words / sizeof words[0]; i++)
		if (span_equal_nocase(t->value, span_cstr(words[i].word))) {
			*out = words[i].policy;
			return 0;
		}
	return -1;
}

static bool is(const struct tag *t, const char *word)
{
	return t && span_equal_nocase(t->value, span_cstr(word));
}

int dmarc_parse(struct span txt, struct dmarc_record *out)
{
	struct tag tags[TAGS_MOST];
	ssize_t got = dmarc_is_record(txt) ? tag_list_parse(txt, tags) : -1;
	*out = (struct dmarc_record){0};
	if (got < 0)
		return -1;
	size_t count = (size_t)got;
	const struct tag *reports = tag_find(tags, count, SPAN("rua")), *psd = tag_find(tags, count, SPAN("psd"));
	if (reports)
		out->reports_to = reports->value;
	/* without a policy that can be read, but with somebody to report to, it is one of p=none */
	if (read_policy(tag_find(tags, count, SPAN("p")), &out->policy) && !out->reports_to.len)
		return -1;
	if (read_policy(tag_find(tags, count, SPAN("sp")), &out->subdomain_policy))
		out->subdomain_policy = out->policy;
	out->has_nonexistent_policy = read_policy(tag_find(tags, count, SPAN("np")), &out->nonexistent_policy) == 0;
	out->is_dkim_strict = is(tag_find(tags, count, SPAN("adkim")), "s");
	out->is_spf_strict = is(tag_find(tags, count, SPAN("aspf")), "s");
	out->is_testing = is(tag_find(tags, count, SPAN("t")), "y");
	out->psd = is(psd, "y") ? DMARC_PSD_YES : is(psd, "n") ? DMARC_PSD_NO : DMARC_PSD_UNKNOWN;
	return 0;
}
