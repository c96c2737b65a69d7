/* Addresses: RFC 5321 §4.1.2, RFC 6531. */
#include "wire/test.h"

#include "wire/address.h"
#include "wire/next_hop.h"

static void good_paths_are_split(void **state)
{
	static const struct {
		const char *in;
		unsigned flags;
		const char *local, *domain;
	} cases[] = {
	    {"<Smith@bar.com>", 0, "Smith", "bar.com"},
	    {"<@hosta.int,@jkl.org:userc@d.bar.org> SIZE=1", 0, "userc", "d.bar.org"}, /* RFC 5321 §4.1.1.3 */
	    {"<\"Joe Q. Public\"@example.com>", 0, "\"Joe Q. Public\"", "example.com"},
	    {"<\"\"@x.org>", 0, "\"\"", "x.org"},
	    {"<\"a\\\"b\"@x.org>", 0, "\"a\\\"b\"", "x.org"},
	    {"<a@[192.0.2.1]>", 0, "a", "[192.0.2.1]"},
	    {"<a@[IPv6:2001:db8::1]>", 0, "a", "[IPv6:2001:db8::1]"},
	    {"<-f@x.org>", 0, "-f", "x.org"},
	    {"<u%v@us>", 0, "u%v", "us"},
	    {"<a..b.@x.org>", ADDRESS_LOOSE, "a..b.", "x.org"},
	    {"<j\xc3\xb6rg@b\xc3\xbc"
	     "cher.example>",
	     ADDRESS_UTF8, "j\xc3\xb6rg",
	     "b\xc3\xbc"
	     "cher.example"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address a;
		struct error why = {0};
		ssize_t taken = address_parse_path(span_cstr(cases[i].in), cases[i].flags, &a, &why);

		if (taken < 0)
			fail_msg("%s: %s", cases[i].in, why.text);
		assert_int_equal(taken, strchr(cases[i].in, '>') - cases[i].in + 1);
		assert_span(a.local_part, cases[i].local);
		assert_span(a.domain, cases[i].domain);
	}
}

static void bad_paths_are_refused(void **state)
{
	static const struct {
		struct span in;
		unsigned flags;
		int code;
	} cases[] = {
	    {{"a@b", 3}, 0, 501},
	    {{"<>", 2}, 0, 501},
	    {{"<a@b", 4}, 0, 501},
	    {{"<a@b ", 5}, 0, 501},
	    {{"<a\"b@c>", 7}, 0, 501}, /* a bare quote */
	    {{"<\"ab@c>", 7}, 0, 501},
	    {{"<a@b@c>", 7}, 0, 501},
	    {{"<a@b.>", 6}, 0, 501},
	    {{"<a@.b>", 6}, 0, 501},
	    {{"<a@-b>", 6}, 0, 501},
	    {{"<a@b->", 6}, 0, 501},
	    {{"<a@>", 4}, 0, 501},
	    {{"<@b>", 4}, 0, 501},
	    {{"<a>", 3}, 0, 501},
	    {{"<.a@b>", 6}, ADDRESS_LOOSE, 501},
	    {{"<a..b@c>", 8}, 0, 501},
	    {{"<;id>", 5}, 0, 501},
	    {{"<a b@c>", 7}, 0, 501},
	    {{"<\"a\0b\"@c>", 9}, 0, 501},
	    {{"<\"a\nb\"@c>", 9}, 0, 501},
	    {{"<a@[1.2.3]>", 11}, 0, 501},
	    {{"<a@[x:y]>", 9}, 0, 501},
	    {{"<a@[1.2.3.4>", 12}, 0, 501},
	    {{"<postmaster>", 12}, 0, 501},
	    {{"<j\xc3\xb6@b>", 7}, 0, 553},
	    {{"<j\xc3@b>", 6}, ADDRESS_UTF8, 553},
	    {{"<@a,b:c@d>", 10}, 0, 501},
	    {{"<@a,@b c@d>", 11}, 0, 501},
	    {{"", 0}, ADDRESS_EMPTY_OK, 501},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address a;
		struct error why = {0};

		if (address_parse_path(cases[i].in, cases[i].flags, &a, &why) >= 0)
			fail_msg("%.*s is let pass", SPAN_ARG(cases[i].in));
		assert_int_equal(why.code, cases[i].code);
		assert_int_equal(why.text[1], '.');
	}
}

/* RFC 5321 §4.5.3.1.1 to .3 */
static void lengths_beyond_the_limits_are_refused(void **state)
{
	static const struct {
		size_t local, label, labels;
		bool good;
	} cases[] = {{64, 10, 1, true}, {65, 10, 1, false}, {1, 63, 1, true},  {1, 64, 1, false},
	             {60, 60, 3, true}, {64, 62, 3, true},  {64, 63, 3, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO path = {0};
		struct address a;

		buf_add_char(&path, '<');
		repeat(&path, "l", cases[i].local);
		for (size_t n = 0; n < cases[i].labels; n++) {
			buf_add_char(&path, n == 0 ? '@' : '.');
			repeat(&path, "d", cases[i].label);
		}
		buf_add_char(&path, '>');
		assert_int_equal(address_parse_path(buf_span(&path), 0, &a, NULL) > 0, cases[i].good);
	}
}

static void null_and_postmaster_need_their_flags(void **state)
{
	struct address a;

	(void)state;
	assert_int_equal(address_parse_path(SPAN("<>"), ADDRESS_EMPTY_OK, &a, NULL), 2);
	assert_true(a.is_null);
	assert_int_equal(address_parse_path(SPAN("<PostMaster>"), ADDRESS_POSTMASTER_OK, &a, NULL), 12);
	assert_true(a.is_postmaster);
	assert_int_equal(address_parse_mailbox(SPAN("postmaster"), ADDRESS_POSTMASTER_OK, &a, NULL), -1);
	assert_int_equal(address_parse_mailbox(SPAN("a@b.c"), 0, &a, NULL), 0);
	assert_int_equal(address_parse_mailbox(SPAN("a@b.c "), 0, &a, NULL), -1);
}

static void canonical_form_is_one_for_equal_mailboxes(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"User@Example.ORG", "user@example.org"},
	    {"\"User\"@example.org", "user@example.org"},
	    {"\"u\\ser\"@example.org", "user@example.org"},
	    {"\"a@b\"@us.example", "\"a@b\"@us.example"},
	    {"\"a\\\"b\"@us.example", "\"a\\\"b\"@us.example"},
	    {"\"\"@us.example", "\"\"@us.example"},
	    {"a@B\xc3\x9c"
	     "CHER.example",
	     "a@xn--bcher-kva.example"},
	    {"a@stra\xc3\x9f"
	     "e.example",
	     "a@xn--strae-oqa.example"},
	    {"J\xc3\x96RG@x.org", "j\xc3\xb6rg@x.org"},
	    {"Jo\xcc\x88rg@x.org", "j\xc3\xb6rg@x.org"},
	    {"a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO out = {0};
		struct address a;
		struct error why = {0};

		assert_int_equal(address_parse_mailbox(span_cstr(cases[i].in), ADDRESS_UTF8, &a, &why), 0);
		if (address_canonical(&a, &out, &why) < 0)
			fail_msg("%s: %s", cases[i].in, why.text);
		assert_span(buf_span(&out), cases[i].out);
	}
}

static void a_domain_is_within_itself_and_what_is_above_it(void **state)
{
	(void)state;
	assert_true(domain_is_within(SPAN("a.example"), SPAN("a.example")) && domain_is_within(SPAN("b.A.example"), SPAN("a.Example")));
	assert_false(domain_is_within(SPAN("ba.example"), SPAN("a.example")) || domain_is_within(SPAN("example"), SPAN("a.example")));
	assert_false(domain_is_within(SPAN("a.example.org"), SPAN("a.example")) || domain_is_within(SPAN(""), SPAN("a")));
}

static void domain_that_maps_to_other_characters_is_judged_again(void **state)
{
	BUF_AUTO out = {0};

	(void)state;
	/* U+FE6B SMALL COMMERCIAL AT, U+FF0F FULLWIDTH SOLIDUS, and a label that is only a combining mark */
	assert_int_equal(domain_canonical(SPAN("a\xef\xb9\xab"
	                                       "b.org"),
	                                  &out, NULL),
	                 -1);
	assert_int_equal(domain_canonical(SPAN("a\xef\xbc\x8f"
	                                       "b.org"),
	                                  &out, NULL),
	                 -1);
	assert_int_equal(domain_canonical(SPAN("\xcc\x88.org"), &out, NULL), -1);
	assert_int_equal(domain_canonical(SPAN(""), &out, NULL), -1);
	assert_int_equal(out.len, 0);
}

static void detail_is_split_at_the_first_delimiter(void **state)
{
	struct span base, detail;

	(void)state;
	assert_true(address_split_detail(SPAN("user+a+b"), '+', &base, &detail));
	assert_span(base, "user");
	assert_span(detail, "a+b");
	assert_false(address_split_detail(SPAN("+a"), '+', &base, &detail));
	assert_span(base, "+a");
	assert_true(address_split_detail(SPAN("a+"), '+', &base, &detail));
	assert_int_equal(detail.len, 0);
	assert_false(address_split_detail(SPAN("\"a+b\""), '+', &base, &detail));
	assert_false(address_split_detail(SPAN(""), '+', &base, &detail));
}

static void next_hops_are_read_and_others_refused(void **state)
{
	static const struct { const char *text, *host; unsigned port; bool is_host; } good[] = {
		{"example.org", "example.org", 0, false}, {"example.org:2525", "example.org", 2525, false}, {"[mail.example.org]:587", "mail.example.org", 587, true},
		{"[mail.example.org]", "mail.example.org", 0, true}, {"[192.0.2.1]:25", "[192.0.2.1]", 25, true}, {"[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", 0, true},
		{"[IPv6:2001:db8::1]:465", "[IPv6:2001:db8::1]", 465, true}, {"bücher.example", "bücher.example", 0, false}};
	static const char *const bad[] = {"", ":25", "a:", "a:0", "a:65536", "a:x", "a:25x", "[", "[]", "[]:25", "[[a]", "[[192.0.2.1]]", "[\xff]", "[a", "[a]25", "[a]:", "[192.0.2.1", "[IPv6:x]", "a b", "-a", "a..b", "[a b]", "2001:db8::1"};
	(void)state;
	struct next_hop hop;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(next_hop_parse(span_cstr(good[i].text), &hop, NULL), 0);
		assert_span(hop.host, good[i].host);
		assert_int_equal(hop.port, good[i].port);
		assert_int_equal(hop.is_host, good[i].is_host);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct error why = {0};
		assert_int_equal(next_hop_parse(span_cstr(bad[i]), &hop, &why), -1);
		assert_true(why.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_paths_are_split),
	    cmocka_unit_test(bad_paths_are_refused),
	    cmocka_unit_test(lengths_beyond_the_limits_are_refused),
	    cmocka_unit_test(null_and_postmaster_need_their_flags),
	    cmocka_unit_test(canonical_form_is_one_for_equal_mailboxes),
	    cmocka_unit_test(a_domain_is_within_itself_and_what_is_above_it),
	    cmocka_unit_test(domain_that_maps_to_other_characters_is_judged_again),
	    cmocka_unit_test(detail_is_split_at_the_first_delimiter),
	    cmocka_unit_test(next_hops_are_read_and_others_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
