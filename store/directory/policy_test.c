/* Policies of other domains: what resolve may have kept, and what it is told again. */
#include "store/directory/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "store/batch_test.h"

#define POLICY "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n"

static void say_nothing(void *context, struct parcel_list *said)
{
	(void)context, (void)said;
}

/* What resolve hears. */
struct heard {
	struct loop *loop;
	struct buf text;
};

static void on_kept(void *context, const struct msg_policy_kept *m)
{
	struct heard *h = context;
	buf_printf(&h->text, "%.*s %.*s %llu %zu\n", SPAN_ARG(m->domain), SPAN_ARG(m->policy_id), (unsigned long long)m->fetched_s, m->policy.len);
}

static void on_told(void *context, const struct msg_policies_told *m)
{
	struct heard *h = context;
	(void)m;
	loop_stop(h->loop);
}

static void on_closed(void *context, bool is_violation)
{
	(void)context, (void)is_violation;
}

/* Everything that was submitted is written; then a new resolve comes. */
static void assert_told(struct store *s, const char *expected)
{
	static const struct store_to_resolve handlers = {.policy_kept = on_kept, .policies_told = on_told};
	struct heard h = {.loop = loop_new()};
	struct channel_use store_use = {resolve_to_store_dispatch, NULL, NULL, on_closed, "resolve"};
	struct channel_use resolve_use = {store_to_resolve_dispatch, &handlers, &h, on_closed, "store"};
	int pair[2];
	committer_free(s->committer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct store_peer peer = {.store = s, .channel = channel_new(h.loop, pair[0], &store_use)};
	struct channel *resolve = channel_new(h.loop, pair[1], &resolve_use);
	policies_tell(&peer);
	loop_run(h.loop);
	assert_string_equal(buf_cstr(&h.text), expected);
	channel_free(peer.channel);
	channel_free(resolve);
	buf_free(&h.text);
	loop_free(h.loop);
	s->committer = committer_new(s->engine, say_nothing, NULL);
}

static void open_store(struct store *s)
{
	*s = (struct store){.engine = engine_open_memory()};
	s->committer = committer_new(s->engine, say_nothing, NULL);
}

static void close_store(struct store *s)
{
	committer_free(s->committer);
	engine_close(s->engine);
}

static int keep(struct store *s, const char *domain, const char *id, uint64_t fetched_s, const char *policy)
{
	struct store_peer peer = {.store = s};
	return policy_keep(&peer, &(struct msg_policy_keep){.domain = span_cstr(domain), .policy_id = span_cstr(id), .fetched_s = fetched_s, .policy = span_cstr(policy)});
}

static int forget(struct store *s, const char *domain)
{
	struct store_peer peer = {.store = s};
	return policy_forget(&peer, &(struct msg_policy_forget){.domain = span_cstr(domain)});
}

static void the_newest_policy_of_a_domain_is_told_again(void **state)
{
	struct store s;
	(void)state;
	open_store(&s);
	assert_told(&s, "");
	assert_int_equal(keep(&s, "example.org", "1", 100, POLICY), 0);
	assert_int_equal(keep(&s, "xn--eo-via.example", "2", 100, POLICY), 0);
	assert_told(&s, "example.org 1 100 63\nxn--eo-via.example 2 100 63\n");
	assert_int_equal(keep(&s, "example.org", "3", 99, POLICY), 0); /* an older one */
	assert_int_equal(keep(&s, "xn--eo-via.example", "4", 101, POLICY "x: y\n"), 0);
	assert_told(&s, "example.org 1 100 63\nxn--eo-via.example 4 101 68\n");
	assert_int_equal(s.policies.count, 2);
	assert_int_equal(s.policies.bytes, 131);
	assert_int_equal(forget(&s, "example.org"), 0);
	assert_int_equal(forget(&s, "example.net"), 0);
	assert_int_equal(s.policies.count, 1);
	assert_int_equal(s.policies.bytes, 68);
	assert_told(&s, "xn--eo-via.example 4 101 68\n");
	close_store(&s);
}

static void what_is_no_policy_is_refused(void **state)
{
	struct store s;
	(void)state;
	open_store(&s);
	assert_int_equal(keep(&s, "Example.org", "1", 1, POLICY), -1);
	assert_int_equal(keep(&s, "", "1", 1, POLICY), -1);
	assert_int_equal(keep(&s, "a b", "1", 1, POLICY), -1);
	assert_int_equal(keep(&s, "[192.0.2.1]", "1", 1, POLICY), -1);
	assert_int_equal(keep(&s, "example.org", "", 1, POLICY), -1);
	assert_int_equal(keep(&s, "example.org", "a-b", 1, POLICY), -1);
	assert_int_equal(keep(&s, "example.org", "1", 1, ""), -1);
	assert_int_equal(keep(&s, "example.org", "1", 1, "version: STSv1\n"), -1);
	assert_int_equal(forget(&s, "a b"), -1);
	assert_told(&s, "");
	close_store(&s);
}

static void they_are_bounded(void **state)
{
	struct store s;
	(void)state;
	open_store(&s);
	s.policies.count = POLICIES_MOST - 1;
	assert_int_equal(keep(&s, "a.example", "1", 1, POLICY), 0);
	assert_int_equal(keep(&s, "b.example", "1", 1, POLICY), 0);
	s.policies = (struct policy_counts){.bytes = POLICIES_BYTES_MOST - 10};
	assert_int_equal(keep(&s, "c.example", "1", 1, POLICY), 0);
	assert_told(&s, "a.example 1 1 63\n");
	close_store(&s);
}

static void a_damaged_row_is_passed_over(void **state)
{
	struct store s;
	struct batch b = {0};
	(void)state;
	open_store(&s);
	batch_put(&b, SPAN("dir"), SPAN("pa.example"), SPAN("rubbish"));
	write_batch(s.engine, &b);
	assert_int_equal(keep(&s, "b.example", "1", 1, POLICY), 0);
	assert_told(&s, "b.example 1 1 63\n");
	close_store(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_policy_of_a_domain_is_told_again),
		cmocka_unit_test(what_is_no_policy_is_refused),
		cmocka_unit_test(they_are_bounded),
		cmocka_unit_test(a_damaged_row_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
