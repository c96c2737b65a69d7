/* ~/.forward. */
#include "wire/test.h"

#include "wire/forward_file.h"

static void read_all(struct span text, struct buf *out)
{
	static const char marks[] = {[FORWARD_ADDRESS] = '>', [FORWARD_MAILBOX] = '\\', [FORWARD_PROGRAM] = '|'};
	struct forward_reader r = {.rest = text};
	ARENA_AUTO a = {0};
	for (int more = 1; more;) {
		struct forward_target t;
		struct error why = {0};
		more = forward_file_next(&r, &a, &t, &why);
		if (more > 0)
			buf_printf(out, "%u%c%.*s\n", r.line, marks[t.kind], SPAN_ARG(t.text));
		else if (more)
			buf_printf(out, "%u!%s\n", r.line, why.text[0] ? "" : "no reason");
	}
}

static void targets_are_read(void **state)
{
	static const struct { const char *text, *found; } cases[] = {
		{"", ""}, {"\n # x\n#y", ""}, {"ana@x.y", "1>ana@x.y\n"}, {"ana@x.y, bob\n\ncarl@z", "1>ana@x.y\n1>bob\n3>carl@z\n"}, {"\\ana,ana@x", "1\\ana\n1>ana@x\n"},
		{"\"|/usr/bin/vacation ana\"\r\n", "1|/usr/bin/vacation ana\n"}, {"|/usr/bin/vacation   ana, b", "1|/usr/bin/vacation ana\n1>b\n"}, {"\"|/b 'a, b' \\\"c\\\"\"", "1|/b 'a, b' \"c\"\n"},
		{"\"a b\"@x", "1>a b@x\n"}, {"Ana B <ana@x>", "1>ana@x\n"}, {"\"B, Ana\" <ana@x>", "1>ana@x\n"}, {"# a, b\nc # d", "2!\n"}, {" \t ,,a,,\n,b", "1>a\n2>b\n"}, {"\"\\ana\"", "1>ana\n"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO found = {0};
		read_all(span_cstr(cases[i].text), &found);
		assert_span(buf_span(&found), cases[i].found);
	}
}

static void what_is_no_target_is_refused_with_its_line(void **state)
{
	static const char *const bad[] = {"/var/mail/a", "\"/var/mail/a\"", ":include:/etc/x", ":Include:/x", "a b", "\"a", "\\", "\\ a", "<>", "x <>", "\"\"", "a\001b", "\"|/b \x1b\""};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		BUF_AUTO text = {0}, found = {0};
		buf_printf(&text, "# first\n%s\nok\n", bad[i]);
		read_all(buf_span(&text), &found);
		assert_span(buf_span(&found), "2!\n3>ok\n");
	}
	BUF_AUTO found = {0};
	read_all(SPAN("a\0b\nc"), &found);
	assert_span(buf_span(&found), "1!\n2>c\n");
}

static void targets_are_bounded(void **state)
{
	BUF_AUTO text = {0}, found = {0}, wanted = {0};
	(void)state;
	repeat(&text, "x,", FORWARD_TARGETS_MOST + 5);
	repeat(&wanted, "1>x\n", FORWARD_TARGETS_MOST);
	buf_add_cstr(&wanted, "1!\n");
	read_all(buf_span(&text), &found);
	assert_span(buf_span(&found), buf_cstr(&wanted));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_read), cmocka_unit_test(what_is_no_target_is_refused_with_its_line), cmocka_unit_test(targets_are_bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
