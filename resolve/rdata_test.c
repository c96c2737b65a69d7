/* DNS messages, whole and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "resolve/rdata.h"

/* Header of an answer with one question about "a.test" (its name is at 12) and `answers` records. */
static void start(struct buf *m, unsigned answers)
{
	const char header[] = {0, 1, (char)0x81, (char)0x80, 0, 1, (char)(answers >> 8), (char)answers, 0, 0, 0, 0};
	buf_add(m, span_of(header, sizeof header));
	buf_add(m, SPAN("\1a\4test\0\0\x0f\0\1"));
}

static void add_record(struct buf *m, unsigned type, struct span data)
{
	const char fixed[] = {(char)0xc0, 12, (char)(type >> 8), (char)type, 0, 1, 0, 0, 0, 60, (char)(data.len >> 8), (char)data.len};
	buf_add(m, span_of(fixed, sizeof fixed));
	buf_add(m, data);
}

static void an_mx_with_a_compressed_name_is_read(void **state)
{
	(void)state;
	BUF_AUTO m = {0};
	struct rdata_reader r;
	struct rdata_record record;
	unsigned preference;
	char host[RDATA_NAME_MOST];
	start(&m, 2);
	add_record(&m, RDATA_TYPE_MX, SPAN("\0\x0a\2Mx\xc0\x0e"));
	add_record(&m, RDATA_TYPE_MX, SPAN("\1\0\0"));
	assert_int_equal(rdata_start(&r, buf_span(&m), NULL), 0);
	assert_int_equal(rdata_next(&r, &record, NULL), 1);
	assert_int_equal(rdata_mx(buf_span(&m), &record, &preference, host), 0);
	assert_int_equal(preference, 10);
	assert_string_equal(host, "mx.test");
	assert_int_equal(rdata_next(&r, &record, NULL), 1);
	assert_int_equal(rdata_mx(buf_span(&m), &record, &preference, host), 0);
	assert_int_equal(preference, 256);
	assert_string_equal(host, "");
	assert_int_equal(rdata_next(&r, &record, NULL), 0);
}

static void addresses_are_read_and_others_are_not(void **state)
{
	(void)state;
	BUF_AUTO m = {0};
	struct rdata_reader r;
	struct rdata_record record;
	char text[INET6_ADDRSTRLEN];
	start(&m, 3);
	add_record(&m, RDATA_TYPE_A, SPAN("\xc0\0\2\1"));
	add_record(&m, RDATA_TYPE_AAAA, SPAN("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
	add_record(&m, RDATA_TYPE_A, SPAN("\xc0\0\2\1\5"));
	assert_int_equal(rdata_start(&r, buf_span(&m), NULL), 0);
	assert_int_equal(rdata_next(&r, &record, NULL), 1);
	assert_int_equal(rdata_address(buf_span(&m), &record, text), 0);
	assert_string_equal(text, "192.0.2.1");
	assert_int_equal(rdata_next(&r, &record, NULL), 1);
	assert_int_equal(rdata_address(buf_span(&m), &record, text), 0);
	assert_string_equal(text, "2001:db8::1");
	assert_int_equal(rdata_next(&r, &record, NULL), 1);
	assert_int_equal(rdata_address(buf_span(&m), &record, text), -1);
}

static void aliases_lead_to_a_name(void **state)
{
	(void)state;
	BUF_AUTO m = {0};
	struct rdata_reader r;
	struct rdata_record record;
	char name[RDATA_NAME_MOST];
	start(&m, 3);
	add_record(&m, RDATA_TYPE_CNAME, SPAN("\1a\4test\0"));
	add_record(&m, RDATA_TYPE_CNAME, SPAN("\1a\4test\0x"));
	add_record(&m, RDATA_TYPE_A, SPAN("\1a\4test\0"));
	assert_int_equal(rdata_start(&r, buf_span(&m), NULL), 0);
	assert_int_equal(rdata_next(&r, &record, NULL), 1);
	assert_int_equal(rdata_alias(buf_span(&m), &record, name), 0);
	assert_string_equal(name, "a.test");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rdata_next(&r, &record, NULL), 1);
		assert_int_equal(rdata_alias(buf_span(&m), &record, name), -1);
	}
}

static void tlsa_records_that_say_nothing_to_us_are_not_used(void **state)
{
	(void)state;
	char data[3 + 64] = {0};
	static const struct { char usage, selector, matching; size_t len; bool is_usable; } cases[] = {
		{3, 1, 1, 32, true}, {2, 0, 1, 32, true}, {3, 0, 2, 64, true}, {3, 1, 0, 1, true}, {2, 1, 0, 64, true},
		{0, 1, 1, 32, false}, {1, 1, 1, 32, false}, {4, 1, 1, 32, false}, {(char)255, 1, 1, 32, false}, {3, 2, 1, 32, false}, {3, 1, 3, 32, false},
		{3, 1, 1, 31, false}, {3, 1, 1, 33, false}, {3, 1, 2, 32, false}, {3, 1, 0, 0, false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		memcpy(data, (char[]){cases[i].usage, cases[i].selector, cases[i].matching}, 3);
		assert_int_equal(rdata_tlsa_is_usable(span_of(data, 3 + cases[i].len)), cases[i].is_usable);
	}
	for (size_t n = 0; n < 3; n++)
		assert_false(rdata_tlsa_is_usable(span_of("\3\1\0", n)));
}

static void broken_names_are_refused(void **state)
{
	(void)state;
	static const struct span cases[] = {
		{"\0\x0a\xc0\x26", 4},           /* points at itself */
		{"\0\x0a\xff\xff", 4},           /* points behind the message */
		{"\0\x0a\2m", 4},                /* ends in a label */
		{"\0\x0a\1m", 4},                /* no root */
		{"\0\x0a\1 \0", 5},              /* a space is no host's */
		{"\0\x0a\1m\0\0", 6},            /* something behind the name */
		{"\0\x0a", 2},                   /* no name */
		{"\0\x0a\x41m\0", 5},            /* a label type that does not exist */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO m = {0};
		struct rdata_reader r;
		struct rdata_record record;
		unsigned preference;
		char host[RDATA_NAME_MOST];
		start(&m, 1);
		add_record(&m, RDATA_TYPE_MX, cases[i]);
		assert_int_equal(rdata_start(&r, buf_span(&m), NULL), 0);
		assert_int_equal(rdata_next(&r, &record, NULL), 1);
		assert_int_equal(rdata_mx(buf_span(&m), &record, &preference, host), -1);
	}
}

static void a_name_of_more_than_255_octets_is_refused(void **state)
{
	(void)state;
	BUF_AUTO m = {0};
	char host[RDATA_NAME_MOST];
	for (int i = 0; i < 127; i++)
		buf_add(&m, SPAN("\1a"));
	buf_add_char(&m, 0);
	assert_int_equal(rdata_host_name(buf_span(&m), 0, host), 255);
	assert_int_equal(strlen(host), 253);
	buf_clear(&m);
	for (int i = 0; i < 128; i++)
		buf_add(&m, SPAN("\1a"));
	buf_add_char(&m, 0);
	assert_int_equal(rdata_host_name(buf_span(&m), 0, host), -1);
}

static void a_message_cut_anywhere_is_refused(void **state)
{
	(void)state;
	BUF_AUTO m = {0};
	start(&m, 1);
	add_record(&m, RDATA_TYPE_MX, SPAN("\0\x0a\2mx\xc0\x0e"));
	for (size_t len = 0; len < m.len; len++) {
		struct rdata_reader r;
		struct rdata_record record;
		struct span cut = span_slice(buf_span(&m), 0, len);
		assert_int_equal(rdata_start(&r, cut, NULL) || rdata_next(&r, &record, NULL) < 0, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_mx_with_a_compressed_name_is_read),
		cmocka_unit_test(addresses_are_read_and_others_are_not),
		cmocka_unit_test(aliases_lead_to_a_name),
		cmocka_unit_test(tlsa_records_that_say_nothing_to_us_are_not_used),
		cmocka_unit_test(broken_names_are_refused),
		cmocka_unit_test(a_name_of_more_than_255_octets_is_refused),
		cmocka_unit_test(a_message_cut_anywhere_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
