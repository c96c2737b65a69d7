/* Lists in the DNS: the words that name them, and their answers. */
#include "auth/dns_lists.h"
#include "auth/test_dns.h"
#include "wire/test.h"

static void note_end(void *context)
{
	*(bool *)context = true;
}

static void words_name_lists_answers_and_weights(void **state)
{
	static const struct {
		const char *in;
		int result, weight;
		bool counts_2, counts_9, counts_error;
	} cases[] = {
		{"zen.example", 0, 1, true, true, false},
		{"zen.example=127.0.0.2*3", 0, 3, true, false, false},
		{"zen.example=127.0.0.[4..11]*-2", 0, -2, false, true, false},
		{"zen.example=127.[0..255].[0..255].[0..255]", 0, 1, true, true, true},
		{"zen..example", -1, 0, false, false, false}, {"zen.example=127.0.0", -1, 0, false, false, false},
		{"zen.example=127.0.0.[9..2]", -1, 0, false, false, false}, {"zen.example*x", -1, 0, false, false, false},
		{"zen.example=127.0.0.256", -1, 0, false, false, false}, {"zen.example=1.2.3.4.5", -1, 0, false, false, false}, {"", -1, 0, false, false, false},
		{"zen.example=127.0.0.[2", -1, 0, false, false, false}, {"zen.example*101", -1, 0, false, false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dns_list l;
		assert_int_equal(dns_list_parse(span_cstr(cases[i].in), &l, NULL), cases[i].result);
		if (cases[i].result)
			continue;
		assert_int_equal(l.weight, cases[i].weight);
		assert_int_equal(dns_list_counts(&l, SPAN("\x7f\0\0\2")), cases[i].counts_2);
		assert_int_equal(dns_list_counts(&l, SPAN("\x7f\0\0\x9")), cases[i].counts_9);
		assert_int_equal(dns_list_counts(&l, SPAN("\x7f\xff\xff\xfe")), cases[i].counts_error);
	}
}

static void weights_of_lists_add_up_and_silent_ones_say_nothing(void **state)
{
	static const struct test_record zone[] = {
		{DNS_A, "1.2.0.192.bad.example", SPAN("\x7f\0\0\2"), DNS_ANSWER}, {DNS_A, "1.2.0.192.worse.example", SPAN("\x7f\0\0\3"), DNS_ANSWER},
		{DNS_A, "1.2.0.192.good.example", SPAN("\x7f\0\0\2"), DNS_ANSWER}, {DNS_A, "1.2.0.192.down.example", SPAN(""), DNS_LATER},
		{DNS_A, "1.2.0.192.closed.example", SPAN("\x7f\xff\xff\xfe"), DNS_ANSWER},
		{DNS_A, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bad.example", SPAN("\x7f\0\0\2"), DNS_ANSWER}};
	static const struct {
		const char *lists;
		struct span address;
		int weight;
		const char *zone;
	} cases[] = {
		{"bad.example worse.example*5 good.example*-2 down.example*50 closed.example*50", SPAN("\xc0\0\2\1"), 4, "worse.example"},
		{"bad.example", SPAN("\xc0\0\2\2"), 0, ""}, {"", SPAN("\xc0\0\2\1"), 0, ""},
		{"bad.example", SPAN("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), 1, "bad.example"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct test_dns dns = test_dns_of(zone, sizeof zone / sizeof zone[0]);
		struct dns_lists_check *c = dns_lists_check_new(&dns.client, span_cstr(cases[i].lists), cases[i].address);
		bool is_done = false;
		struct span zone_name;
		dns_lists_check_start(c, note_end, &is_done);
		test_dns_answer_all(&dns);
		assert_true(is_done);
		assert_int_equal(dns_lists_weight(c, &zone_name), cases[i].weight);
		assert_span(zone_name, cases[i].zone);
		dns_lists_check_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_name_lists_answers_and_weights),
		cmocka_unit_test(weights_of_lists_add_up_and_silent_ones_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
