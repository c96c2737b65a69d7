/* Policies, organisations and alignment: RFC 9989 §4.10 and its examples. */
#include "auth/dmarc.h"
#include "auth/test_dns.h"
#include "auth/tree_walk.h"
#include "wire/test.h"

static void records_are_read(void **state)
{
	static const struct {
		const char *in;
		int result;
		enum dmarc_policy policy, subdomain_policy;
	} cases[] = {
		{"v=DMARC1; p=reject", 0, DMARC_POLICY_REJECT, DMARC_POLICY_REJECT},
		{"v=DMARC1;p=Quarantine;sp=none;", 0, DMARC_POLICY_QUARANTINE, DMARC_POLICY_NONE},
		{"v = DMARC1 ; p = reject ; sp=nonsense", 0, DMARC_POLICY_REJECT, DMARC_POLICY_REJECT},
		{"v=DMARC1; p=nonsense", -1, 0, 0},
		{"v=DMARC1; p=nonsense; rua=mailto:a@b.example", 0, DMARC_POLICY_NONE, DMARC_POLICY_NONE},
		{"v=DMARC1; rua=mailto:a@b.example", 0, DMARC_POLICY_NONE, DMARC_POLICY_NONE},
		{"v=DMARC1", -1, 0, 0},
		{"p=reject; v=DMARC1", -1, 0, 0},
		{"v=DMARC2; p=reject", -1, 0, 0},
		{"v=dmarc1; p=reject", -1, 0, 0},
		{"v=DMARC1; p", -1, 0, 0},
		{"v=spf1 -all", -1, 0, 0},
		{"", -1, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dmarc_record r;
		assert_int_equal(dmarc_parse(span_cstr(cases[i].in), &r), cases[i].result);
		if (cases[i].result == 0) {
			assert_int_equal(r.policy, cases[i].policy);
			assert_int_equal(r.subdomain_policy, cases[i].subdomain_policy);
		}
	}
}

static const struct test_record zone[] = {
	{DNS_TXT, "_dmarc.example.com", SPAN("v=DMARC1; p=reject; sp=quarantine; np=reject"), DNS_ANSWER},
	{DNS_A, "news.example.com", SPAN("\xc0\0\2\1"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.strict.example", SPAN("v=DMARC1; p=reject; adkim=s; aspf=s"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.test.example", SPAN("v=DMARC1; p=reject; t=y"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.two.example", SPAN("v=DMARC1; p=reject"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.two.example", SPAN("v=DMARC1; p=none"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.other.example", SPAN("v=something else"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.other.example", SPAN("v=DMARC1; p=quarantine"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.later.example", SPAN(""), DNS_LATER},
	/* a public suffix, its customers, and one that says that it is an organisation of its own */
	{DNS_TXT, "_dmarc.suffix.example", SPAN("v=DMARC1; p=none; sp=reject; psd=y"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.shop.suffix.example", SPAN("v=DMARC1; p=quarantine"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.own.big.example", SPAN("v=DMARC1; p=reject; psd=n"), DNS_ANSWER},
	{DNS_TXT, "_dmarc.big.example", SPAN("v=DMARC1; p=reject"), DNS_ANSWER},
};

/* "pass", or "fail reject example.com": the outcome, its policy, and where that was found. */
static void check(const struct dmarc_facts *facts, unsigned asked_most, struct buf *out);

static void note_end(void *context)
{
	*(bool *)context = true;
}

static void check(const struct dmarc_facts *facts, unsigned asked_most, struct buf *out)
{
	static const char *policies[] = {"none", "quarantine", "reject"};
	struct test_dns dns = test_dns_of(zone, sizeof zone / sizeof zone[0]);
	struct dmarc_check *c = dmarc_check_new(&dns.client, facts);
	bool is_done = false;
	dmarc_check_start(c, note_end, &is_done);
	test_dns_answer_all(&dns);
	assert_true(is_done);
	assert_true(dns.asked <= asked_most);
	const struct dmarc_result *r = dmarc_check_result(c);
	buf_add_cstr(out, auth_outcome_word(r->outcome));
	if (r->outcome == AUTH_FAIL)
		buf_printf(out, " %s %.*s", policies[r->policy], SPAN_ARG(r->policy_domain));
	dmarc_check_free(c);
}

static void a_domain_is_vouched_for_or_not(void **state)
{
	static const struct {
		const char *author, *spf, *signer, *result;
	} cases[] = {
		{"example.com", "example.com", "", "pass"},
		{"EXAMPLE.com", "", "Example.COM", "pass"},
		{"example.com", "bounce.example.com", "", "pass"},
		{"news.example.com", "", "example.com", "pass"},
		{"news.example.com", "mail.example.com", "", "pass"},
		{"example.com", "", "", "fail reject example.com"},
		{"example.com", "evil.example", "evil.example", "fail reject example.com"},
		{"example.com", "badexample.com", "com", "fail reject example.com"},
		{"news.example.com", "", "", "fail quarantine example.com"},
		{"nosuch.example.com", "", "", "fail reject example.com"},
		{"strict.example", "mail.strict.example", "mail.strict.example", "fail reject strict.example"},
		{"strict.example", "", "strict.example", "pass"},
		{"test.example", "", "", "fail quarantine test.example"},
		{"two.example", "", "", "none"},
		{"other.example", "", "", "fail quarantine other.example"},
		{"later.example", "later.example", "", "temperror"},
		{"nowhere.example", "nowhere.example", "", "none"},
		{"", "a.example", "", "permerror"},
		{"no name", "a.example", "", "permerror"},
		/* customers of a public suffix vouch for nobody but themselves */
		{"shop.suffix.example", "", "pub.suffix.example", "fail quarantine shop.suffix.example"},
		{"shop.suffix.example", "mail.shop.suffix.example", "", "pass"},
		{"pub.suffix.example", "shop.suffix.example", "suffix.example", "fail reject suffix.example"},
		{"own.big.example", "", "big.example", "fail reject own.big.example"},
		{"big.example", "", "own.big.example", "fail reject big.example"},
		{"big.example", "", "a.big.example", "pass"},
		{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "", "a.b.c.d.e.f.g.h.i.j.mail.example.com", "pass"},
		{"\xc3\xa9xample.com", "", "xn--xample-9ua.com", "none"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dmarc_facts facts = {.author = span_cstr(cases[i].author), .spf_domain = span_cstr(cases[i].spf)};
		BUF_AUTO out = {0};
		if (cases[i].signer[0])
			facts.signers[facts.signer_count++] = span_cstr(cases[i].signer);
		check(&facts, 3 * TREE_WALK_MOST + 1, &out);
		if (!span_equal(buf_span(&out), span_cstr(cases[i].result)))
			fail_msg("%s, %s, %s\ngot  %.*s\nwant %s", cases[i].author, cases[i].spf, cases[i].signer, SPAN_ARG(buf_span(&out)), cases[i].result);
	}
}

static void a_walk_of_a_long_name_asks_eight_times(void **state)
{
	static const char *asked[] = {"_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com", "_dmarc.g.h.i.j.mail.example.com", "_dmarc.h.i.j.mail.example.com",
	                              "_dmarc.i.j.mail.example.com", "_dmarc.j.mail.example.com", "_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com"};
	struct test_dns dns = test_dns_of(zone, sizeof zone / sizeof zone[0]);
	struct tree_walk w;
	bool is_done = false;
	(void)state;
	tree_walk_start(&w, &dns.client, SPAN("a.b.c.d.e.f.g.h.i.j.mail.example.com"), note_end, &is_done);
	for (size_t i = 0; dns.waiting; i++) {
		struct dns_question *q = dns.waiting;
		assert_true(i < sizeof asked / sizeof asked[0]);
		assert_string_equal(q->name, asked[i]);
		dns.waiting = q->next;
		test_dns_answer(&dns, q);
	}
	assert_true(is_done);
	assert_span(tree_walk_organisation(&w), "example.com");
	tree_walk_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read),
		cmocka_unit_test(a_domain_is_vouched_for_or_not),
		cmocka_unit_test(a_walk_of_a_long_name_asks_eight_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
