/* What was submitted is found by who submitted it, for as long as it surely is there. */
#include "store/sent.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sent_message message(uint64_t account, uint64_t received, int digest)
{
	struct sent_message m = {.account = account, .received = received, .blob = id128_new()};
	memcpy(m.digest, &digest, sizeof digest);
	return m;
}

static bool finds(const struct sent *s, const struct sent_message *m, struct id128 blob)
{
	struct id128 found;
	return sent_find(s, m, &found) && id128_equal(found, blob);
}

static void the_same_bytes_of_the_same_account_are_found(void **state)
{
	(void)state;
	struct sent s = {0};
	struct id128 blob;
	struct sent_message one = message(7, 50000, 1), another_account = one, another_size = one, another_digest = one, again = message(7, 50000, 1);
	another_account.account = 8;
	another_size.received++;
	another_digest.digest[31] = 1;
	assert_false(sent_find(&s, &one, &blob));
	sent_add(&s, &one);
	assert_true(finds(&s, &one, one.blob));
	assert_false(sent_find(&s, &another_account, &blob));
	assert_false(sent_find(&s, &another_size, &blob));
	assert_false(sent_find(&s, &another_digest, &blob));
	sent_add(&s, &again);
	assert_true(finds(&s, &one, again.blob));
	sent_free(&s);
}

static void half_an_hour_later_it_is_forgotten(void **state)
{
	(void)state;
	struct sent s = {0};
	struct id128 blob;
	struct sent_message one = message(7, 50000, 1);
	sent_add(&s, &one);
	clock_shift_wall_for_tests(SENT_KEPT_MS - 60 * 1000);
	assert_true(sent_find(&s, &one, &blob));
	clock_shift_wall_for_tests(SENT_KEPT_MS);
	assert_false(sent_find(&s, &one, &blob));
	clock_shift_wall_for_tests(0);
	sent_free(&s);
}

static void the_oldest_make_room(void **state)
{
	(void)state;
	struct sent s = {0};
	struct id128 blob;
	struct sent_message first = message(7, 50000, 0), last = first;
	sent_add(&s, &first);
	for (int i = 1; i < SENT_MOST; i++) {
		last = message(7, 50000, i);
		sent_add(&s, &last);
	}
	assert_true(finds(&s, &first, first.blob));
	last = message(7, 50000, SENT_MOST);
	sent_add(&s, &last);
	assert_false(sent_find(&s, &first, &blob));
	assert_true(finds(&s, &last, last.blob));
	sent_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bytes_of_the_same_account_are_found),
		cmocka_unit_test(half_an_hour_later_it_is_forgotten),
		cmocka_unit_test(the_oldest_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
