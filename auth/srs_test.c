/* Rewritten senders: made, undone, and none that others make. */
#include "auth/srs.h"
#include "wire/test.h"

#include <stdio.h>

static const unsigned char key[SRS_KEY_BYTES] = "a key that nobody else has";
static const unsigned char other[SRS_KEY_BYTES] = "a key of somebody else's";

static struct span local_of(struct span address)
{
	return span_slice(address, 0, (size_t)span_rchr(address, '@'));
}

static void an_address_comes_back_in_any_case_for_three_weeks(void **state)
{
	BUF_AUTO made = {0}, upper = {0}, undone = {0};
	(void)state;
	assert_int_equal(srs_make(key, SPAN("ana=x@example.org"), SPAN("ours.example"), 20000, &made), 0);
	assert_true(span_starts_with(buf_span(&made), SPAN("SRS0=")) && span_ends_with(buf_span(&made), SPAN("=example.org=ana=x@ours.example")));
	for (size_t i = 0; i < local_of(buf_span(&made)).len; i++)
		buf_add_char(&upper, ascii_upper(made.ptr[i]));
	for (uint64_t day = 20000; day <= 20021; day++) {
		buf_clear(&undone);
		assert_int_equal(srs_undo(key, local_of(buf_span(&made)), day, &undone), 0);
		assert_span(buf_span(&undone), "ana=x@example.org");
	}
	buf_clear(&undone);
	assert_int_equal(srs_undo(key, buf_span(&upper), 20001, &undone), 0);
	assert_span(buf_span(&undone), "ANA=X@EXAMPLE.ORG");
	assert_int_equal(srs_undo(key, local_of(buf_span(&made)), 20022, &undone), -1);
	assert_int_equal(srs_undo(key, local_of(buf_span(&made)), 19999, &undone), -1);
	assert_int_equal(srs_undo(other, local_of(buf_span(&made)), 20000, &undone), -1);
}

static void a_second_forwarder_sends_back_to_the_first(void **state)
{
	BUF_AUTO first = {0}, second = {0}, third = {0}, back = {0};
	(void)state;
	assert_int_equal(srs_make(other, SPAN("ana@a.example"), SPAN("one.example"), 20000, &first), 0);
	assert_int_equal(srs_make(key, buf_span(&first), SPAN("two.example"), 20000, &second), 0);
	assert_true(span_starts_with(buf_span(&second), SPAN("SRS1=")));
	assert_int_equal(srs_undo(key, local_of(buf_span(&second)), 20000, &back), 0);
	assert_true(span_equal(buf_span(&back), buf_span(&first)));
	assert_int_equal(srs_make(other, buf_span(&second), SPAN("c.example"), 20000, &third), 0);
	buf_clear(&back);
	assert_int_equal(srs_undo(other, local_of(buf_span(&third)), 20000, &back), 0);
	assert_true(span_equal(buf_span(&back), buf_span(&first)));
}

static void what_is_no_such_address_is_refused(void **state)
{
	static const char *const locals[] = {"SRS0=", "SRS0=x", "SRS0=aaaaaa=bb=example.org=ana", "SRS1=aaaaaa=example.org==x", "SRS0", "ana", "SRS2=a=b", ""};
	BUF_AUTO out = {0};
	(void)state;
	for (size_t i = 0; i < sizeof locals / sizeof locals[0]; i++)
		assert_int_equal(srs_undo(key, span_cstr(locals[i]), 20000, &out), -1);
	assert_int_equal(srs_make(key, SPAN(""), SPAN("ours.example"), 20000, &out), -1);
	assert_int_equal(srs_make(key, SPAN("\"a b\"@example.org"), SPAN("ours.example"), 20000, &out), -1);
	char long_one[300];
	snprintf(long_one, sizeof long_one, "%0180d@somebody.example", 1);
	assert_int_equal(srs_make(key, span_cstr(long_one), SPAN("ours.example"), 20000, &out), -1);
	assert_int_equal(out.len, 0);
	/* longer than RFC 5321 promises, and taken by all we know */
	assert_int_equal(srs_make(key, SPAN("a-very-long-local-part-of-somebody@a-very-long-domain-of-somebody.example"), SPAN("ours.example"), 20000, &out), 0);
	BUF_AUTO back = {0};
	assert_int_equal(srs_undo(key, span_slice(buf_span(&out), 0, out.len - strlen("@ours.example")), 20000, &back), 0);
	assert_string_equal(buf_cstr(&back), "a-very-long-local-part-of-somebody@a-very-long-domain-of-somebody.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_comes_back_in_any_case_for_three_weeks),
		cmocka_unit_test(a_second_forwarder_sends_back_to_the_first),
		cmocka_unit_test(what_is_no_such_address_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
