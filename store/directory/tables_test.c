/* Answers of tables: when they are good, who waits for them, what resolve may say. */
#include "store/directory/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ipc/words.h"

enum { HOUR_MS = 60 * 60 * 1000 };

struct test {
	struct store store;
	struct config config;
	int other;
	unsigned woken;
};

static void on_closed(void *context, bool is_violation)
{
	(void)context, (void)is_violation;
}

static void attach(struct test *t)
{
	int pair[2];
	struct channel_use use = {resolve_to_store_dispatch, NULL, NULL, on_closed, "resolve"};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	t->store.peers[0] = (struct store_peer){.store = &t->store, .role = ROLE_RESOLVE, .id = ++t->store.last_peer, .channel = channel_new(t->store.loop, pair[0], &use)};
	t->other = pair[1];
}

static void detach(struct test *t)
{
	struct store_peer was = t->store.peers[0];
	t->store.peers[0] = (struct store_peer){0};
	tables_resolve_gone(&t->store, was.id);
	channel_free(was.channel);
	close(t->other);
}

static int open_test(void **state)
{
	struct test *t = calloc(1, sizeof *t);
	struct config_errors errors;
	t->store.loop = loop_new();
	assert_int_equal(config_parse(SPAN("tables = virtual:/a transport:/b\n"), "test", &t->config, &errors), 0);
	tables_configure(&t->store, &t->config);
	attach(t);
	*state = t;
	return 0;
}

static int close_test(void **state)
{
	struct test *t = *state;
	detach(t);
	tables_close(&t->store);
	loop_free(t->store.loop);
	config_free(&t->config);
	free(t);
	return 0;
}

static void on_answer(struct store *s, void *context)
{
	struct test *t = context;
	assert_ptr_equal(s, &t->store);
	t->woken++;
}

static enum table_outcome find(struct test *t, const char *name, struct table_look *look, struct table_said *said)
{
	tables_find(&t->store, TABLE_ADDRESS, span_cstr(name), look, said);
	return said->outcome;
}

static int answer(struct test *t, uint64_t question, enum table_outcome outcome, const char *target)
{
	BUF_AUTO packed = {0};
	struct span targets[] = {span_cstr(target)};
	words_pack(&packed, targets, target != NULL);
	return tables_answered(&t->store, &(struct msg_table_answer){.id = question, .outcome = (uint8_t)outcome, .targets = buf_span(&packed), .table = SPAN("virtual:/a")});
}

/* Asks, and answers. */
static void learn(struct test *t, const char *name, enum table_outcome outcome, const char *target)
{
	struct table_look look = {.is_new = true, .since_ms = clock_monotonic_ms() + 10 * 1000};
	struct table_said said;
	assert_int_equal(find(t, name, &look, &said), TABLE_LATER);
	assert_int_equal(answer(t, look.question, outcome, target), 0);
}

static void an_answer_is_asked_for_once_and_wakes_all(void **state)
{
	struct test *t = *state;
	struct table_look one = {.is_new = true}, two = {.is_new = true};
	struct table_said said;
	assert_int_equal(find(t, "a@x.y", &one, &said), TABLE_LATER);
	assert_true(one.question);
	tables_wait(&t->store, one.question, on_answer, t);
	assert_int_equal(find(t, "a@x.y", &two, &said), TABLE_LATER);
	assert_true(two.question == one.question);
	tables_wait(&t->store, two.question, on_answer, t);
	assert_int_equal(answer(t, one.question, TABLE_FOUND, "b@x.y"), 0);
	assert_int_equal(t->woken, 2);
	assert_int_equal(find(t, "a@x.y", &one, &said), TABLE_FOUND);
	assert_true(one.has_found && said.count == 1 && span_equal(said.targets[0], SPAN("b@x.y")));
	assert_int_equal(answer(t, two.question, TABLE_NONE, NULL), -1); /* nobody has asked that */
}

static void at_rcpt_an_answer_is_good_for_seconds_and_later_for_an_hour(void **state)
{
	struct test *t = *state;
	struct table_said said;
	int64_t now = clock_monotonic_ms();
	learn(t, "a@x.y", TABLE_FOUND, "b@x.y");
	assert_int_equal(find(t, "a@x.y", &(struct table_look){.is_new = true}, &said), TABLE_FOUND);
	assert_int_equal(find(t, "a@x.y", &(struct table_look){.since_ms = now + HOUR_MS / 2}, &said), TABLE_FOUND);
	assert_int_equal(find(t, "a@x.y", &(struct table_look){.since_ms = now + 2 * HOUR_MS}, &said), TABLE_LATER);
	tables_have_changed(&t->store);
	assert_int_equal(find(t, "a@x.y", &(struct table_look){.is_new = true, .since_ms = clock_monotonic_ms() + 1}, &said), TABLE_LATER);
	assert_int_equal(find(t, "a@x.y", &(struct table_look){0}, &said), TABLE_FOUND);
}

static void the_newest_answer_is_the_one(void **state)
{
	struct test *t = *state;
	struct table_said said;
	learn(t, "a@x.y", TABLE_FOUND, "b@x.y");
	learn(t, "a@x.y", TABLE_NONE, NULL);
	assert_int_equal(find(t, "a@x.y", &(struct table_look){.is_new = true}, &said), TABLE_NONE);
	assert_int_equal(find(t, "a@x.y", &(struct table_look){0}, &said), TABLE_NONE);
	learn(t, "a@x.y", TABLE_FOUND, "c@x.y");
	assert_int_equal(find(t, "a@x.y", &(struct table_look){0}, &said), TABLE_FOUND);
	assert_true(span_equal(said.targets[0], SPAN("c@x.y")));
}

static void a_table_that_is_down_is_later_and_not_asked_again_at_once(void **state)
{
	struct test *t = *state;
	struct table_look look = {.is_new = true}, other = {.is_new = true};
	struct table_said said;
	find(t, "a@x.y", &look, &said);
	tables_wait(&t->store, look.question, on_answer, t);
	assert_int_equal(answer(t, look.question, TABLE_LATER, NULL), 0);
	assert_int_equal(t->woken, 1);
	assert_true(find(t, "a@x.y", &look, &said) == TABLE_LATER && !look.question && !look.is_busy);
	assert_string_equal(look.table, "virtual:/a");
	assert_true(find(t, "a@x.y", &other, &said) == TABLE_LATER && !other.question);
	tables_have_changed(&t->store);
	assert_true(find(t, "a@x.y", &other, &said) == TABLE_LATER && other.question); /* it may be there now */
}

static void a_resolve_that_goes_answers_later_and_none_is_busy(void **state)
{
	struct test *t = *state;
	struct table_look look = {.is_new = true}, other = {.is_new = true};
	struct table_said said;
	find(t, "a@x.y", &look, &said);
	tables_wait(&t->store, look.question, on_answer, t);
	detach(t);
	assert_int_equal(t->woken, 1);
	assert_true(find(t, "a@x.y", &look, &said) == TABLE_LATER && !look.question);
	assert_true(find(t, "b@x.y", &other, &said) == TABLE_LATER && !other.question && other.is_busy);
	attach(t);
	assert_true(find(t, "b@x.y", &other, &said) == TABLE_LATER && other.question);
}

static void what_resolve_says_is_checked(void **state)
{
	struct test *t = *state;
	struct table_look look = {.is_new = true};
	struct table_said said;
	BUF_AUTO long_one = {0};
	for (int i = 0; i < 100; i++)
		buf_add_cstr(&long_one, "abcdef.");
	buf_add_cstr(&long_one, "a@x.y");
	const char *bad[] = {"", "b", "b@", "b@x y", "b@x.y\r\nX", "@x.y", buf_cstr(&long_one), NULL};
	find(t, "a@x.y", &look, &said);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(answer(t, look.question, TABLE_FOUND, bad[i]), -1);
	assert_int_equal(answer(t, look.question, TABLE_NONE, "b@x.y"), -1);
	assert_int_equal(answer(t, look.question, TABLE_FOUND, "b@x.y"), 0);
	look = (struct table_look){.is_new = true};
	tables_find(&t->store, TABLE_ROUTE, SPAN("a@x.y"), &look, &said);
	assert_int_equal(answer(t, look.question, TABLE_FOUND, "no hop at all"), -1);
	assert_int_equal(answer(t, look.question, TABLE_FOUND, "[10.0.0.1]:25"), 0);
}

static void what_no_table_answers_is_not_asked(void **state)
{
	struct test *t = *state;
	struct table_look look = {.is_new = true};
	struct table_said said;
	struct config_errors errors;
	config_free(&t->config);
	assert_int_equal(config_parse(SPAN("tables = mailertable:/a\n"), "test", &t->config, &errors), 0);
	tables_configure(&t->store, &t->config);
	assert_int_equal(find(t, "a@x.y", &look, &said), TABLE_NONE);
	tables_find(&t->store, TABLE_DOMAIN, SPAN("x.y"), &look, &said);
	assert_int_equal(said.outcome, TABLE_NONE);
	tables_find(&t->store, TABLE_ROUTE, SPAN("a@x.y"), &look, &said);
	assert_int_equal(said.outcome, TABLE_LATER);
}

/* More names than are remembered: nothing breaks, and the last ones are known. */
static void memory_is_bounded(void **state)
{
	struct test *t = *state;
	struct table_said said;
	char name[32];
	for (int i = 0; i < 60000; i++) {
		snprintf(name, sizeof name, "u%d@x.y", i);
		learn(t, name, TABLE_FOUND, "b@x.y");
	}
	assert_int_equal(find(t, "u59999@x.y", &(struct table_look){0}, &said), TABLE_FOUND);
	assert_int_equal(find(t, "u0@x.y", &(struct table_look){0}, &said), TABLE_LATER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_is_asked_for_once_and_wakes_all, open_test, close_test),
		cmocka_unit_test_setup_teardown(at_rcpt_an_answer_is_good_for_seconds_and_later_for_an_hour, open_test, close_test),
		cmocka_unit_test_setup_teardown(the_newest_answer_is_the_one, open_test, close_test),
		cmocka_unit_test_setup_teardown(a_table_that_is_down_is_later_and_not_asked_again_at_once, open_test, close_test),
		cmocka_unit_test_setup_teardown(a_resolve_that_goes_answers_later_and_none_is_busy, open_test, close_test),
		cmocka_unit_test_setup_teardown(what_resolve_says_is_checked, open_test, close_test),
		cmocka_unit_test_setup_teardown(what_no_table_answers_is_not_asked, open_test, close_test),
		cmocka_unit_test_setup_teardown(memory_is_bounded, open_test, close_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
