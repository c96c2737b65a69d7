/* Header fields and address lists: RFC 5322 §2.2, §3.4, appendix A. */
#include "wire/test.h"

#include "wire/address_list.h"
#include "wire/header.h"
#include "wire/lexical.h"

static void fields_are_read_with_their_folds(void **state)
{
	struct header_reader r = {.header = SPAN("A: b\r\n c\r\nnothing\r\nD : e\r\n\r\nF: g\r\n")};
	struct header_field f;
	BUF_AUTO value = {0};

	(void)state;
	assert_true(header_next(&r, &f));
	assert_span(f.name, "A");
	assert_span(f.whole, "A: b\r\n c\r\n");
	header_unfold(f.value, &value);
	assert_span(buf_span(&value), "b c");
	assert_true(header_next(&r, &f));
	assert_int_equal(f.name.len, 0);
	assert_true(header_next(&r, &f));
	assert_span(f.name, "D");
	assert_int_equal(f.offset, 19);
	assert_false(header_next(&r, &f));
	assert_false(header_find(r.header, SPAN("F"), &f));
}

static void values_are_tokens_or_quoted_strings(void **state)
{
	static const struct {
		struct span in;
		const char *value, *rest;
	} cases[] = {
		{SPAN("a.b; c"), "a.b", "; c"},
		{SPAN(" (x (y \\) z)) \r\n\ta(c)"), "a", "(c)"},
		{SPAN("\"a \\\" b\"c"), "a \" b", "c"},
		{SPAN("\"open\\"), "open\\", ""},
		{SPAN("(open a"), "", ""},
		{SPAN("; a"), "", "; a"},
		{SPAN(""), "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO value = {0};
		struct span rest = cases[i].in;
		lexical_take_value(&rest, &value);
		assert_span(buf_span(&value), cases[i].value);
		assert_span(rest, cases[i].rest);
	}
}

static void fields_are_chosen_by_name(void **state)
{
	const struct span header = SPAN("From: a\r\nTO: b\r\n c\r\njunk\r\nTo: d\r\n\r\nbody");
	struct span names[] = {SPAN("to"), SPAN("x")};
	BUF_AUTO chosen = {0};
	BUF_AUTO others = {0};

	(void)state;
	header_names_sort(names, 2);
	header_filter_fields(header, names, 2, false, &chosen);
	assert_span(buf_span(&chosen), "TO: b\r\n c\r\nTo: d\r\n\r\n");
	header_filter_fields(header, names, 2, true, &others);
	assert_span(buf_span(&others), "From: a\r\njunk\r\n\r\n");
}

static void any_of_many_names_is_found_in_any_case(void **state)
{
	static const char *const written[] = {"To", "tO", "Subject", "X-Long-Name-A", "x-long-name-b", "CC", "a", "", "Z", "\xc3\xa9"};
	enum { COUNT = sizeof written / sizeof written[0] };
	struct span names[COUNT];
	BUF_AUTO header = {0};
	BUF_AUTO chosen = {0};
	BUF_AUTO others = {0};

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		names[i] = span_cstr(written[i]);
	header_names_sort(names, COUNT);
	buf_add_cstr(&header, "CC: 1\r\nX-LONG-NAME-A: 2\r\nX-Long-Name-B: 3\r\nX-Long-Name-C: 4\r\nA: 5\r\nto: 6\r\nb: 7\r\n"
	                      "z: 8\r\n\xc3\xa9: 9\r\nno field\r\nSubjec: 10\r\nSubjects: 11\r\n\r\n");
	header_filter_fields(buf_span(&header), names, COUNT, false, &chosen);
	assert_span(buf_span(&chosen), "CC: 1\r\nX-LONG-NAME-A: 2\r\nX-Long-Name-B: 3\r\nA: 5\r\nto: 6\r\nz: 8\r\n\xc3\xa9: 9\r\n\r\n");
	header_filter_fields(buf_span(&header), names, COUNT, true, &others);
	assert_span(buf_span(&others), "X-Long-Name-C: 4\r\nb: 7\r\nno field\r\nSubjec: 10\r\nSubjects: 11\r\n\r\n");
}

/* Writes the entries as name|route|mailbox|domain; "+" and "-" for groups; "!" at the end if something was left out. */
static void write_list(struct span value, struct buf *out)
{
	struct address_list_reader r = {.rest = value};
	struct address_list_entry e;

	while (address_list_next(&r, &e)) {
		if (e.kind == ADDRESS_LIST_GROUP_START)
			buf_printf(out, "+%.*s ", SPAN_ARG(e.name));
		else if (e.kind == ADDRESS_LIST_GROUP_END)
			buf_add_cstr(out, "- ");
		else
			buf_printf(out, "%.*s|%.*s|%.*s|%.*s ", SPAN_ARG(e.name), SPAN_ARG(e.route),
			           SPAN_ARG(e.mailbox), SPAN_ARG(e.domain));
	}
	if (r.has_skipped)
		buf_add_char(out, '!');
	address_list_reader_free(&r);
}

static void address_lists_are_read(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    /* RFC 5322 appendix A.1.2, A.1.3, A.5, A.6.1 */
	    {"\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public||john.q.public|example.com "},
	    {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	     "Mary Smith||mary|x.test ||jdoe|example.org Who?||one|y.test "},
	    {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
	     "+A Group Ed Jones||c|a.test ||joe|where.test John||jdoe|one.test - "},
	    {"Undisclosed recipients:;", "+Undisclosed recipients - "},
	    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete||pete|silly.test "},
	    {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
	     "Mary Smith|@node.test|mary|example.net ||jdoe|test.example "},
	    {"a@b (Bee (C))", "Bee (C)||a|b "},
	    {"a@[192.0.2.1], \"a@b\"@c", "||a|[192.0.2.1] ||a@b|c "},
	    {"a@b <c@d>", "a@b||c|d !"},
	    {"just words", "||just words| "},
	    {"<>, <a>, a@, @b, a@b", "||a| ||a| |||b ||a|b "},
	    {"<a@b", "||a|b "},
	    {"\"open <a@b>", "||open <a@b>| "},
	    {"g: a@b", "+g ||a|b - "},
	    {"g: h: a@b;, c@d", "+g ||h| - ||c|d !"},
	    {"<a@b> <c@d>", "||a|b !"},
	    {"a@b; c@d", "||a|b !"},
	    {"a@b c@d, e@f", "||a|bc ||e|f !"},
	    {"<a@b> c (d)", "d||a|b !"},
	    {"<a@b> (d)", "d||a|b "},
	    {"=?utf-8?q?a?= <a@b>", "=?utf-8?q?a?=||a|b "},
	    {"", ""},
	    {",;>", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO out = {0};

		write_list(span_cstr(cases[i].in), &out);
		assert_span(buf_span(&out), cases[i].out);
	}
}

static void lists_are_capped(void **state)
{
	BUF_AUTO value = {0};
	struct address_list_reader r;
	struct address_list_entry e;
	size_t count = 0;

	(void)state;
	repeat(&value, "a@b,", ADDRESS_LIST_MAX * 2);
	r = (struct address_list_reader){.rest = buf_span(&value)};
	while (address_list_next(&r, &e))
		count++;
	address_list_reader_free(&r);
	assert_int_equal(count, ADDRESS_LIST_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_are_read_with_their_folds),
	    cmocka_unit_test(values_are_tokens_or_quoted_strings),
		cmocka_unit_test(fields_are_chosen_by_name), cmocka_unit_test(any_of_many_names_is_found_in_any_case),
	    cmocka_unit_test(address_lists_are_read),
	    cmocka_unit_test(lists_are_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
