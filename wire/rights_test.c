/* Rights and namespaces: RFC 4314 §2.1 and §3.1, RFC 2342. */
#include "wire/test.h"

#include "wire/namespace.h"
#include "wire/rights.h"

static void assert_formatted(unsigned rights, const char *text)
{
	BUF_AUTO out = {0};
	rights_format(rights, &out);
	assert_string_equal(buf_cstr(&out), text);
}

static void rights_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		enum rights_change change;
		unsigned rights;
		const char *formatted;
	} cases[] = {
		{"lrs", RIGHTS_SET, RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN, "lrs"},
		{"", RIGHTS_SET, 0, "\"\""},
		{"+cda", RIGHTS_ADD, RIGHT_CREATE | RIGHT_DELETE_MAILBOX | RIGHT_DELETE | RIGHT_EXPUNGE | RIGHT_ADMINISTER, "kxteacd"},
		{"-w", RIGHTS_REMOVE, RIGHT_WRITE, "w"},
		{"+", RIGHTS_ADD, 0, "\"\""},
		{"lrswida", RIGHTS_SET, RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_DELETE | RIGHT_EXPUNGE | RIGHT_ADMINISTER, "lrswitead"}, /* §2.1.1 */
		{"lrswikda", RIGHTS_SET, RIGHTS_ALL & ~(unsigned)(RIGHT_POST | RIGHT_DELETE_MAILBOX), "lrswikteacd"},
		{"aetxkpiwsrl", RIGHTS_SET, RIGHTS_ALL, "lrswipkxteacd"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum rights_change change;
		unsigned rights;
		assert_int_equal(rights_parse(span_cstr(cases[i].text), &change, &rights), 0);
		assert_int_equal(change, cases[i].change);
		assert_int_equal(rights, cases[i].rights);
		assert_formatted(rights, cases[i].formatted);
	}
}

static void other_letters_are_refused(void **state)
{
	static const struct span bad[] = {{"lrQswicda", 9}, {"lrqswicda", 9}, {"+l+r", 4}, {"l r", 3}, {"0", 1}, {"L", 1}, {"l\0", 2}, {"\xc3\xa9", 2}, {"l-r", 3}};
	enum rights_change change;
	unsigned rights;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(rights_parse(bad[i], &change, &rights), -1);
}

static void names_are_taken_apart(void **state)
{
	static const struct {
		const char *name;
		enum namespace namespace;
		const char *owner, *rest;
	} cases[] = {
		{"INBOX", NAMESPACE_PERSONAL, NULL, NULL},
		{"Other Users", NAMESPACE_PERSONAL, NULL, NULL},
		{"Other Users/ann@example.org/Work/2026", NAMESPACE_OTHERS, "ann@example.org", "Work/2026"},
		{"Shared Folders/info@example.org/INBOX", NAMESPACE_SHARED, "info@example.org", "INBOX"},
		{"Other Users/a/b@example.org/c", NAMESPACE_OTHERS, "a/b@example.org", "c"},
		{"Other Users/ann@example.org/", NAMESPACE_OTHERS, "ann@example.org", ""},
		{"Other Users/ann@example.org", NAMESPACE_OTHERS, "ann@example.org", ""},
		{"Other Users/ann", NAMESPACE_OTHERS, "ann", ""},
		{"Other Users/ann/Work", NAMESPACE_OTHERS, "ann/Work", ""},
		{"Other Users/", NAMESPACE_OTHERS, "", ""},
		{"other users/ann@example.org/x", NAMESPACE_PERSONAL, NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct span owner, rest;
		assert_int_equal(namespace_of(span_cstr(cases[i].name), &owner, &rest), cases[i].namespace);
		if (!cases[i].owner)
			continue;
		assert_true(span_equal(owner, span_cstr(cases[i].owner)));
		assert_true(span_equal(rest, span_cstr(cases[i].rest)));
	}
	assert_true(namespace_is_reserved(SPAN("Other Users")) && namespace_is_reserved(SPAN("Shared Folders/x")));
	assert_false(namespace_is_reserved(SPAN("Other")) || namespace_is_reserved(SPAN("Other Users too")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_are_read_and_written),
		cmocka_unit_test(other_letters_are_refused),
		cmocka_unit_test(names_are_taken_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
