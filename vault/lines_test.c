/* Whose turn it is to have a password checked. */
#include "vault/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void join(struct lines *l, uint64_t key, struct ticket *t)
{
	struct ticket *displaced;
	assert_int_equal(lines_join(l, key, t, &displaced), 0);
	assert_null(displaced);
}

/* The position in `tickets` of whose turn it is. */
static ssize_t next(struct lines *l, struct ticket *tickets)
{
	struct ticket *t = lines_next(l);
	if (!t)
		return -1;
	lines_leave(l, t);
	return t - tickets;
}

static void a_line_is_in_order_and_lines_take_turns(void **state)
{
	(void)state;
	struct lines l = {0};
	struct ticket t[6];
	for (size_t i = 0; i < 4; i++)
		join(&l, 1, &t[i]);
	join(&l, 2, &t[4]);
	join(&l, 3, &t[5]);
	static const ssize_t order[] = {0, 4, 5, 1, 2, 3, -1};
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		assert_int_equal(next(&l, t), order[i]);
	map_free(&l.by_key);
}

static void a_newcomer_waits_for_one_of_each_other_line_at_most(void **state)
{
	(void)state;
	struct lines l = {0};
	static struct ticket flood[LINE_WAITING_MOST];
	struct ticket late, *displaced;
	for (size_t i = 0; i < LINE_WAITING_MOST; i++)
		join(&l, 1, &flood[i]);
	assert_int_equal(lines_join(&l, 1, &late, &displaced), -1); /* their own line is full */
	join(&l, 2, &late);
	assert_ptr_equal(lines_next(&l), &flood[0]);
	assert_ptr_equal(lines_next(&l), &late);
	assert_true(lines_has(&l, 2));
	lines_leave(&l, &late);
	assert_false(lines_has(&l, 2));
	assert_true(lines_has(&l, 1));
	lines_leave(&l, &flood[0]);
	while (l.waiting)
		next(&l, flood);
	assert_int_equal(l.by_key.count, 0);
	map_free(&l.by_key);
}

static void when_all_places_are_taken_the_longest_line_gives_one_up(void **state)
{
	(void)state;
	struct lines l = {0};
	static struct ticket t[LINES_WAITING_MOST + 3];
	struct ticket *displaced;
	size_t count = 0;
	while (count < LINES_WAITING_MOST - 3)
		join(&l, count / LINE_WAITING_MOST, &t[count]), count++;
	join(&l, 1000, &t[count++]);
	join(&l, 1001, &t[count++]);
	join(&l, 1002, &t[count++]);
	assert_int_equal(l.waiting, LINES_WAITING_MOST);
	assert_int_equal(lines_join(&l, 1003, &t[count], &displaced), 0);
	assert_ptr_equal(displaced, &t[LINE_WAITING_MOST - 1]); /* the last of the first line that is full */
	assert_null(displaced->line);
	assert_int_equal(l.waiting, LINES_WAITING_MOST);
	size_t seen = 0;
	while (next(&l, t) >= 0)
		seen++;
	assert_int_equal(seen, LINES_WAITING_MOST);
	assert_int_equal(l.by_key.count, 0);
	map_free(&l.by_key);
}

static void among_lines_of_one_nobody_is_displaced(void **state)
{
	(void)state;
	struct lines l = {0};
	static struct ticket t[LINES_WAITING_MOST + 1];
	struct ticket *displaced;
	for (size_t i = 0; i < LINES_WAITING_MOST; i++)
		join(&l, i, &t[i]);
	assert_int_equal(lines_join(&l, LINES_WAITING_MOST, &t[LINES_WAITING_MOST], &displaced), -1);
	assert_null(displaced);
	while (next(&l, t) >= 0)
		;
	map_free(&l.by_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_in_order_and_lines_take_turns),
		cmocka_unit_test(a_newcomer_waits_for_one_of_each_other_line_at_most),
		cmocka_unit_test(when_all_places_are_taken_the_longest_line_gives_one_up),
		cmocka_unit_test(among_lines_of_one_nobody_is_displaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
