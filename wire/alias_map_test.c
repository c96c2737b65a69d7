/* Files of aliases: aliases(5), virtual(5). */
#include "wire/test.h"

#include "wire/alias_map.h"

static void read_all(const char *text, struct buf *out)
{
	struct line_reader r = {.rest = span_cstr(text)};
	for (int more = 1; more;) {
		ARENA_AUTO a = {0};
		struct alias_map_entry e;
		struct error why = {0};
		more = alias_map_next(&r, "/bin/ok", &a, &e, &why);
		if (more > 0)
			buf_printf(out, "%u %.*s>", r.line, SPAN_ARG(e.name));
		for (size_t i = 0; more > 0 && i < e.count; i++)
			buf_printf(out, "%s%.*s", i ? "," : "", SPAN_ARG(e.targets[i]));
		if (more < 0)
			buf_printf(out, "%u !%s", r.line, why.text[0] ? "" : "no reason");
		if (more)
			buf_add_char(out, '\n');
	}
}

static void lines_are_read(void **state)
{
	static const struct { const char *text, *found; } cases[] = {
		{"", ""}, {"\n\n# a comment\n", ""}, {"a: b", "1 a>b\n"}, {"a: b, c,d\n", "1 a>b,c,d\n"}, {"a :b", "1 a>b\n"}, {"a@x  b@y", "1 a@x>b@y\n"},
		{"@x\tb@y, c@y", "1 @x>b@y,c@y\n"}, {"a: b,\n  c\n# between\n\td\ne: f", "1 a>b,c,d\n5 e>f\n"}, {"\"a b\": \"c, d\"@x", "1 a b>c, d@x\n"}, {"a: \\a, b\r\n", "1 a>a,b\n"},
		{"first.last: a", "1 first.last>a\n"}, {"user ana@x", "1 user>ana@x\n"}, {"a: \"|/bin/ok -x y\", b", "1 a>| /bin/ok -x y,b\n"}, {"a: |/bin/ok", "1 a>| /bin/ok\n"}, {"a: ,,b,,", "1 a>b\n"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO found = {0};
		read_all(cases[i].text, &found);
		assert_span(buf_span(&found), cases[i].found);
	}
}

static void what_is_no_alias_is_refused_with_its_line(void **state)
{
	static const char *const bad[] = {"a:", "a", ": b", "a: |cmd", "a: \"|/bin/cmd -x\"", "a: /var/mail/a", "a: :include:/x", "a: :INCLUDE:/x", "a: b, \"\"", "example.org anything"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		BUF_AUTO text = {0}, found = {0};
		buf_printf(&text, "# first\n%s\nok: b\n", bad[i]);
		read_all(buf_cstr(&text), &found);
		assert_span(buf_span(&found), "2 !\n3 ok>b\n");
	}
}

static void targets_are_bounded(void **state)
{
	BUF_AUTO text = {0}, found = {0};
	(void)state;
	buf_add_cstr(&text, "a:");
	for (int i = 0; i <= ALIAS_MAP_TARGETS_MOST; i++)
		buf_add_cstr(&text, " x,");
	read_all(buf_cstr(&text), &found);
	assert_span(buf_span(&found), "1 !\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(what_is_no_alias_is_refused_with_its_line),
		cmocka_unit_test(targets_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
