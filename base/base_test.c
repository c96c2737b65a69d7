/* base: buffers, spans, packing, ids, tables. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/ids.h"
#include "base/map.h"
#include "base/network.h"
#include "base/pack.h"
#include "base/random.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void numbers_are_read_with_their_bounds(void **state)
{
	(void)state;
	static const struct { const char *text; uint64_t max, value; int result; } cases[] = {
		{"0", 10, 0, 0}, {"10", 10, 10, 0}, {"11", 10, 0, -1}, {"", 10, 0, -1}, {"-1", 10, 0, -1}, {" 1", 10, 0, -1},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, 0}, {"18446744073709551616", UINT64_MAX, 0, -1},
		{"99999999999999999999999", UINT64_MAX, 0, -1}, {"1x", 10, 0, -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t value = 0;
		assert_int_equal(span_to_u64(span_cstr(cases[i].text), cases[i].max, &value), cases[i].result);
		assert_true(value == cases[i].value);
	}
}

static void slices_never_reach_beyond(void **state)
{
	(void)state;
	struct span s = SPAN("hello");
	assert_int_equal(span_slice(s, 9, 1).len, 0);
	assert_int_equal(span_slice(s, 3, SIZE_MAX).len, 2);
	assert_int_equal(span_skip(s, 5).len, 0);
	assert_true(span_equal(span_trim(SPAN(" \t x y \r\n")), SPAN("x y")));
	assert_int_equal(span_find(s, SPAN("llo")), 2);
	assert_int_equal(span_find(s, SPAN("llx")), -1);
}

static void what_is_packed_is_unpacked(void **state)
{
	(void)state;
	BUF_AUTO b = {0};
	pack_u8(&b, 0xfe);
	pack_u16(&b, 0xfedc);
	pack_u32(&b, 0xfedcba98);
	pack_u64(&b, 0xfedcba9876543210);
	pack_bytes(&b, SPAN("bytes"));
	struct unpacker u = {.rest = buf_span(&b)};
	assert_int_equal(unpack_u8(&u), 0xfe);
	assert_int_equal(unpack_u16(&u), 0xfedc);
	assert_true(unpack_u32(&u) == 0xfedcba98);
	assert_true(unpack_u64(&u) == 0xfedcba9876543210);
	assert_true(span_equal(unpack_bytes(&u, 5), SPAN("bytes")));
	assert_true(unpack_done(&u));
}

static void a_cut_or_lying_value_is_a_fault_and_reads_nothing(void **state)
{
	(void)state;
	BUF_AUTO b = {0};
	pack_bytes(&b, SPAN("bytes"));
	for (size_t cut = 0; cut < b.len; cut++) {
		struct unpacker u = {.rest = span_slice(buf_span(&b), 0, cut)};
		assert_int_equal(unpack_bytes(&u, 100).len, 0);
		assert_true(u.bad);
	}
	struct unpacker too_long = {.rest = buf_span(&b)};
	unpack_bytes(&too_long, 4);
	assert_true(too_long.bad);
	struct unpacker lying = {.rest = SPAN("\xff\xff\xff\xff....")};
	unpack_bytes(&lying, SIZE_MAX);
	assert_true(lying.bad);
	assert_int_equal(unpack_u64(&lying), 0);
}

static void an_id_and_its_text_are_one(void **state)
{
	(void)state;
	char text[ID128_TEXT_BYTES + 1], last[ID128_TEXT_BYTES + 1] = "";
	for (int i = 0; i < 1000; i++) {
		struct id128 id = id128_new(), back;
		id128_text(id, text);
		assert_int_equal(id128_parse(span_cstr(text), &back), 0);
		assert_true(id128_equal(id, back));
		assert_string_not_equal(text, last);
		memcpy(last, text, sizeof last);
	}
	struct id128 id;
	assert_int_equal(id128_parse(SPAN("zzzzzzzzzzzzzzzzzzzzzzzzzz"), &id), -1);
	assert_int_equal(id128_parse(SPAN("short"), &id), -1);
	assert_int_equal(id128_parse(SPAN("0000000000000000000000000u"), &id), -1);
}

static void a_table_finds_what_was_put(void **state)
{
	(void)state;
	struct map m = {0};
	static int values[5000];
	for (uint64_t k = 0; k < 5000; k++)
		map_put(&m, k * 7919, &values[k]);
	for (uint64_t k = 0; k < 5000; k += 2)
		assert_ptr_equal(map_take(&m, k * 7919), &values[k]);
	for (uint64_t k = 0; k < 5000; k++)
		assert_ptr_equal(map_get(&m, k * 7919), k % 2 ? &values[k] : NULL);
	assert_int_equal(m.count, 2500);
	size_t at = 0, seen = 0;
	while (map_next(&m, &at))
		seen++;
	assert_int_equal(seen, 2500);
	/* putting and taking for ever does not fill it with what is gone */
	for (uint64_t k = 0; k < 100000; k++) {
		map_put(&m, k | 1ull << 40, &values[0]);
		assert_non_null(map_take(&m, k | 1ull << 40));
	}
	map_free(&m);
}

static void a_network_has_what_begins_as_it_does(void **state)
{
	(void)state;
	static const struct { const char *network, *address; int result; bool has; } cases[] = {
		{"192.0.2.0/24", "192.0.2.255", 0, true}, {"192.0.2.0/24", "192.0.3.0", 0, false}, {"192.0.2.1", "192.0.2.1", 0, true},
		{"192.0.2.1", "192.0.2.2", 0, false}, {"0.0.0.0/0", "203.0.113.9", 0, true}, {"0.0.0.0/0", "2001:db8::1", 0, false},
		{"::/0", "203.0.113.9", 0, true}, {"192.0.2.128/25", "192.0.2.127", 0, false}, {"192.0.2.128/25", "192.0.2.129", 0, true},
		{"2001:db8::/33", "2001:db8:7fff::1", 0, true}, {"2001:db8::/33", "2001:db8:8000::1", 0, false}, {"::1", "::1", 0, true},
		{"::ffff:192.0.2.0/120", "192.0.2.7", 0, true}, {"192.0.2.1/24", "", -1, false}, {"192.0.2.0/33", "", -1, false},
		{"2001:db8::/129", "", -1, false}, {"192.0.2.0/", "", -1, false}, {"/8", "", -1, false}, {"mail.example.org", "", -1, false},
		{"", "", -1, false}, {"192.0.2.0/-1", "", -1, false}, {"1.2.3", "", -1, false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct network n, address;
		assert_int_equal(network_parse(span_cstr(cases[i].network), &n), cases[i].result);
		if (cases[i].result == 0) {
			assert_int_equal(network_parse(span_cstr(cases[i].address), &address), 0);
			assert_int_equal(network_has(&n, &address), cases[i].has);
		}
	}
}

static void one_subscriber_has_one_key(void **state)
{
	(void)state;
	assert_true(network_key(SPAN("192.0.2.1")) == network_key(SPAN("::ffff:192.0.2.1")));
	assert_true(network_key(SPAN("192.0.2.1")) != network_key(SPAN("192.0.2.2")));
	assert_true(network_key(SPAN("2001:db8:1:2::1")) == network_key(SPAN("2001:db8:1:2:ffff:ffff:ffff:ffff")));
	assert_true(network_key(SPAN("2001:db8:1:2::1")) != network_key(SPAN("2001:db8:1:3::1")));
	assert_true(network_key(SPAN("?")) == 0 && network_key(SPAN("")) == 0);
	assert_true(network_is_loopback(SPAN("127.255.0.1")) && network_is_loopback(SPAN("::1")) && network_is_loopback(SPAN("::ffff:127.0.0.1")));
	static const char *const privates[] = {"10.0.0.0", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.7.7", "fd00::1", "fe80::1", "::ffff:10.1.1.1"};
	static const char *const publics[] = {"11.0.0.0", "172.32.0.0", "192.0.2.1", "2001:db8::1", "fec0::1", "10.0.0.0/8", "10.evil.example", ""};
	for (size_t i = 0; i < sizeof privates / sizeof privates[0]; i++)
		assert_true(network_is_private(span_cstr(privates[i])) && !network_is_private(span_cstr(publics[i])));
	static const char *const outside[] = {"11.0.0.0", "192.0.2.1", "223.255.255.255", "2001:db8::1", "2600::1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "2002:c000:201::1"};
	static const char *const inside[] = {"10.0.0.1", "192.168.0.1", "100.127.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0", "192.0.0.8", "198.19.0.1", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "fe80::1", "fec0::1", "fd00::1", "ff02::1", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
		"2002:7f00:1::1", "2002:a00:1::", "", "192.0.2.0/24", "evil.example"};
	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
		assert_true(network_is_outside(span_cstr(outside[i])));
	for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
		assert_false(network_is_outside(span_cstr(inside[i])));
	assert_false(network_is_loopback(SPAN("127.evil.example")) || network_is_loopback(SPAN("192.0.2.127")) || network_is_loopback(SPAN("::2")));
}

static void a_high_byte_is_found_wherever_it_is(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t len = 0; len <= sizeof(text); len++) {
		assert_false(utf8_has_8bit(span_of(text, len)));
		for (size_t at = 0; at < len; at++) {
			text[at] = (char)0x80;
			assert_true(utf8_has_8bit(span_of(text, len)));
			text[at] = 'a';
		}
	}
}

static void utf8_is_what_rfc_3629_says(void **state)
{
	(void)state;
	static const struct { const char *text; bool is_valid; } cases[] = {
		{"ol\xc3\xa1", true}, {"\xe2\x82\xac", true}, {"\xf0\x9f\x98\x80", true}, {"\xc0\x80", false}, {"\xed\xa0\x80", false},
		{"\xf4\x90\x80\x80", false}, {"\xe2\x82", false}, {"\xff", false}, {"\x80", false}, {"\xf0\x80\x80\x80", false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(utf8_is_valid(span_cstr(cases[i].text)), cases[i].is_valid);
}

static void an_arena_keeps_copies_apart(void **state)
{
	(void)state;
	struct arena a = {0};
	struct span copies[300];
	BUF_AUTO text = {0};
	for (int i = 0; i < 300; i++) {
		buf_clear(&text);
		for (int k = 0; k < i * 11; k++)
			buf_add_char(&text, (char)('a' + i % 26));
		copies[i] = arena_dup(&a, buf_span(&text));
	}
	for (int i = 0; i < 300; i++) {
		assert_int_equal(copies[i].len, i * 11);
		for (size_t k = 0; k < copies[i].len; k++)
			assert_int_equal(copies[i].ptr[k], 'a' + i % 26);
		assert_int_equal(copies[i].ptr[copies[i].len], 0);
	}
	arena_free(&a);
	assert_int_equal(a.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_with_their_bounds),
		cmocka_unit_test(slices_never_reach_beyond),
		cmocka_unit_test(what_is_packed_is_unpacked),
		cmocka_unit_test(a_cut_or_lying_value_is_a_fault_and_reads_nothing),
		cmocka_unit_test(an_id_and_its_text_are_one),
		cmocka_unit_test(a_table_finds_what_was_put),
		cmocka_unit_test(a_network_has_what_begins_as_it_does),
		cmocka_unit_test(one_subscriber_has_one_key),
		cmocka_unit_test(utf8_is_what_rfc_3629_says),
		cmocka_unit_test(a_high_byte_is_found_wherever_it_is),
		cmocka_unit_test(an_arena_keeps_copies_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
