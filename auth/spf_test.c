/* Records and what they say of a client: RFC 7208 §4.6.4, §5, §6, §7.4 and appendix A, and the faults that others have made. */
#include "auth/spf.h"
#include "auth/test_dns.h"
#include "wire/spf.h"
#include "wire/test.h"


static const struct test_record zone[] = {
	{DNS_A, "example.com", SPAN("\xc0\0\2\xa"), DNS_ANSWER},
	{DNS_AAAA, "example.com", SPAN("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), DNS_ANSWER},
	{DNS_MX, "example.com", SPAN("\0\x0amail-a.example.com"), DNS_ANSWER},
	{DNS_MX, "example.com", SPAN("\0\x14mail-b.example.com"), DNS_ANSWER},
	{DNS_A, "mail-a.example.com", SPAN("\xc0\0\2\x81"), DNS_ANSWER},
	{DNS_A, "mail-b.example.com", SPAN("\xc0\0\2\x82"), DNS_ANSWER},
	{DNS_A, "amy.example.com", SPAN("\xc0\0\2\x41"), DNS_ANSWER},
	{DNS_PTR, "65.2.0.192.in-addr.arpa", SPAN("amy.example.com"), DNS_ANSWER},
	{DNS_PTR, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", SPAN("example.com"), DNS_ANSWER},
	{DNS_PTR, "140.2.0.192.in-addr.arpa", SPAN("amy.example.com"), DNS_ANSWER}, /* which has another address */
	{DNS_A, "later.example.com", SPAN(""), DNS_LATER},
	{DNS_TXT, "later.example.com", SPAN(""), DNS_LATER},
	{DNS_A, "3.2.0.192.listed.example", SPAN("\x7f\0\0\2"), DNS_ANSWER},
	{DNS_A, "lp._spf.strong.example.com", SPAN("\x7f\0\0\2"), DNS_ANSWER},
	{DNS_TXT, "pass.example", SPAN("v=spf1 +all"), DNS_ANSWER},
	{DNS_TXT, "fail.example", SPAN("v=spf1 -all"), DNS_ANSWER},
	{DNS_TXT, "two.example", SPAN("v=spf1 +all"), DNS_ANSWER},
	{DNS_TXT, "two.example", SPAN("v=spf1 -all"), DNS_ANSWER},
	{DNS_TXT, "broken.example", SPAN("v=spf1 ipv4:192.0.2.1 +all"), DNS_ANSWER},
	{DNS_TXT, "loop.example", SPAN("v=spf1 include:loop.example -all"), DNS_ANSWER},
	{DNS_TXT, "none.example", SPAN("some other text"), DNS_ANSWER},
	{DNS_TXT, "why.example", SPAN("%{i} is not one of %{d}'s: see http://%{d}/why?s=%{S}&h=%{h}&c=%{c}&r=%{r}&t=%{t}&p=%{p} 100%% sure"), DNS_ANSWER},
	{DNS_TXT, "bad-why.example", SPAN("100% sure"), DNS_ANSWER},
};

static void note_end(void *context)
{
	*(bool *)context = true;
}

/* Checks a record of test.example. */
static void check(struct span record, const char *ip, const char *mail_from, struct buf *out)
{
	struct test_record records[sizeof zone / sizeof zone[0] + 1];
	memcpy(records, zone, sizeof zone);
	records[sizeof zone / sizeof zone[0]] = (struct test_record){DNS_TXT, "test.example", record, DNS_ANSWER};
	struct test_dns dns = test_dns_of(records, sizeof records / sizeof records[0]);
	struct spf_facts facts = {.ip = span_cstr(ip), .helo = SPAN("amy.example.com"), .mail_from = span_cstr(mail_from),
	                          .receiver = SPAN("mx.here.example"), .now_s = 1000};
	struct spf_check *c = spf_check_new(&dns.client, &facts);
	bool is_done = false;
	spf_check_start(c, note_end, &is_done);
	test_dns_answer_all(&dns);
	assert_true(is_done);
	const struct spf_result *r = spf_check_result(c);
	buf_clear(out);
	buf_printf(out, "%s%s%.*s%s%.*s", auth_outcome_word(r->outcome), r->term.len ? " " : "", SPAN_ARG(r->term),
	           r->explanation.len ? " " : "", SPAN_ARG(r->explanation));
	spf_check_free(c);
}

struct one_case {
	struct span record;
	const char *ip, *result;
};

static void check_all(const struct one_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		BUF_AUTO out = {0};
		check(cases[i].record, cases[i].ip, "strong-bad@test.example", &out);
		if (!span_equal(buf_span(&out), span_cstr(cases[i].result)))
			fail_msg("%.*s\ngot  %.*s\nwant %s", SPAN_ARG(cases[i].record), SPAN_ARG(buf_span(&out)), cases[i].result);
	}
}

static void mechanisms_match_what_they_say(void **state)
{
	static const struct one_case cases[] = {
		{SPAN("v=spf1 -all"), "192.0.2.1", "fail -all"},
		{SPAN("v=spf1"), "192.0.2.1", "neutral"},
		{SPAN("V=SPF1 ?ALL"), "192.0.2.1", "neutral ?ALL"},
		{SPAN("v=spf1  ip4:192.0.2.1   ~all "), "192.0.2.1", "pass ip4:192.0.2.1"},
		{SPAN("v=spf1 ip4:192.0.2.0/31 ~all"), "192.0.2.1", "pass ip4:192.0.2.0/31"},
		{SPAN("v=spf1 ip4:192.0.2.0/32 ~all"), "192.0.2.1", "softfail ~all"},
		{SPAN("v=spf1 ip4:1.2.3.4/0 -all"), "192.0.2.1", "pass ip4:1.2.3.4/0"},
		{SPAN("v=spf1 ip4:192.0.2.1 -all"), "::ffff:192.0.2.1", "pass ip4:192.0.2.1"},
		{SPAN("v=spf1 ip6:2001:db8::/33 -all"), "2001:db8::1", "pass ip6:2001:db8::/33"},
		{SPAN("v=spf1 ip6:::/0 -all"), "192.0.2.1", "fail -all"},
		{SPAN("v=spf1 a:example.com -all"), "192.0.2.10", "pass a:example.com"},
		{SPAN("v=spf1 a:example.com/28 -all"), "192.0.2.1", "pass a:example.com/28"},
		{SPAN("v=spf1 a:example.com//64 -all"), "2001:db8::2", "pass a:example.com//64"},
		{SPAN("v=spf1 a:example.com/24//64 -all"), "192.0.2.1", "pass a:example.com/24//64"},
		{SPAN("v=spf1 a -all"), "192.0.2.1", "fail -all"},
		{SPAN("v=spf1 a:example.com. -all"), "192.0.2.10", "pass a:example.com."},
		{SPAN("v=spf1 mx:example.com -all"), "192.0.2.130", "pass mx:example.com"},
		{SPAN("v=spf1 mx:example.com/30 -all"), "192.0.2.131", "pass mx:example.com/30"},
		{SPAN("v=spf1 mx:none.example -all"), "192.0.2.131", "fail -all"},
		{SPAN("v=spf1 ptr:example.com -all"), "192.0.2.65", "pass ptr:example.com"},
		{SPAN("v=spf1 ptr:example.com -all"), "2001:db8::1", "pass ptr:example.com"},
		{SPAN("v=spf1 ptr:example.com -all"), "192.0.2.140", "fail -all"},
		{SPAN("v=spf1 exists:%{ir}.listed.example -all"), "192.0.2.3", "pass exists:%{ir}.listed.example"},
		{SPAN("v=spf1 exists:lp._spf.%{l1-}%{l0r}.example.com -all"), "192.0.2.3", "permerror"},
		{SPAN("v=spf1 exists:lp._spf.%{lr}.%{d2}.example.com -all"), "192.0.2.3", "fail -all"},
		{SPAN("v=spf1 include:pass.example -all"), "192.0.2.1", "pass include:pass.example"},
		{SPAN("v=spf1 include:fail.example ?all"), "192.0.2.1", "neutral ?all"},
		{SPAN("v=spf1 -include:pass.example ?all"), "192.0.2.1", "fail -include:pass.example"},
		{SPAN("v=spf1 redirect=fail.example"), "192.0.2.1", "fail -all"},
		{SPAN("v=spf1 redirect=fail.example ?all"), "192.0.2.1", "neutral ?all"},
		{SPAN("v=spf1 a:example.com moo.cow-far_out=man:dog/cat ip4:192.0.2.1 -all"), "192.0.2.1", "pass ip4:192.0.2.1"},
		{SPAN("v=spf1 default=pass"), "192.0.2.1", "neutral"},
	};
	(void)state;
	check_all(cases, sizeof cases / sizeof cases[0]);
}

static void errors_are_permanent_or_not(void **state)
{
	static const struct one_case cases[] = {
		{SPAN("v=spf10 -all"), "192.0.2.1", "none"},
		{SPAN("v=spf1 a:later.example.com +all"), "192.0.2.1", "temperror"},
		{SPAN("v=spf1 include:later.example.com +all"), "192.0.2.1", "temperror"},
		{SPAN("v=spf1 redirect=later.example.com"), "192.0.2.1", "temperror"},
		{SPAN("v=spf1 include:none.example +all"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 include:nowhere.example +all"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 include:two.example +all"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 include:broken.example +all"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 redirect=none.example"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 include:loop.example +all"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 redirect=test.example"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 a:n1.example a:n2.example ip4:192.0.2.1"), "192.0.2.1", "pass ip4:192.0.2.1"},
		{SPAN("v=spf1 a:n1.example a:n2.example a:n3.example ip4:192.0.2.1"), "192.0.2.1", "permerror"},
		{SPAN("v=spf1 a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com"
		      " a:example.com a:example.com ip4:192.0.2.1"), "192.0.2.1", "pass ip4:192.0.2.1"},
		{SPAN("v=spf1 a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com a:example.com"
		      " a:example.com a:example.com a:example.com ip4:192.0.2.1"), "192.0.2.1", "permerror"},
	};
	(void)state;
	check_all(cases, sizeof cases / sizeof cases[0]);
}

/* Each with a term before the fault that would have matched: the whole record is read first (§4.6). */
static void syntax_is_taken_strictly(void **state)
{
	static const struct span records[] = {
		SPAN("v=spf1 +all all:x.example"), SPAN("v=spf1 +all all/8"), SPAN("v=spf1 +all all."), SPAN("v=spf1 +all include"),
		SPAN("v=spf1 +all include:"), SPAN("v=spf1 +all include:e.example/24"), SPAN("v=spf1 +all a:"), SPAN("v=spf1 +all a:museum"),
		SPAN("v=spf1 +all a:museum."), SPAN("v=spf1 +all a:111.222.33.44"), SPAN("v=spf1 +all a:e.example:8080"), SPAN("v=spf1 +all a/33"),
		SPAN("v=spf1 +all a/032"), SPAN("v=spf1 +all a//129"), SPAN("v=spf1 +all a/"), SPAN("v=spf1 +all a//"), SPAN("v=spf1 +all ip4"),
		SPAN("v=spf1 +all ip4:1.2.3"), SPAN("v=spf1 +all ip4:1.2.3.4:25"), SPAN("v=spf1 +all ip4:1.2.3.4/33"), SPAN("v=spf1 +all ip4:1.2.3.4//32"),
		SPAN("v=spf1 +all ip6:::1/129"), SPAN("v=spf1 +all ip6:::1//33"), SPAN("v=spf1 +all ip6:1.2.3.4"), SPAN("v=spf1 +all exists"),
		SPAN("v=spf1 +all exists:e.example/24"), SPAN("v=spf1 +all ptr:"), SPAN("v=spf1 +all ptr/0"), SPAN("v=spf1 +all mx//"),
		SPAN("v=spf1 +all redirect="), SPAN("v=spf1 +all redirect=a.example redirect=a.example"), SPAN("v=spf1 +all exp="),
		SPAN("v=spf1 +all exp=a.example exp=a.example"), SPAN("v=spf1 +all -redirect=a.example"), SPAN("v=spf1 +all =bar"),
		SPAN("v=spf1 +all name=abc%def"), SPAN("v=spf1 +all moo.cow/far_out=man"), SPAN("v=spf1 +all nosuch"), SPAN("v=spf1 +all nosuch:e.example"),
		SPAN("v=spf1 +all exists:%{e}.example"), SPAN("v=spf1 +all exists:%{d0}.example"), SPAN("v=spf1 +all exists:%(d).example"),
		SPAN("v=spf1 +all exists:%{d"), SPAN("v=spf1 +all exists:%{d!}.example"), SPAN("v=spf1 +all exists:%"), SPAN("v=spf1 +all exists:%{c}.example"),
		SPAN("v=spf1 +all exp=%{r}.example"), SPAN("v=spf1 +all\tip4:1.2.3.4"), SPAN("v=spf1 +all \xe4"), SPAN("v=spf1 +all a:e.example\0x"),
	};
	(void)state;
	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
		BUF_AUTO out = {0};
		check(records[i], "192.0.2.1", "u@test.example", &out);
		if (!span_equal(buf_span(&out), SPAN("permerror")))
			fail_msg("%.*s\ngot %.*s", SPAN_ARG(records[i]), SPAN_ARG(buf_span(&out)));
	}
}

static void a_fail_is_explained_in_the_domains_words(void **state)
{
	static const struct one_case cases[] = {
		{SPAN("v=spf1 -all exp=why.example"), "192.0.2.65",
		 "fail -all 192.0.2.65 is not one of test.example's: see http://test.example/why?s=strong-bad%40test.example&h=amy.example.com"
		 "&c=192.0.2.65&r=mx.here.example&t=1000&p=amy.example.com 100% sure"},
		{SPAN("v=spf1 -all exp=why.example"), "2001:db8::7",
		 "fail -all 2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7 is not one of test.example's: see http://test.example/"
		 "why?s=strong-bad%40test.example&h=amy.example.com&c=2001:db8::7&r=mx.here.example&t=1000&p=unknown 100% sure"},
		{SPAN("v=spf1 -all exp=bad-why.example"), "192.0.2.65", "fail -all"},
		{SPAN("v=spf1 -all exp=nowhere.example"), "192.0.2.65", "fail -all"},
		{SPAN("v=spf1 -all exp=later.example.com"), "192.0.2.65", "fail -all"},
		{SPAN("v=spf1 exp=why.example redirect=fail.example"), "192.0.2.65", "fail -all"}, /* §6.2: the one of the other record */
		{SPAN("v=spf1 ~all exp=why.example"), "192.0.2.65", "softfail ~all"},
	};
	(void)state;
	check_all(cases, sizeof cases / sizeof cases[0]);
}

/* RFC 7208 §7.4: strong-bad@email.example.com from 192.0.2.3 and 2001:db8::cb01. */
static void macros_are_expanded_as_the_rfc_shows(void **state)
{
	static const struct spf_macros four = {
		.sender = SPAN("strong-bad@email.example.com"), .local_part = SPAN("strong-bad"), .sender_domain = SPAN("email.example.com"),
		.domain = SPAN("email.example.com"), .dotted_ip = SPAN("192.0.2.3"), .validated_name = SPAN("mx.example.org")};
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"%{s}", "strong-bad@email.example.com"}, {"%{o}", "email.example.com"}, {"%{d}", "email.example.com"}, {"%{d4}", "email.example.com"},
		{"%{d3}", "email.example.com"}, {"%{d2}", "example.com"}, {"%{d1}", "com"}, {"%{dr}", "com.example.email"}, {"%{d2r}", "example.email"},
		{"%{l}", "strong-bad"}, {"%{l-}", "strong.bad"}, {"%{lr}", "strong-bad"}, {"%{lr-}", "bad.strong"}, {"%{l1r-}", "strong"},
		{"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"}, {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"}, {"%{i99999999999999999999999r}", "3.2.0.192"},
		{"%%%_%-", "% %20"}, {"%{S}", "strong-bad%40email.example.com"}, {"%{h}", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		assert_int_equal(spf_expand(span_cstr(cases[i].in), &four, false, &out), 0);
		assert_span(buf_span(&out), cases[i].out);
	}
}

static void the_domain_checked_is_the_senders_or_the_clients(void **state)
{
	static const struct {
		const char *mail_from, *result;
	} cases[] = {
		{"u@test.example", "fail -all"}, {"@test.example", "fail -all"}, {"", "none"}, {"u@localhost", "none"}, {"u@[192.0.2.1]", "none"},
		{"u@a..example", "none"}, {"u@test.example.", "fail -all"},
		{"u@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", "none"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		check(SPAN("v=spf1 -all"), "192.0.2.1", cases[i].mail_from, &out);
		assert_span(buf_span(&out), cases[i].result);
	}
}

static void a_check_can_end_before_its_answers(void **state)
{
	struct test_dns dns = test_dns_of(zone, sizeof zone / sizeof zone[0]);
	struct spf_facts facts = {.ip = SPAN("192.0.2.1"), .mail_from = SPAN("u@pass.example")};
	struct spf_check *c = spf_check_new(&dns.client, &facts);
	bool is_done = false;
	(void)state;
	spf_check_start(c, note_end, &is_done);
	spf_check_free(c);
	assert_null(dns.waiting);
	assert_false(is_done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mechanisms_match_what_they_say),
		cmocka_unit_test(errors_are_permanent_or_not),
		cmocka_unit_test(syntax_is_taken_strictly),
		cmocka_unit_test(a_fail_is_explained_in_the_domains_words),
		cmocka_unit_test(macros_are_expanded_as_the_rfc_shows),
		cmocka_unit_test(the_domain_checked_is_the_senders_or_the_clients),
		cmocka_unit_test(a_check_can_end_before_its_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
