/* How often passwords may be guessed: attack 91 of a hundred thousand guesses, from one address and from ten thousand. */
#include "vault/throttle.h"

#include "base/clock.h"
#include "vault/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

static int64_t now_ms;
static struct config config;

static void wait_ms(int64_t ms)
{
	now_ms += ms;
	clock_set_for_tests(now_ms);
}

static int set_up(void **state)
{
	wait_ms(1000ll * HOUR_MS);
	config_defaults(&config);
	*state = throttle_new(&config);
	return 0;
}

static int tear_down(void **state)
{
	throttle_free(*state);
	config_free(&config);
	clock_set_for_tests(-1);
	return 0;
}

/* Guesses wrongly if that is allowed; true if it was. */
static bool guess(struct throttle *t, const char *address, const char *account)
{
	struct guesser g = throttle_guesser(t, span_cstr(address), span_cstr(account));
	if (throttle_holds(throttle_judge(t, &g)))
		return false;
	throttle_wrong(t, &g);
	return true;
}

static enum throttle_verdict judge(struct throttle *t, const char *address, const char *account)
{
	struct guesser g = throttle_guesser(t, span_cstr(address), span_cstr(account));
	return throttle_judge(t, &g);
}

static void succeed(struct throttle *t, const char *address, const char *account)
{
	struct guesser g = throttle_guesser(t, span_cstr(address), span_cstr(account));
	throttle_right(t, &g);
}

static void one_network_has_its_guesses_at_an_account_and_no_more(void **state)
{
	struct throttle *t = *state;
	unsigned passed = 0;
	for (int i = 0; i < 100000; i++)
		passed += guess(t, i % 2 ? "2001:db8::1" : "2001:db8::2", "ana@example.test");
	assert_int_equal(passed, config.login_failures);
	assert_int_equal(judge(t, "2001:db8::3", "ana@example.test"), THROTTLE_PAIR);
	assert_int_equal(judge(t, "2001:db8::3", "leo@example.test"), THROTTLE_OPEN);
	assert_int_equal(judge(t, "2001:db8:0:1::3", "ana@example.test"), THROTTLE_OPEN);
	wait_ms(HOUR_MS / config.login_failures);
	assert_true(guess(t, "2001:db8::1", "ana@example.test"));
	assert_false(guess(t, "2001:db8::1", "ana@example.test"));
	wait_ms(HOUR_MS);
	passed = 0;
	for (int i = 0; i < 1000; i++)
		passed += guess(t, "2001:db8::1", "ana@example.test");
	assert_int_equal(passed, config.login_failures);
}

static void one_network_has_its_guesses_over_all_accounts(void **state)
{
	struct throttle *t = *state;
	unsigned passed = 0;
	char name[64];
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "user%d@example.test", i);
		passed += guess(t, "192.0.2.1", name);
	}
	assert_int_equal(passed, config.login_failures_per_address);
	assert_int_equal(judge(t, "192.0.2.1", "ana@example.test"), THROTTLE_ADDRESS);
	assert_int_equal(judge(t, "192.0.2.2", "ana@example.test"), THROTTLE_OPEN);
}

static void ten_thousand_addresses_do_not_get_at_an_account_and_its_user_does(void **state)
{
	struct throttle *t = *state;
	unsigned passed = 0;
	char address[64];
	succeed(t, "203.0.113.7", "ana@example.test");
	for (int i = 0; i < 100000; i++) {
		snprintf(address, sizeof address, "10.0.%d.%d", i % 10000 / 100, i % 100);
		passed += guess(t, address, "ana@example.test");
	}
	assert_int_equal(passed, config.login_failures_per_account);
	assert_int_equal(judge(t, "203.0.113.7", "ana@example.test"), THROTTLE_KNOWN);
	assert_int_equal(judge(t, "203.0.113.8", "ana@example.test"), THROTTLE_ACCOUNT);
	/* and whoever guesses from there has no more than one pair's guesses */
	passed = 0;
	for (int i = 0; i < 1000; i++)
		passed += guess(t, "203.0.113.7", "ana@example.test");
	assert_int_equal(passed, config.login_failures);
	assert_int_equal(judge(t, "203.0.113.7", "ana@example.test"), THROTTLE_PAIR);
}

static void a_known_user_gets_in_from_an_address_that_guesses_at_others(void **state)
{
	struct throttle *t = *state;
	char name[64];
	succeed(t, "192.0.2.1", "ana@example.test");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "user%d@example.test", i);
		guess(t, "192.0.2.1", name);
	}
	assert_int_equal(judge(t, "192.0.2.1", "leo@example.test"), THROTTLE_ADDRESS);
	assert_int_equal(judge(t, "192.0.2.1", "ana@example.test"), THROTTLE_KNOWN);
	wait_ms(31ll * 24 * HOUR_MS);
	assert_int_equal(judge(t, "192.0.2.1", "ana@example.test"), THROTTLE_OPEN);
}

static void a_right_password_gives_no_new_guesses(void **state)
{
	struct throttle *t = *state;
	unsigned passed = 0;
	for (int i = 0; i < 1000; i++) {
		succeed(t, "192.0.2.1", "mallory@example.test");
		passed += guess(t, "192.0.2.1", "ana@example.test");
	}
	assert_int_equal(passed, config.login_failures);
}

static void behind_an_exempt_address_each_account_counts_for_itself(void **state)
{
	struct throttle *t = *state;
	unsigned passed = 0;
	char name[64];
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "user%d@example.test", i);
		passed += guess(t, "127.0.0.1", name);
	}
	assert_int_equal(passed, 1000);
	passed = 0;
	for (int i = 0; i < 1000; i++)
		passed += guess(t, "127.0.0.1", "ana@example.test");
	assert_int_equal(passed, config.login_failures);
}

static void what_no_limit_is_set_for_is_not_held_back(void **state)
{
	struct throttle *t = *state;
	config.login_failures = config.login_failures_per_address = config.login_failures_per_account = 0;
	for (int i = 0; i < 1000; i++)
		assert_true(guess(t, "192.0.2.1", "ana@example.test"));
}

static void a_flood_of_names_and_networks_drives_out_no_count_that_is_high(void **state)
{
	struct throttle *t = *state;
	char address[64], name[64];
	while (guess(t, "192.0.2.1", "ana@example.test"))
		;
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(address, sizeof address, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		snprintf(name, sizeof name, "%u@example.test", i);
		guess(t, address, name);
	}
	assert_int_equal(judge(t, "192.0.2.1", "ana@example.test"), THROTTLE_PAIR);
}

static void answers_are_later_and_later_up_to_a_quarter_of_a_minute(void **state)
{
	struct throttle *t = *state;
	struct guesser g = throttle_guesser(t, SPAN("192.0.2.1"), SPAN("ana@example.test"));
	static const int64_t delays[] = {1000, 1000, 2000, 4000, 8000, 15000, 15000};
	for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
		assert_int_equal(throttle_delay_ms(t, &g), delays[i]);
		throttle_wrong(t, &g);
	}
	wait_ms(HOUR_MS);
	assert_int_equal(throttle_delay_ms(t, &g), 1000);
}

static void what_was_checked_is_remembered_for_a_while(void **state)
{
	(void)state;
	struct digest_key key;
	struct memory *m = memory_new();
	digest_key_make(&key);
	struct span right[] = {SPAN("ana"), SPAN("hash"), SPAN("pw")}, wrong[] = {SPAN("ana"), SPAN("hash"), SPAN("wp")};
	struct span shifted[] = {SPAN("ana"), SPAN("hashp"), SPAN("w")};
	struct digest of_right = digest_make(&key, right, 3), of_wrong = digest_make(&key, wrong, 3);
	struct digest of_shifted = digest_make(&key, shifted, 3);
	assert_int_equal(memory_recall(m, &of_right), MEMORY_NOTHING);
	memory_keep(m, &of_right, true);
	memory_keep(m, &of_wrong, false);
	assert_int_equal(memory_recall(m, &of_right), MEMORY_RIGHT);
	assert_int_equal(memory_recall(m, &of_wrong), MEMORY_WRONG);
	assert_int_equal(memory_recall(m, &of_shifted), MEMORY_NOTHING);
	for (unsigned i = 0; i < 100000; i++) {
		struct span other[] = {SPAN("ana"), span_of(&i, sizeof i)};
		struct digest d = digest_make(&key, other, 2);
		memory_keep(m, &d, false);
	}
	assert_int_equal(memory_recall(m, &of_right), MEMORY_RIGHT);
	wait_ms(11 * MINUTE_MS);
	assert_int_equal(memory_recall(m, &of_right), MEMORY_NOTHING);
	memory_free(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_network_has_its_guesses_at_an_account_and_no_more),
		TEST(one_network_has_its_guesses_over_all_accounts),
		TEST(ten_thousand_addresses_do_not_get_at_an_account_and_its_user_does),
		TEST(a_known_user_gets_in_from_an_address_that_guesses_at_others),
		TEST(a_right_password_gives_no_new_guesses),
		TEST(behind_an_exempt_address_each_account_counts_for_itself),
		TEST(what_no_limit_is_set_for_is_not_held_back),
		TEST(a_flood_of_names_and_networks_drives_out_no_count_that_is_high),
		TEST(answers_are_later_and_later_up_to_a_quarter_of_a_minute),
		TEST(what_was_checked_is_remembered_for_a_while),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
