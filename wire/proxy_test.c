/* The PROXY protocol, both versions. */
#include "wire/test.h"

#include "wire/proxy.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static void headers_are_read(void **state)
{
	static const struct {
		struct span in;
		ssize_t length; /* 0: more is needed */
		const char *client;
	} cases[] = {
		{SPAN("PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\nEHLO x\r\n"), 44, "192.0.2.1"},
		{SPAN("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), 44, "2001:db8::1"},
		{SPAN("PROXY UNKNOWN\r\n"), 15, ""},
		{SPAN("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), 35, ""},
		{SPAN(V2 "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\0\x19"), 28, "192.0.2.1"},
		{SPAN(V2 "\x21\x11\0\x0f\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\0\x19\x04\0\0rest"), 31, "192.0.2.1"},
		{SPAN(V2 "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01\0\x02"), 52, "2001:db8::1"},
		{SPAN(V2 "\x20\0\0\0"), 16, ""},
		{SPAN(V2 "\x21\x31\0\0"), 16, ""}, /* a socket of the proxy's machine */
		{SPAN(""), 0, ""},
		{SPAN("PRO"), 0, ""},
		{SPAN("\r\n\r"), 0, ""},
		{SPAN("PROXY TCP4 192.0.2.1 198.51"), 0, ""},
		{SPAN(V2 "\x21\x11\0\x0c\xc0"), 0, ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct proxy_header h;
		struct error why = {0};
		ssize_t got = proxy_parse(cases[i].in, &h, &why);
		if (got != cases[i].length || strcmp(h.client, cases[i].client) != 0)
			fail_msg("case %zu: %zd, \"%s\" %s", i, got, h.client, why.text);
		for (size_t cut = 0; got > 0 && cut < (size_t)got; cut++)
			assert_int_equal(proxy_parse(span_slice(cases[i].in, 0, cut), &h, &why), 0);
	}
}

static void others_are_refused(void **state)
{
	static const struct span cases[] = {
		SPAN("EHLO x\r\n"), SPAN("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n"), SPAN("PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n"),
		SPAN("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), SPAN("PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n"), SPAN("PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n"),
		SPAN("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n"), SPAN("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n"), SPAN("PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n"),
		SPAN("PROXY \r\n"), SPAN("PROXY TCP6 1111111111111111111111111111111111111111111111111111111111111111 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8\r\n"),
		SPAN(V2 "\x11\x11\0\x0c"), SPAN(V2 "\x22\x11\0\x0c"), SPAN(V2 "\x21\x11\xff\xff"), SPAN(V2 "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\0"),
		SPAN("\r\n\r\n\0\r\nQUIT\r"),
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct proxy_header h;
		struct error why = {0};
		if (proxy_parse(cases[i], &h, &why) != -1 || !why.text[0])
			fail_msg("case %zu is let pass", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(headers_are_read), cmocka_unit_test(others_are_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
