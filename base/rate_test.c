/* How much one may do in a time. */
#include "base/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void as_many_as_the_limit_go_at_once_and_then_one_each_share(void **state)
{
	struct rates r = {0};
	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(rates_count(&r, 1, 10, RATE_HOUR_MS, 1000), RATE_OPEN);
	assert_int_equal(rates_count(&r, 1, 10, RATE_HOUR_MS, 1000), RATE_FIRST_OVER);
	assert_int_equal(rates_count(&r, 1, 10, RATE_HOUR_MS, 2000), RATE_OVER);
	assert_true(rates_are_over(&r, 1, 10, RATE_HOUR_MS, 2000) && !rates_are_over(&r, 1, 10, RATE_HOUR_MS, 1000 + 360000));
	assert_false(rates_are_over(&r, 2, 10, RATE_HOUR_MS, 2000));
	assert_int_equal(rates_count(&r, 2, 10, RATE_HOUR_MS, 2000), RATE_OPEN); /* another key */
	assert_int_equal(rates_count(&r, 1, 10, RATE_HOUR_MS, 1000 + 360000), RATE_OPEN);
	assert_int_equal(rates_count(&r, 1, 10, RATE_HOUR_MS, 1000 + 360000), RATE_FIRST_OVER);
	for (int i = 0; i < 10; i++)
		assert_int_equal(rates_count(&r, 1, 10, RATE_HOUR_MS, 10000000), RATE_OPEN);
	assert_int_equal(rates_count(&r, 1, 0, RATE_HOUR_MS, 10000000), RATE_OPEN); /* no limit */
	rates_free(&r);
}

static void keys_that_have_run_down_are_forgotten(void **state)
{
	struct rates r = {0};
	(void)state;
	for (uint64_t key = 1; key <= 50000; key++)
		rates_count(&r, key, 1000, RATE_HOUR_MS, (int64_t)key * 10000);
	assert_true(r.by_key.count <= 11000);
	rates_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_the_limit_go_at_once_and_then_one_each_share),
		cmocka_unit_test(keys_that_have_run_down_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
