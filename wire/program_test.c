/* Commands that mail is handed to. */
#include "wire/test.h"

#include "wire/address.h"
#include "wire/program.h"

static void commands_are_split_without_a_shell(void **state)
{
	static const struct { const char *command, *words; } cases[] = {
		{"/bin/cat", "/bin/cat"}, {" /usr/bin/vacation  -a x\tana ", "/usr/bin/vacation|-a|x|ana"}, {"/b 'a b' \"c d\"", "/b|a b|c d"},
		{"/b 'a;b|c $x `y`' \"a;b\"", "/b|a;b|c $x `y`|a;b"}, {"/b a\\ b \\\"c\\; ''", "/b|a b|\"c;|"}, {"/b a'b'\"c\"d", "/b|abcd"}, {"/b \"a\\$b\"", "/b|a$b"}, {"/b ~ a=b !", "/b|~|a=b|!"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		BUF_AUTO found = {0};
		struct span *words;
		struct error why = {0};
		ssize_t count = program_words(span_cstr(cases[i].command), &a, &words, &why);
		for (ssize_t k = 0; k < count; k++)
			buf_printf(&found, "%s%.*s", k ? "|" : "", SPAN_ARG(words[k]));
		assert_span(buf_span(&found), cases[i].words);
	}
}

static void what_is_for_a_shell_is_refused(void **state)
{
	static const char *const bad[] = {"", "  ", "/b > /tmp/x", "/b; /c", "/b && /c", "/b | /c", "/b $HOME", "/b \"$HOME\"", "/b `id`", "/b \"`id`\"", "/b 'x", "/b \"x", "/b *", "/b a\nb", "/b 'a\nb'", "/b \\\n",
	                                  "/b {a}", "(/b)", "/b # c", "/b a?"};
	BUF_AUTO large = {0};
	ARENA_AUTO a = {0};
	struct span *words;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct error why = {0};
		assert_int_equal(program_words(span_cstr(bad[i]), &a, &words, &why), -1);
		assert_true(why.text[0]);
	}
	repeat(&large, "a ", PROGRAM_WORDS_MOST);
	assert_int_equal(program_words(buf_span(&large), &a, &words, NULL), PROGRAM_WORDS_MOST);
	buf_add_cstr(&large, "a");
	assert_int_equal(program_words(buf_span(&large), &a, &words, NULL), -1);
	buf_clear(&large);
	repeat(&large, "a", PROGRAM_BYTES_MOST + 1);
	assert_int_equal(program_words(buf_span(&large), &a, &words, NULL), -1);
}

static void only_programs_of_the_setting_are_targets(void **state)
{
	ARENA_AUTO a = {0};
	struct span target;
	struct error why = {0};
	(void)state;
	assert_int_equal(program_target(SPAN(" /usr/bin/a -x "), "/usr/bin/a /usr/bin/b", &a, &target, NULL), 0);
	assert_span(target, "| /usr/bin/a -x");
	assert_true(program_is_target(target));
	static const char *const others[] = {"/usr/bin/c", "/usr/bin/a/", "a", "/usr/bin/../bin/a", "/usr/bin/", ""};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_int_equal(program_target(span_cstr(others[i]), "/usr/bin/a /usr/bin/b", &a, &target, &why), -1);
	assert_int_equal(program_target(SPAN("/usr/bin/a"), "", &a, &target, NULL), -1);
}

/* What is no program must never look like one. */
static void no_address_is_a_target_that_runs(void **state)
{
	static const char *const addresses[] = {"|/bin/sh@x.y", "\"| /bin/sh\"@x.y", "\"|/bin/sh -c x\"@x.y", "|@x.y", "| /bin/sh@x.y", "|\\ /bin/sh@x.y"};
	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		struct address address;
		BUF_AUTO canonical = {0};
		if (address_parse_mailbox(span_cstr(addresses[i]), ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) || address_canonical(&address, &canonical, NULL))
			continue;
		assert_false(program_is_target(buf_span(&canonical)));
	}
	struct address address;
	assert_int_not_equal(address_parse_mailbox(SPAN("| /bin/sh@x.y"), ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_split_without_a_shell), cmocka_unit_test(what_is_for_a_shell_is_refused),
		cmocka_unit_test(only_programs_of_the_setting_are_targets), cmocka_unit_test(no_address_is_a_target_that_runs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
