/* Packets of the milter protocol. */
#include "wire/test.h"

#include "wire/milter.h"

#include <netinet/in.h>
#include <sys/un.h>

static void packets_are_read(void **state)
{
	struct milter_packet p;
	struct error why = {0};
	(void)state;
	struct span whole = SPAN("\0\0\0\x03yab\0\0\0\x01" "c");
	assert_int_equal(milter_packet_parse(whole, &p, &why), 7);
	assert_int_equal(p.kind, 'y');
	assert_span(p.data, "ab");
	assert_int_equal(milter_packet_parse(span_skip(whole, 7), &p, &why), 5);
	assert_int_equal(p.data.len, 0);
	for (size_t cut = 0; cut < 7; cut++)
		assert_int_equal(milter_packet_parse(span_slice(whole, 0, cut), &p, &why), 0);
	assert_int_equal(milter_packet_parse(SPAN("\0\0\0\0"), &p, &why), -1);
	assert_int_equal(milter_packet_parse(SPAN("\0\x01\0\x01"), &p, &why), -1);
	assert_int_equal(milter_packet_parse(SPAN("HTTP/1.1"), &p, &why), -1);
	BUF_AUTO out = {0};
	milter_packet_add(&out, MILTER_HELO, SPAN("x\0"));
	assert_true(span_equal(buf_span(&out), SPAN("\0\0\0\x03Hx\0")));
}

static void options_are_read(void **state)
{
	struct milter_options o;
	struct error why = {0};
	BUF_AUTO offer = {0};
	struct milter_packet p;
	(void)state;
	milter_offer_add(&offer);
	assert_int_equal(milter_packet_parse(buf_span(&offer), &p, &why), offer.len);
	assert_int_equal(milter_options_parse(p.data, &o, &why), 0);
	assert_int_equal(o.actions, MILTER_ACTIONS);
	/* what rspamd says: actions that were not offered */
	assert_int_equal(milter_options_parse(SPAN("\0\0\0\x06\0\0\x01\xff\0\0\x07\0\0\0\0\0i {x}\0\0\0\0\x05\0"), &o, &why), 0);
	assert_int_equal(o.actions, 0x1fd);
	assert_int_equal(o.protocol, 0x700);
	assert_true(o.has_macros[MILTER_AT_CONNECT] && o.has_macros[MILTER_AT_BODY_END] && !o.has_macros[MILTER_AT_MAIL]);
	assert_span(o.macros[MILTER_AT_CONNECT], "i {x}");
	static const struct span bad[] = {
		SPAN(""), SPAN("\0\0\0\x06\0\0\0\0\0\0\0"), SPAN("\0\0\0\x01\0\0\0\0\0\0\0\0"), SPAN("\0\0\0\x07\0\0\0\0\0\0\0\0"),
		SPAN("\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\x07i\0"), SPAN("\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0i"), SPAN("\0\0\0\x06\0\0\0\0\0\0\0\0\0\0")};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(milter_options_parse(bad[i], &o, &why), -1);
}

static int change(char kind, struct span data, struct milter_change *out)
{
	struct milter_packet p = {kind, data};
	struct error why;
	return milter_change_parse(&p, out, &why);
}

static void changes_are_read(void **state)
{
	struct milter_change c;
	(void)state;
	assert_int_equal(change('h', SPAN("X-A\0 b\0"), &c), 0);
	assert_span(c.name, "X-A");
	assert_span(c.value, " b");
	assert_int_equal(change('i', SPAN("\0\0\0\x01X\0\0"), &c), 0);
	assert_int_equal(c.index, 1);
	assert_int_equal(change('m', SPAN("\0\0\0\x02X\0y\0"), &c), 0);
	assert_int_equal(change('+', SPAN("<a@x.test>\0"), &c), 0);
	assert_span(c.value, "a@x.test");
	assert_int_equal(change('2', SPAN("a@x.test\0NOTIFY=NEVER\0"), &c), 0);
	assert_int_equal(change('e', SPAN("<>\0"), &c), 0);
	assert_int_equal(change('q', SPAN("why\0"), &c), 0);
	assert_int_equal(change('c', SPAN(""), &c), 1);
	assert_int_equal(change('b', SPAN("body"), &c), 1);
	static const struct { char kind; struct span data; } bad[] = {
		{'h', SPAN("X-A\0 b")}, {'h', SPAN("X-A")}, {'h', SPAN("X\0y\0z")}, {'i', SPAN("\0\0\0")}, {'i', SPAN("\xff\0\0\x01X\0y\0")}, {'m', SPAN("\0\0\0\x01X")},
		{'+', SPAN("<a@x.test>")}, {'+', SPAN("<>\0")}, {'-', SPAN("a b@x.test\0")}, {'+', SPAN("a@x.test>\r\nRCPT TO:<b@x.test\0")}, {'e', SPAN("<\0")}, {'q', SPAN("why")}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (change(bad[i].kind, bad[i].data, &c) != -1)
			fail_msg("case %zu is let pass", i);
}

static void fields_are_made_safe(void **state)
{
	static const struct { struct span name, value; bool has_space; const char *want; } cases[] = {
		{SPAN("X-A"), SPAN("b"), false, "X-A: b\r\n"},
		{SPAN("X-A"), SPAN("  b"), true, "X-A:  b\r\n"},
		{SPAN("X-A"), SPAN("b\n\tc\r\n d\n"), false, "X-A: b\r\n\tc\r\n d\r\n"},
		{SPAN("X-A"), SPAN("\xc3\xa4"), false, "X-A: \xc3\xa4\r\n"},
		{SPAN("X-A"), SPAN("\n\tb"), true, "X-A:\r\n\tb\r\n"},
		{SPAN("X-A"), SPAN(""), false, "X-A: \r\n"},
		{SPAN("X-A"), SPAN("b\nX-B: c"), false, NULL},
		{SPAN("X-A"), SPAN("b\n\nbody"), false, NULL},
		{SPAN("X-A"), SPAN("b\n \n c"), false, NULL},
		{SPAN("X-A"), SPAN("b\rc"), false, NULL},
		{SPAN("X-A"), SPAN("b\0c"), false, NULL},
		{SPAN("X A"), SPAN("b"), false, NULL},
		{SPAN("X:A"), SPAN("b"), false, NULL},
		{SPAN(""), SPAN("b"), false, NULL},
		{SPAN("X-\n"), SPAN("b"), false, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		struct error why = {0};
		int made = milter_field_make(cases[i].name, cases[i].value, cases[i].has_space, &out, &why);
		if ((made == 0) != (cases[i].want != NULL) || (made && (out.len || !why.text[0])))
			fail_msg("case %zu: %d %s", i, made, why.text);
		if (cases[i].want)
			assert_span(buf_span(&out), cases[i].want);
	}
	BUF_AUTO huge = {0}, out = {0};
	struct error why;
	repeat(&huge, "x", MILTER_FIELD_MAX);
	assert_int_equal(milter_field_make(SPAN("X"), buf_span(&huge), false, &out, &why), -1);
	assert_true(milter_fields_are_whole(SPAN("A: b\r\n c\r\nB:\r\n")));
	assert_false(milter_fields_are_whole(SPAN(" A: b\r\n")));
	assert_false(milter_fields_are_whole(SPAN("A: b\r\n\r\n")));
	assert_false(milter_fields_are_whole(SPAN("A: b")));
}

static void replies_are_made_safe(void **state)
{
	static const struct { struct span text; const char *want; } cases[] = {
		{SPAN("550 5.7.1 Spam\0"), "550 5.7.1 Spam"},
		{SPAN("451-4.7.1 one\r\n451 4.7.1 two\0"), "451 4.7.1 one 4.7.1 two"},
		{SPAN("554"), "554 5.7.1 Command rejected"},
		{SPAN("421 "), "421 4.7.1 Try again later"},
		{SPAN("550 a\x1b[2Jb\r\n250 ok"), "550 a?[2Jb 250 ok"},
		{SPAN("250 ok"), NULL}, {SPAN("55"), NULL}, {SPAN("590 x"), NULL}, {SPAN("5500"), NULL}, {SPAN(""), NULL}, {SPAN("abc"), NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		struct error why;
		if (milter_reply_make(cases[i].text, &out, &why) != (cases[i].want ? 0 : -1))
			fail_msg("case %zu", i);
		if (cases[i].want)
			assert_span(buf_span(&out), cases[i].want);
	}
}

static void sockets_are_read(void **state)
{
	struct milter_socket s;
	struct error why;
	(void)state;
	assert_int_equal(milter_socket_parse(SPAN("inet:127.0.0.1:11332"), &s, &why), 0);
	assert_int_equal(((struct sockaddr_in *)&s.address)->sin_port, htons(11332));
	assert_int_equal(milter_socket_parse(SPAN("inet:[::1]:8891"), &s, &why), 0);
	assert_int_equal(s.address.ss_family, AF_INET6);
	assert_int_equal(milter_socket_parse(SPAN("unix:/run/x.sock"), &s, &why), 0);
	assert_string_equal(((struct sockaddr_un *)&s.address)->sun_path, "/run/x.sock");
	static const struct span bad[] = {
		SPAN(""), SPAN("inet:"), SPAN("inet:127.0.0.1"), SPAN("inet:127.0.0.1:0"), SPAN("inet:127.0.0.1:65536"), SPAN("inet:localhost:1"), SPAN("inet:::1:1"),
		SPAN("inet:[127.0.0.1]:1"), SPAN("unix:"), SPAN("unix:run/x"), SPAN("/run/x"), SPAN("inet:8891@localhost"),
		SPAN("unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(milter_socket_parse(bad[i], &s, &why), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read), cmocka_unit_test(options_are_read), cmocka_unit_test(changes_are_read),
		cmocka_unit_test(fields_are_made_safe), cmocka_unit_test(replies_are_made_safe), cmocka_unit_test(sockets_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
