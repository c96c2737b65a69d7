/* Surrogates of headers: what becomes of each kind of field. */
#include "wire/surrogate.h"

#include "base/utf8.h"
#include "wire/test.h"

static void fields_become_ascii(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"Subject: plain\r\n", "Subject: plain\r\n"},
		{"Subject: Ol\xc3\xa1\r\n", "Subject: =?utf-8?"},
		{"Subject: Ol\xc3\xa1,\r\n mundo\r\n", "Subject: =?utf-8?"},
		{"X-Name: Jo\xc3\xa3o\r\n", "X-Name: =?utf-8?"},
		{"From: Jos\xc3\xa9 <jose@example.org>\r\n", " <jose@example.org>\r\n"},
		{"To: jose@exampl\xc3\xa9.org\r\n", "To: jose@xn--exampl-gva.org\r\n"},
		{"To: \"a b\"@exampl\xc3\xa9.org\r\n", "To: \"a b\"@xn--exampl-gva.org\r\n"},
		{"Cc: Ana <ana@example.org>, jos\xc3\xa9@example.org\r\n", "Cc: \"Ana\" <ana@example.org>,\r\n =?utf-8?"},
		{"Cc: jos\xc3\xa9@example.org\r\n", ":;\r\n"},
		{"To: friends: jos\xc3\xa9@example.org, a@example.org;\r\n", "To: \"friends\": address-removed@invalid,\r\n a@example.org;\r\n"},
		{"Content-Type: text/plain; name=\"\xc3\xa9.txt\"\r\n", "Content-Type: text/plain; name=\"?.txt\"\r\n"},
		{"Received: from x by y for <\xc3\xa9@z>\r\n ; date\r\n", "Received: from x by y for <?@z>\r\n ; date\r\n"},
		{"Subject: latin \xe9\r\n", "Subject: latin \xe9\r\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		surrogate_header(span_cstr(cases[i].from), &out);
		assert_contains(buf_span(&out), cases[i].to);
		assert_true(i == sizeof cases / sizeof cases[0] - 1 || !utf8_has_8bit(buf_span(&out)));
	}
}

static void other_fields_and_the_end_stay(void **state)
{
	(void)state;
	BUF_AUTO out = {0};
	surrogate_header(SPAN("A: 1\r\n  2\r\nSubject: \xc3\xa9\r\nno field\r\nB:\r\n\r\n"), &out);
	assert_true(span_starts_with(buf_span(&out), SPAN("A: 1\r\n  2\r\nSubject: =?")));
	assert_true(span_ends_with(buf_span(&out), SPAN("?=\r\nno field\r\nB:\r\n\r\n")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_become_ascii),
		cmocka_unit_test(other_fields_and_the_end_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
