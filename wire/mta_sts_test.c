/* MTA-STS records and policies: RFC 8461 §3, §4.1, appendix A. */
#include "wire/test.h"

#include "base/buf.h"
#include "wire/mta_sts.h"

static void one_record_has_the_id(void **state)
{
	static const struct {
		const char *records[3];
		int found;
		const char *id;
	} cases[] = {
		{{"v=STSv1; id=20160831085700Z;"}, 1, "20160831085700Z"}, /* §3.1 */
		{{"v=STSv1;id=1"}, 1, "1"}, {{"v=STSv1 ;\tid=a1 ; "}, 1, "a1"}, {{"v=STSv1; x-y.z=?/:; id=1; id=2"}, 1, "1"},
		{{"v=spf1 -all", "v=STSv1; id=1", "v=STSv2; id=2"}, 1, "1"}, {{"v=STSv1; id=12345678901234567890123456789012"}, 1, "12345678901234567890123456789012"},
		{{""}, 0, NULL}, {{"v=spf1 -all"}, 0, NULL}, {{"V=STSv1; id=1"}, 0, NULL}, {{" v=STSv1; id=1"}, 0, NULL}, {{"v=STSv1"}, 0, NULL},
		{{"v=STSv1 id=1"}, 0, NULL}, {{"v=STSv11; id=1"}, 0, NULL},
		{{"v=STSv1; id=1", "v=STSv1; id=1"}, -1, NULL}, {{"v=STSv1;"}, -1, NULL}, {{"v=STSv1; id="}, -1, NULL}, {{"v=STSv1; id=a-b"}, -1, NULL},
		{{"v=STSv1; id=123456789012345678901234567890123"}, -1, NULL}, {{"v=STSv1; ;id=1"}, -1, NULL}, {{"v=STSv1; id"}, -1, NULL},
		{{"v=STSv1; id=1; =2"}, -1, NULL}, {{"v=STSv1; id=1; a=b=c"}, -1, NULL}, {{"v=STSv1; id=1; a b=c"}, -1, NULL}, {{"v=STSv1; ID=1"}, -1, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct span records[3], id;
		struct error why = {0};
		size_t count = 0;
		for (; count < 3 && cases[i].records[count]; count++)
			records[count] = span_cstr(cases[i].records[count]);
		assert_int_equal(mta_sts_find_id(records, count, &id, &why), cases[i].found);
		assert_true((cases[i].found < 0) == (why.text[0] != 0));
		if (cases[i].found > 0)
			assert_span(id, cases[i].id);
	}
}

#define GOOD "version: STSv1\nmode: enforce\nmx: mail.example.com\n"

static void policies_are_read(void **state)
{
	static const struct {
		const char *text;
		enum mta_sts_mode mode;
		uint32_t max_age_s;
	} cases[] = {
		/* §3.2 */
		{"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n", MTA_STS_ENFORCE, 604800},
		{"version: STSv1\r\nmode: testing\r\nmx: a.example\r\nmax_age: 1\r\n\r\n", MTA_STS_TESTING, 1}, {"max_age:0\nmode:none\nversion:STSv1", MTA_STS_NONE, 0},
		{"version:\tSTSv1 \nmode:  none\t\nmax_age: 31557600", MTA_STS_NONE, 31557600}, {GOOD "max_age: 31557601", MTA_STS_ENFORCE, 31557600},
		{GOOD "max_age: 9999999999", MTA_STS_ENFORCE, 31557600}, {GOOD "max_age: 5\nmax_age: x\nmode: none\nversion: 2", MTA_STS_ENFORCE, 5},
		{GOOD "x-more.of_it: anything: \xc3\xa4 at all\nmax_age: 5", MTA_STS_ENFORCE, 5},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mta_sts_policy p;
		assert_int_equal(mta_sts_policy_parse(span_cstr(cases[i].text), &p, NULL), 0);
		assert_int_equal(p.mode, cases[i].mode);
		assert_int_equal(p.max_age_s, cases[i].max_age_s);
	}
}

static void what_is_no_policy_is_refused(void **state)
{
	static const char *const cases[] = {
		"", "\n", "<html>", GOOD, GOOD "max_age: -1", GOOD "max_age: 1s", GOOD "max_age: 10000000000", GOOD "max_age:", GOOD "max_age: 5 6", GOOD "max_age: 5\nrubbish",
		GOOD "max_age: 5\n: x", GOOD "max_age: 5\nx y: z", GOOD "max_age: 5\nmx: *", GOOD "max_age: 5\nmx: *.", GOOD "max_age: 5\nmx: a.*.b", GOOD "max_age: 5\nmx: *a.b",
		GOOD "max_age: 5\nmx: [192.0.2.1]", GOOD "max_age: 5\nmx:", GOOD "max_age: 5\nmx: a b", GOOD "max_age: 5\rx: y", GOOD "max_age: 5\nx: \x01",
		"version: STSv2\nmode: none\nmax_age: 5", "mode: none\nmax_age: 5", "version: STSv1\nmax_age: 5", "version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 5",
		"version: STSv1\nmode: enforce\nmax_age: 5", "version: STSv1\nmode: testing\nmax_age: 5",
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mta_sts_policy p;
		struct error why = {0};
		assert_int_equal(mta_sts_policy_parse(span_cstr(cases[i]), &p, &why), -1);
		assert_true(why.text[0]);
	}
}

static void a_policy_is_bounded(void **state)
{
	BUF_AUTO text = {0};
	struct mta_sts_policy p;
	(void)state;
	buf_add_cstr(&text, GOOD "max_age: 5\nx: ");
	while (text.len < MTA_STS_POLICY_BYTES_MOST)
		buf_add_char(&text, 'x');
	assert_int_equal(mta_sts_policy_parse(buf_span(&text), &p, NULL), 0);
	buf_add_char(&text, 'x');
	assert_int_equal(mta_sts_policy_parse(buf_span(&text), &p, NULL), -1);
}

static void a_star_is_one_label(void **state)
{
	static const struct {
		const char *host;
		bool is_in_it;
	} cases[] = {
		{"mail.example.com", true}, {"MAIL.Example.COM", true}, {"ail.example.com", false}, {"x.mail.example.com", false}, {"example.com", false}, {"", false},
		{"a.example.net", true}, {"A.EXAMPLE.NET", true}, {"example.net", false}, {"a.b.example.net", false}, {".example.net", false}, {"aexample.net", false},
		{"*.example.net", true}, {"comment.example.org", false},
	};
	struct mta_sts_policy p;
	(void)state;
	assert_int_equal(mta_sts_policy_parse(SPAN("version: STSv1\nmode: enforce\nmx: mail.example.com\r\nmx: *.Example.net\nx: comment.example.org\nmax_age: 5\n"), &p, NULL), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(mta_sts_policy_has(&p, span_cstr(cases[i].host)), cases[i].is_in_it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_record_has_the_id),
		cmocka_unit_test(policies_are_read),
		cmocka_unit_test(what_is_no_policy_is_refused),
		cmocka_unit_test(a_policy_is_bounded),
		cmocka_unit_test(a_star_is_one_label),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
