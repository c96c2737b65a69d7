/* What ends of programs mean. */
#include "wire/test.h"

#include "pipe/outcome.h"

#include <signal.h>
#include <sysexits.h>

static void exit_codes_mean_what_sysexits_says(void **state)
{
	static const struct { int code; enum relay_outcome outcome; const char *status; } cases[] = {
		{0, RELAY_DELIVERED, "2.0.0"}, {EX_TEMPFAIL, RELAY_LATER, "4.3.0"}, {EX_NOUSER, RELAY_FAILED, "5.1.1"}, {EX_NOPERM, RELAY_FAILED, "5.7.0"}, {EX_CONFIG, RELAY_FAILED, "5.3.5"},
		{1, RELAY_FAILED, "5.3.0"}, {127, RELAY_FAILED, "5.3.0"}, {255, RELAY_FAILED, "5.3.0"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct outcome o;
		outcome_of_program(cases[i].code << 8, false, SPAN("/bin/x"), SPAN("one\ntwo\n"), &o);
		assert_int_equal(o.outcome, cases[i].outcome);
		assert_string_equal(o.status, cases[i].status);
		if (o.outcome != RELAY_DELIVERED)
			assert_contains(span_cstr(o.text), ": one");
		assert_lacks(span_cstr(o.text), "two");
	}
}

static void signals_and_time_put_off(void **state)
{
	struct outcome o;
	(void)state;
	outcome_of_program(SIGSEGV, false, SPAN("/bin/x"), SPAN(""), &o);
	assert_int_equal(o.outcome, RELAY_LATER);
	assert_string_equal(o.text, "the program /bin/x was ended by signal 11");
	outcome_of_program(0, true, SPAN("/bin/x"), SPAN(""), &o);
	assert_int_equal(o.outcome, RELAY_LATER);
}

static void output_is_hostile(void **state)
{
	struct outcome o;
	BUF_AUTO large = {0};
	(void)state;
	outcome_of_program(1 << 8, false, SPAN("/bin/x"), SPAN("\n\n a\x1b[2Jb\xff\r\nc"), &o);
	assert_string_equal(o.text, "the program /bin/x ended with status 1: a?[2Jb?");
	repeat(&large, "x", 100000);
	outcome_of_program(1 << 8, false, buf_span(&large), buf_span(&large), &o);
	assert_true(strlen(o.text) < sizeof o.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_mean_what_sysexits_says), cmocka_unit_test(signals_and_time_put_off), cmocka_unit_test(output_is_hostile)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
