/* What strangers and resolve say, as relay keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/utf8.h"
#include "ipc/words.h"
#include "relay/job.h"
#include "relay/reply.h"
#include "relay/target.h"

#include <arpa/inet.h>

static int take(struct reply_reader *r, const char *line)
{
	struct span keyword;
	struct error why;
	return reply_take(r, span_cstr(line), &keyword, &why);
}

static void a_reply_of_several_lines_becomes_one_text(void **state)
{
	(void)state;
	struct reply_reader r = {0};
	assert_int_equal(take(&r, "550-5.1.1 no such"), 0);
	assert_int_equal(take(&r, "550-5.1.1"), 0);
	assert_int_equal(take(&r, "550 5.1.1 user"), 1);
	assert_int_equal(r.reply.code, 550);
	assert_string_equal(r.reply.status, "5.1.1");
	assert_string_equal(r.reply.text, "550 5.1.1 no such user");
}

static void a_status_that_is_missing_or_contradicts_comes_from_the_code(void **state)
{
	(void)state;
	struct reply_reader r = {0};
	assert_int_equal(take(&r, "451 try again"), 1);
	assert_string_equal(r.reply.status, "4.0.0");
	r = (struct reply_reader){0};
	assert_int_equal(take(&r, "550 4.2.2 full"), 1);
	assert_string_equal(r.reply.status, "5.0.0");
}

static void malformed_replies_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"", "25", "hello", "999 x", "250x", "+OK"};
	struct reply_reader r = {0};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		r = (struct reply_reader){0};
		assert_int_equal(take(&r, cases[i]), -1);
	}
	r = (struct reply_reader){0};
	assert_int_equal(take(&r, "250-one"), 0);
	assert_int_equal(take(&r, "550 two"), -1);
	r = (struct reply_reader){0};
	for (int i = 0; i < REPLY_LINES_MOST; i++)
		assert_int_equal(take(&r, "250-more"), 0);
	assert_int_equal(take(&r, "250 end"), -1);
}

static void the_text_of_a_reply_is_bounded_and_valid_utf8(void **state)
{
	(void)state;
	struct reply_reader r = {0};
	char line[1000] = "550 ";
	memset(line + 4, 0, sizeof line - 4);
	for (size_t i = 4; i + 3 < sizeof line; i += 2)
		memcpy(line + i, "\xc3\xa4", 2);
	line[5] = '\x1b';
	for (int i = 0; i < 3; i++) {
		line[3] = '-';
		assert_int_equal(take(&r, line), 0);
	}
	assert_true(strlen(r.reply.text) <= REPLY_TEXT_MOST);
	assert_true(strlen(r.reply.text) > REPLY_TEXT_MOST - 4);
	assert_true(utf8_is_valid(span_cstr(r.reply.text)));
	assert_null(strchr(r.reply.text, '\x1b'));
}

static struct span none(void)
{
	return span_of("\0\0\0\0", 4); /* no words */
}

static void targets_have_names_and_nobodys_addresses_are_seen(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool is_nobodys;
	} cases[] = {
		{"192.0.2.1", false}, {"127.0.0.1", true}, {"127.9.9.9", true}, {"0.0.0.0", true}, {"::1", true}, {"::", true},
		{"::ffff:127.0.0.1", true}, {"169.254.169.254", true}, {"::ffff:169.254.169.254", true}, {"fe80::1", true}, {"ff02::1", true}, {"224.0.0.1", true}, {"255.255.255.255", true}, {"10.0.0.1", false}, {"::ffff:192.0.2.1", false}, {"2001:db8::1", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct target_list t = {0};
		char name[100], bytes[16];
		bool is_v6 = strchr(cases[i].address, ':') != NULL;
		assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, cases[i].address, bytes), 1);
		struct msg_mx_host m = {.name = SPAN("mx.test"), .tlsa = none(), .v4 = span_of(bytes, is_v6 ? 0 : 4), .v6 = span_of(bytes, is_v6 ? 16 : 0)};
		assert_int_equal(target_list_add(&t, &m, "a.test", 25, &a), 0);
		assert_int_equal(t.count, 1);
		assert_int_equal(t.list[0].is_nobodys, cases[i].is_nobodys);
		snprintf(name, sizeof name, "mx.test[%s]:25", cases[i].address);
		assert_string_equal(t.list[0].name, name);
	}
}

/* RFC 8305 §4. */
static void the_families_take_turns(void **state)
{
	(void)state;
	static const struct {
		size_t v4, v6;
		const char *order;
	} cases[] = {{2, 2, "6464"}, {3, 1, "6444"}, {1, 3, "6466"}, {2, 0, "44"}, {0, 2, "66"}};
	char v4[4 * 4], v6[4 * 16];
	memset(v4, 1, sizeof v4);
	memset(v6, 1, sizeof v6);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct target_list t = {0};
		struct msg_mx_host m = {.name = SPAN("mx.test"), .tlsa = none(), .v4 = span_of(v4, 4 * cases[i].v4), .v6 = span_of(v6, 16 * cases[i].v6)};
		assert_int_equal(target_list_add(&t, &m, "a.test", 25, &a), 0);
		assert_int_equal(t.count, strlen(cases[i].order));
		for (size_t k = 0; k < t.count; k++)
			assert_int_equal(t.list[k].address.ss_family, cases[i].order[k] == '6' ? AF_INET6 : AF_INET);
	}
}

static void what_the_dns_demands_of_a_host_holds_for_its_addresses(void **state)
{
	(void)state;
	static const struct span records[] = {{"\3\1\0x", 4}, {"\2\1\0y", 4}};
	ARENA_AUTO a = {0};
	BUF_AUTO packed = {0};
	struct target_list t = {0};
	words_pack(&packed, records, 2);
	const struct msg_mx_host hosts[] = {
		{.name = SPAN("one.test"), .flags = MX_HOST_TLS, .tlsa_base = SPAN("base.test"), .tlsa = buf_span(&packed), .v4 = SPAN("\300\0\2\1\300\0\2\2")},
		{.name = SPAN("two.test"), .flags = MX_HOST_TLS, .tlsa = none(), .v4 = SPAN("\300\0\2\3")},
		{.name = SPAN("three.test"), .flags = MX_HOST_SECURE, .tlsa = none(), .v4 = SPAN("\300\0\2\4")},
		{.name = SPAN("four.test"), .flags = MX_HOST_POLICY, .tlsa = none(), .v4 = SPAN("\300\0\2\5")},
		{.name = SPAN("five.test"), .flags = MX_HOST_TESTED, .tlsa = none(), .v4 = SPAN("\300\0\2\6")},
		{.name = SPAN("six.test"), .flags = MX_HOST_POLICY | MX_HOST_TLS, .tlsa_base = SPAN("six.test"), .tlsa = buf_span(&packed), .v4 = SPAN("\300\0\2\7")}};
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(target_list_add(&t, &hosts[i], "hop.test", 25, &a), 0);
	assert_int_equal(t.count, 7);
	assert_true(t.list[0].must_use_tls && t.list[1].must_use_tls && t.list[2].must_use_tls && !t.list[3].must_use_tls);
	assert_true(t.list[3].is_named_securely && !t.list[2].is_named_securely);
	const struct tls_proof *proof = t.list[0].proof;
	assert_true(proof && proof == t.list[1].proof && !t.list[2].proof && !t.list[3].proof);
	assert_string_equal(proof->name, "base.test");
	assert_string_equal(proof->other_name, "hop.test");
	assert_int_equal(proof->record_count, 2);
	assert_memory_equal(proof->records[1].ptr, "\2\1\0y", 4);
	/* MTA-STS: a name by an authority, or what is wrong for the log; not where there are TLSA records */
	assert_true(t.list[4].must_use_tls && t.list[4].is_by_policy && !t.list[4].is_tested);
	assert_true(t.list[4].proof && !t.list[4].proof->is_advisory && t.list[4].proof->is_by_list && !t.list[4].proof->other_name);
	assert_string_equal(t.list[4].proof->name, "four.test");
	assert_true(!t.list[5].must_use_tls && !t.list[5].is_by_policy && t.list[5].is_tested && t.list[5].proof->is_advisory);
	assert_true(t.list[6].must_use_tls && !t.list[6].is_by_policy && t.list[6].proof->record_count == 2 && !t.list[6].proof->is_advisory);
}

static void hosts_that_are_none_are_refused(void **state)
{
	(void)state;
	static const struct msg_mx_host cases[] = {
		{.name = {"", 0}, .tlsa = {"\0\0\0\0", 4}, .v4 = {"abcd", 4}},
		{.name = {"mx.test", 7}, .tlsa = {"\0\0\0\0", 4}}, /* without an address */
		{.name = {"mx.test", 7}, .tlsa = {"\0\0\0\0", 4}, .v4 = {"abcde", 5}},
		{.name = {"mx.test", 7}, .tlsa = {"\0\0\0\0", 4}, .v6 = {"abcd", 4}},
		{.name = {"mx.test", 7}, .tlsa = {"\1\0\0\0", 4}, .v4 = {"abcd", 4}}, /* not words */
		{.name = {"mx\303\244.test", 9}, .tlsa = {"\0\0\0\0", 4}, .v4 = {"abcd", 4}},
	};
	ARENA_AUTO a = {0};
	struct target_list t = {0};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(target_list_add(&t, &cases[i], "a.test", 25, &a), -1);
	struct msg_mx_host one = {.name = SPAN("mx.test"), .tlsa = none(), .v4 = SPAN("abcd")};
	for (size_t i = 0; i < TARGETS_MOST; i++)
		assert_int_equal(target_list_add(&t, &one, "a.test", 25, &a), 0);
	assert_int_equal(target_list_add(&t, &one, "a.test", 25, &a), -1);
}

static void end_loop(void *context)
{
	loop_stop(context);
}

static void only_a_job_that_was_told_is_settled(void **state)
{
	(void)state;
	struct relay_process p = {.loop = loop_new(), .open_slots = 1};
	assert_true(job_new(&p, &(struct msg_job){.job = 7, .next_hop = SPAN("a.test")}));
	assert_false(job_new(&p, &(struct msg_job){.job = 8})); /* there was one slot */
	assert_false(job_settled(&p, &(struct msg_job_settled){.job = 8}));
	assert_false(job_settled(&p, &(struct msg_job_settled){.job = 7}));
	job_drop(map_get(&p.jobs, 7));
	/* the job is freed at the end of the turn */
	struct timer *stop = timer_new(p.loop, end_loop, p.loop);
	timer_set(stop, 0);
	loop_run(p.loop);
	timer_free(stop);
	map_free(&p.jobs);
	loop_free(p.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_of_several_lines_becomes_one_text),
		cmocka_unit_test(a_status_that_is_missing_or_contradicts_comes_from_the_code),
		cmocka_unit_test(malformed_replies_are_refused),
		cmocka_unit_test(the_text_of_a_reply_is_bounded_and_valid_utf8),
		cmocka_unit_test(targets_have_names_and_nobodys_addresses_are_seen),
		cmocka_unit_test(the_families_take_turns),
		cmocka_unit_test(what_the_dns_demands_of_a_host_holds_for_its_addresses),
		cmocka_unit_test(hosts_that_are_none_are_refused),
		cmocka_unit_test(only_a_job_that_was_told_is_settled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
