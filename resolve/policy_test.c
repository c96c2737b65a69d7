/* The policies that store has kept, as resolve takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "ipc/channel.h"
#include "ipc/terms.h"
#include "resolve/policy.h"

#define NOW_MS (100000 * 1000LL)
#define POLICY "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 1000\n"

static void open_policies(struct policies *p)
{
	*p = (struct policies){0};
	policies_open(p, NULL, NULL, NULL);
}

static bool take(struct policies *p, const char *domain, const char *id, uint64_t fetched_s, const char *policy)
{
	return policies_kept(p, &(struct msg_policy_kept){.domain = span_cstr(domain), .policy_id = span_cstr(id), .fetched_s = fetched_s, .policy = span_cstr(policy)});
}

/* What is too old is forgotten whole, when it is spoken of. */
static void close_policies(struct policies *p, const char *domain)
{
	clock_set_for_tests(1000000 * 1000LL);
	take(p, domain, "1", 1, POLICY);
	clock_set_for_tests(NOW_MS);
}

static void assert_empty(struct policies *p)
{
	assert_int_equal(p->count, 0);
	assert_int_equal(p->bytes, 0);
	assert_int_equal(p->by_hash.count, 0);
	map_free(&p->by_hash);
}

static void only_what_holds_is_remembered(void **state)
{
	static const struct {
		uint64_t fetched_s;
		size_t count;
	} cases[] = {{100000, 1}, {99001, 1}, {99000, 0}, {1, 0}, {186400, 1}, {186401, 0}, {UINT64_MAX, 0}};
	(void)state;
	clock_set_for_tests(NOW_MS);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct policies p;
		open_policies(&p);
		assert_true(take(&p, "example.org", "1", cases[i].fetched_s, POLICY));
		assert_int_equal(p.count, cases[i].count);
		assert_int_equal(p.bytes, cases[i].count * strlen(POLICY));
		assert_true(take(&p, "example.org", "1", 1, POLICY)); /* an older one changes nothing */
		assert_int_equal(p.count, cases[i].count);
		close_policies(&p, "example.org");
		assert_empty(&p);
	}
	clock_set_for_tests(-1);
}

static void what_is_no_policy_is_refused(void **state)
{
	struct policies p;
	(void)state;
	open_policies(&p);
	assert_false(take(&p, "Example.org", "1", 1, POLICY));
	assert_false(take(&p, "", "1", 1, POLICY));
	assert_false(take(&p, "example.org", "", 1, POLICY));
	assert_false(take(&p, "example.org", "a b", 1, POLICY));
	assert_false(take(&p, "example.org", "1", 1, "version: STSv1\n"));
	assert_empty(&p);
}

static void the_oldest_gives_way(void **state)
{
	struct policies p;
	char domain[32];
	(void)state;
	clock_set_for_tests(NOW_MS);
	open_policies(&p);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(domain, sizeof domain, "d%u.example", i);
		assert_true(take(&p, domain, "1", 99500 + i, POLICY));
	}
	size_t more = POLICIES_BYTES_MOST - p.bytes;
	p.bytes += more; /* as if they were larger */
	assert_true(take(&p, "one.example", "1", 100000, POLICY));
	assert_int_equal(p.count, 100);
	p.bytes -= more;
	close_policies(&p, "d0.example"); /* it was the oldest, and is not there any more */
	assert_int_equal(p.count, 100);
	close_policies(&p, "one.example");
	for (unsigned i = 1; i < 100; i++) {
		snprintf(domain, sizeof domain, "d%u.example", i);
		close_policies(&p, domain);
		assert_int_equal(p.count, 99 - i);
	}
	assert_empty(&p);
	clock_set_for_tests(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_holds_is_remembered),
		cmocka_unit_test(what_is_no_policy_is_refused),
		cmocka_unit_test(the_oldest_gives_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
