/* SMTP commands, the DATA phase and replies: RFC 5321. */
#include "wire/test.h"

#include "wire/smtp.h"

static void command_lines_are_recognised(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *argument;
		int code; /* 0: accepted */
	} cases[] = {
	    {"EHLO a.b", SMTP_EHLO, "a.b", 0},
	    {"ehlo   a.b  ", SMTP_EHLO, "a.b", 0},
	    {"EHLO", SMTP_EHLO, "", 501},
	    {"DATA", SMTP_DATA, "", 0},
	    {"DATA x", SMTP_DATA, "x", 501},
	    {"NOOP anything", SMTP_NOOP, "anything", 0},
	    {"quit", SMTP_QUIT, "", 0},
	    {"STARTTLS", SMTP_STARTTLS, "", 0},
	    {"AUTH PLAIN", SMTP_AUTH, "PLAIN", 0},
	    {"LHLO x", SMTP_LHLO, "x", 0},
	    {"BDAT 5 LAST", SMTP_BDAT, "5 LAST", 0},
	    {"XYZZY 5", SMTP_UNKNOWN, "5", 0},
	    {"", SMTP_UNKNOWN, "", 0},
	    {"NOOP \x01", SMTP_NOOP, "\x01", 500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_command c;
		struct error why = {0};
		int got = smtp_parse_command(span_cstr(cases[i].line), &c, &why);

		assert_int_equal(got, cases[i].code ? -1 : 0);
		assert_int_equal(why.code, cases[i].code);
		assert_int_equal(c.verb, cases[i].verb);
		assert_span(c.argument, cases[i].argument);
	}
}

static void nul_and_long_commands_are_refused(void **state)
{
	BUF_AUTO line = {0};
	struct smtp_command c;

	(void)state;
	assert_int_equal(smtp_parse_command(span_of("NOOP \0", 6), &c, NULL), -1);
	buf_add_cstr(&line, "NOOP ");
	repeat(&line, "x", SMTP_COMMAND_MAX);
	assert_int_equal(smtp_parse_command(buf_span(&line), &c, NULL), -1);
	memcpy(line.ptr, "AUTH", 4);
	assert_int_equal(smtp_parse_command(buf_span(&line), &c, NULL), 0);
	repeat(&line, "x", SMTP_AUTH_LINE_MAX);
	assert_int_equal(smtp_parse_command(buf_span(&line), &c, NULL), -1);
}

static void mail_takes_its_parameters(void **state)
{
	struct smtp_mail m;

	(void)state;
	assert_int_equal(
	    smtp_parse_mail(SPAN("from:<a@b.c> size=100 BODY=8bitmime SMTPUTF8 AUTH=e+3Dmc2@x.org"), 0, &m, NULL), 0);
	assert_int_equal(m.size_bytes, 100);
	assert_int_equal(m.body, SMTP_BODY_8BITMIME);
	assert_true(m.smtputf8);
	assert_span(m.auth, "e+3Dmc2@x.org");
	assert_int_equal(smtp_parse_mail(SPAN("FROM: <>"), 0, &m, NULL), 0);
	assert_true(m.reverse_path.is_null);
	assert_int_equal(smtp_parse_mail(SPAN("FROM:<j\xc3\xb6@b.c> SMTPUTF8"), 0, &m, NULL), 0);
	assert_true(!m.requiretls && !m.has_priority && m.hold == SMTP_HOLD_UNSAID);
	assert_int_equal(smtp_parse_mail(SPAN("FROM:<a@b.c> REQUIRETLS MT-PRIORITY=-9 HOLDFOR=999999999 BODY=BINARYMIME"), 0, &m, NULL), 0);
	assert_true(m.requiretls && m.has_priority && m.priority == -9 && m.body == SMTP_BODY_BINARYMIME);
	assert_true(m.hold == SMTP_HOLD_FOR && m.hold_for_s == 999999999);
	assert_int_equal(smtp_parse_mail(SPAN("FROM:<a@b.c> MT-PRIORITY=9 HOLDUNTIL=2026-01-01T10:00:00.5+01:00"), 0, &m, NULL), 0);
	assert_true(m.priority == 9 && m.hold == SMTP_HOLD_UNTIL && m.hold_until_s == 1767261600 - 3600);
}

static void faults_in_mail_have_their_codes(void **state)
{
	static const struct {
		const char *argument;
		int code;
	} cases[] = {
	    {"FROM:a@b.c", 501},
	    {"FROM <a@b.c>", 501},
	    {"TO:<a@b.c>", 501},
	    {"FROM:<a@b.c>SIZE=1", 501},
	    {"FROM:<a@b.c> SIZE", 501},
	    {"FROM:<a@b.c> SIZE=-1", 501},
	    {"FROM:<a@b.c> SIZE=18446744073709551616", 501},
	    {"FROM:<a@b.c> SIZE=1 SIZE=1", 501},
	    {"FROM:<a@b.c> BODY=9BIT", 501},
	    {"FROM:<a@b.c> BODY", 501},
	    {"FROM:<a@b.c> BODY=7BIT BODY=7BIT", 501},
	    {"FROM:<a@b.c> SMTPUTF8=1", 501},
	    {"FROM:<a@b.c> SMTPUTF8 SMTPUTF8", 501},
	    {"FROM:<a@b.c> AUTH=a+zz", 501},
	    {"FROM:<a@b.c> AUTH=<> AUTH=<>", 501},
	    {"FROM:<a@b.c> RET=HDRS RET=HDRS", 501},
	    {"FROM:<a@b.c> RET", 501},
	    {"FROM:<a@b.c> RET=BODY", 501},
	    {"FROM:<a@b.c> ENVID", 501},
	    {"FROM:<a@b.c> ENVID=a+0Ab", 501},
	    {"FROM:<a@b.c> ENVID=a ENVID=a", 501},
	    {"FROM:<a@b.c> X-UNKNOWN=9", 555},
	    {"FROM:<a@b.c> REQUIRETLS=YES", 501},
	    {"FROM:<a@b.c> REQUIRETLS REQUIRETLS", 501},
	    {"FROM:<a@b.c> MT-PRIORITY", 501},
	    {"FROM:<a@b.c> MT-PRIORITY=10", 501},
	    {"FROM:<a@b.c> MT-PRIORITY=-0", 501},
	    {"FROM:<a@b.c> MT-PRIORITY=+1", 501},
	    {"FROM:<a@b.c> MT-PRIORITY=1 MT-PRIORITY=1", 501},
	    {"FROM:<a@b.c> HOLDFOR=0", 501},
	    {"FROM:<a@b.c> HOLDFOR=-1", 501},
	    {"FROM:<a@b.c> HOLDFOR=1000000000", 501},
	    {"FROM:<a@b.c> HOLDFOR=1 HOLDUNTIL=2027-01-31T18:00:00Z", 501},
	    {"FROM:<a@b.c> HOLDUNTIL=2027-02-30T18:00:00Z", 501},
	    {"FROM:<a@b.c> HOLDUNTIL=tomorrow", 501},
	    {"FROM:<a@b.c> =x", 501},
	    {"FROM:<a@b.c> X=", 501},
	    {"FROM:<j\xc3\xb6@b.c>", 553},
	    {"FROM:<j\xc3@b.c> SMTPUTF8", 553},
	    {"FROM:<\"a b\"@c", 501},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_mail m;
		struct error why = {0};

		if (smtp_parse_mail(span_cstr(cases[i].argument), 0, &m, &why) == 0)
			fail_msg("%s is let pass", cases[i].argument);
		if (why.code != cases[i].code)
			fail_msg("%s: %d %s", cases[i].argument, why.code, why.text);
	}
}

static void rcpt_takes_an_address(void **state)
{
	struct smtp_rcpt r;
	struct error why = {0};

	(void)state;
	assert_int_equal(smtp_parse_rcpt(SPAN("TO:<a@b.c>"), 0, &r, &why), 0);
	assert_true(r.notify == 0 && r.orcpt.len == 0);
	assert_int_equal(smtp_parse_rcpt(SPAN("to:<Postmaster>"), 0, &r, &why), 0);
	assert_true(r.forward_path.is_postmaster);
	assert_int_equal(smtp_parse_rcpt(SPAN("TO:<>"), 0, &r, &why), -1);
	assert_int_equal(smtp_parse_rcpt(SPAN("TO:<a@b.c> X=Y"), 0, &r, &why), -1);
	assert_int_equal(why.code, 555);
	assert_int_equal(smtp_parse_rcpt(SPAN("TO:<j\xc3\xb6@b.c>"), 0, &r, &why), -1);
	assert_int_equal(why.code, 553);
	assert_int_equal(smtp_parse_rcpt(SPAN("TO:<j\xc3\xb6@b.c>"), ADDRESS_UTF8, &r, &why), 0);
}

/* RFC 3461 §4 and its examples in §10. */
static void notifications_are_asked_for(void **state)
{
	static const struct {
		const char *parameters;
		unsigned flags;
		bool is_good;
		unsigned notify;
		const char *orcpt, *back;
	} cases[] = {
	    {"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@Example.COM", 0, true, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY, "rfc822;Bob@Example.COM", "SUCCESS,DELAY"},
	    {"notify=failure", 0, true, SMTP_NOTIFY_FAILURE, "", "FAILURE"},
	    {"NOTIFY=NEVER", 0, true, SMTP_NOTIFY_NEVER, "", "NEVER"},
	    {"ORCPT=rfc822;George+2BTax@Big.EDU", 0, true, 0, "rfc822;George+2BTax@Big.EDU", ""},
	    {"ORCPT=utf-8;j\xc3\xb6@b.c", ADDRESS_UTF8, true, 0, "utf-8;j\xc3\xb6@b.c", ""},
	    {"ORCPT=utf-8;j\xc3\xb6@b.c", 0, false, 0, "", ""},
	    {"ORCPT=rfc822;j\xc3\xb6@b.c", ADDRESS_UTF8, false, 0, "", ""},
	    {"ORCPT=a@b.c", 0, false, 0, "", ""},
	    {"ORCPT=rfc822;", 0, false, 0, "", ""},
	    {"ORCPT=rfc822;a+0D+0Ab", 0, false, 0, "", ""},
	    {"ORCPT=rfc822;a ORCPT=rfc822;a", 0, false, 0, "", ""},
	    {"NOTIFY", 0, false, 0, "", ""},
	    {"NOTIFY=NEVER,SUCCESS", 0, false, 0, "", ""},
	    {"NOTIFY=SUCCESS,SUCCESS", 0, false, 0, "", ""},
	    {"NOTIFY=SUCCESS,", 0, false, 0, "", ""},
	    {"NOTIFY=,SUCCESS", 0, false, 0, "", ""},
	    {"NOTIFY=ALWAYS", 0, false, 0, "", ""},
	    {"NOTIFY=SUCCESS NOTIFY=SUCCESS", 0, false, 0, "", ""},
	};
	struct smtp_mail m;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO argument = {0}, back = {0};
		struct smtp_rcpt r;
		struct error why = {0};

		buf_printf(&argument, "TO:<a@b.c> %s", cases[i].parameters);
		if ((smtp_parse_rcpt(buf_span(&argument), cases[i].flags, &r, &why) == 0) != cases[i].is_good)
			fail_msg("%s: %s", cases[i].parameters, why.text);
		if (!cases[i].is_good) {
			assert_int_equal(why.code, 501);
			continue;
		}
		smtp_format_notify(r.notify, &back);
		assert_int_equal(r.notify, cases[i].notify);
		assert_span(r.orcpt, cases[i].orcpt);
		assert_span(buf_span(&back), cases[i].back);
	}
	assert_int_equal(smtp_parse_mail(SPAN("FROM:<a@b.c> RET=hdrs ENVID=QQ314159+2B"), 0, &m, NULL), 0);
	assert_int_equal(m.ret, SMTP_RET_HDRS);
	assert_span(m.envid, "QQ314159+2B");
}

static void hello_needs_a_name(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {{"mail.example.org", true},
	             {"mail.example.org.", true},
	             {"[192.0.2.1]", true},
	             {"[IPv6:::1]", true},
	             {"my_pc", true},
	             {"localhost", true},
	             {"a b", false},
	             {"", false},
	             {".", false},
	             {"<x>", false},
	             {"[1.2]", false},
	             {"a..b", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(smtp_check_hello(span_cstr(cases[i].name), NULL) == 0, cases[i].good);
}

/* Scans `in` in pieces of `step` bytes; returns how many bytes were taken when the end was found, or -1. */
static ssize_t scan(struct span in, size_t step, struct smtp_data_scanner *s, struct buf *out)
{
	*s = (struct smtp_data_scanner){0};
	buf_clear(out);
	for (size_t at = 0; at < in.len; at += step) {
		struct span piece = span_slice(in, at, step), payload;
		size_t len = piece.len;

		while (smtp_data_scan(s, &piece, &payload))
			buf_add(out, payload);
		if (s->state == SMTP_DATA_END)
			return (ssize_t)(at + len - piece.len);
		assert_int_equal(piece.len, 0);
	}
	return -1;
}

static void data_ends_at_crlf_dot_crlf_only(void **state)
{
	/* A1 to A7: each hides a second message behind something like an end. */
	static const struct {
		struct span in;
		const char *payload; /* NULL: not compared */
		bool malformed;
	} cases[] = {
	    {SPAN("a\r\n.\r\n"), "a\r\n", false},
	    {SPAN(".\r\n"), "", false},
	    {SPAN("..\r\n.\r\n"), ".\r\n", false},
	    {SPAN(".a\r\n...\r\n.\r\n"), "a\r\n..\r\n", false},
	    {SPAN("a.\r\n.b\r\n.\r\n"), "a.\r\nb\r\n", false},
	    {SPAN("a\n.\nMAIL\r\n.\r\n"), "a\n.\nMAIL\r\n", true},
	    {SPAN("a\n.\r\nMAIL\r\n.\r\n"), "a\n.\r\nMAIL\r\n", true},
	    {SPAN("a\r\n.\nMAIL\r\n.\r\n"), "a\r\n\nMAIL\r\n", true},
	    {SPAN("a\r.\rMAIL\r\n.\r\n"), "a\r.\rMAIL\r\n", true},
	    {SPAN("a\r\n.\rMAIL\r\n.\r\n"), "a\r\n\rMAIL\r\n", true},
	    {SPAN("a\r.\r\nMAIL\r\n.\r\n"), "a\r.\r\nMAIL\r\n", true},
	    {SPAN("a\r\n\0.\r\nMAIL\r\n.\r\n"), NULL, true},
	    {SPAN("a\r\n.\r\r\nMAIL\r\n.\r\n"), "a\r\n\r\r\nMAIL\r\n", true},
	    {SPAN("a\r\n.\r.\r\nMAIL\r\n.\r\n"), "a\r\n\r.\r\nMAIL\r\n", true},
	};
	struct smtp_data_scanner s;
	BUF_AUTO out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step <= cases[i].in.len; step++) {
			assert_int_equal(scan(cases[i].in, step, &s, &out), cases[i].in.len);
			assert_int_equal(smtp_data_is_malformed(&s), cases[i].malformed);
			assert_int_equal(s.payload_bytes, out.len);
			if (cases[i].payload)
				assert_span(buf_span(&out), cases[i].payload);
		}
	}
}

static void what_follows_the_end_is_left(void **state)
{
	struct smtp_data_scanner s = {0};
	struct span in = SPAN("a\r\n.\r\nQUIT\r\n"), payload;

	(void)state;
	while (smtp_data_scan(&s, &in, &payload))
		;
	assert_span(in, "QUIT\r\n");
}

static void stuffed_bodies_come_back_as_they_were(void **state)
{
	static const char *const bodies[] = {"", ".\r\n", "..\r\n.\r\n", "a\r\n.b\r\n\r\n", "\r\n.\r\n", "x\r\n"};
	struct smtp_data_scanner s;
	BUF_AUTO back = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct span body = span_cstr(bodies[i]);

		for (size_t step = 1; step <= body.len + 1; step++) {
			struct smtp_dot_stuffer stuffer = {0};
			BUF_AUTO wire = {0};

			for (size_t at = 0; at < body.len; at += step)
				smtp_dot_stuff(&stuffer, span_slice(body, at, step), &wire);
			smtp_dot_stuff_end(&stuffer, &wire);
			assert_int_equal(scan(buf_span(&wire), 3, &s, &back), wire.len);
			assert_false(smtp_data_is_malformed(&s));
			assert_span(buf_span(&back), bodies[i]);
		}
	}
}

static void bare_line_ends_never_go_out(void **state)
{
	struct smtp_dot_stuffer stuffer = {0};
	BUF_AUTO wire = {0};

	(void)state;
	smtp_dot_stuff(&stuffer, SPAN("a\n.\nb\r.\rc\r\r\nd"), &wire);
	smtp_dot_stuff_end(&stuffer, &wire);
	assert_span(buf_span(&wire), "a\r\n..\r\nb\r\n..\r\nc\r\n\r\nd\r\n.\r\n");
}

static void reply_lines_are_split(void **state)
{
	struct smtp_reply_line r;

	(void)state;
	assert_int_equal(smtp_parse_reply_line(SPAN("250-2.1.5 fine"), &r, NULL), 0);
	assert_int_equal(r.code, 250);
	assert_false(r.is_last);
	assert_span(r.enhanced, "2.1.5");
	assert_span(r.text, "fine");
	assert_int_equal(smtp_parse_reply_line(SPAN("550 2.1.5 no"), &r, NULL), 0);
	assert_int_equal(r.enhanced.len, 0);
	assert_span(r.text, "2.1.5 no");
	assert_int_equal(smtp_parse_reply_line(SPAN("354"), &r, NULL), 0);
	assert_true(r.is_last);
	assert_int_equal(smtp_parse_reply_line(SPAN("220 5.1234.1 x"), &r, NULL), 0);
	assert_int_equal(r.enhanced.len, 0);
}

static void chunks_have_lines_of_cr_lf_however_they_are_cut(void **state)
{
	static const struct {
		struct span in;
		bool is_malformed, is_malformed_binary;
	} cases[] = {
	    {SPAN(""), false, false}, {SPAN("a\r\n.\r\nb"), false, false}, {SPAN("\r\n\r\n"), false, false}, {SPAN("a\nb"), true, true},
	    {SPAN("a\rb"), true, true}, {SPAN("a\r\r\n"), true, true}, {SPAN("a\r"), true, true}, {SPAN("\n"), true, true},
	    {SPAN("a\0b\r\n"), true, true}, {SPAN("\r\n\n"), true, false}, {SPAN("a\r\nb\r\n\r\n\r\0\n"), true, false},
	    {SPAN("a\r\n\r\n\r"), true, false}, {SPAN("a\r\n\n\r\n\0"), true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step <= cases[i].in.len + 1; step++)
			for (int is_binary = 0; is_binary < 2; is_binary++) {
				struct smtp_chunk_scanner s = {.is_binary = is_binary};

				for (size_t at = 0; at < cases[i].in.len; at += step)
					smtp_chunk_scan(&s, span_slice(cases[i].in, at, step));
				smtp_chunk_scan_end(&s);
				assert_int_equal(s.is_malformed, is_binary ? cases[i].is_malformed_binary : cases[i].is_malformed);
			}
}

static void xclient_names_a_client(void **state)
{
	static const struct {
		const char *argument, *client, *helo; /* client NULL: refused */
	} cases[] = {
	    {"NAME=spike.porcupine.org ADDR=168.100.189.2", "168.100.189.2", ""},
	    {"addr=IPV6:2001:db8::1 HELO=mx+2Eexample.org PROTO=ESMTP PORT=1234", "2001:db8::1", "mx.example.org"},
	    {"NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[TEMPUNAVAIL]", "192.0.2.1", ""},
	    {"HELO=x", "", "x"},
	    {"ADDR=[UNAVAILABLE]", NULL, NULL},
	    {"ADDR=IPV6:192.0.2.1", NULL, NULL},
	    {"ADDR=2001:db8::1", NULL, NULL},
	    {"ADDR=192.0.2.1.2.3.4.5.6.7.8.9.1.1.1.1.1.1.1.1.1.1.1", NULL, NULL},
	    {"ADDR=192.0.2.1 HELO=a+20b", NULL, NULL},
	    {"ADDR=192.0.2.1 HELO=a+0D+0Ab", NULL, NULL},
	    {"ADDR=192.0.2.1 LOGIN=root", NULL, NULL},
	    {"ADDR", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_xclient x;
		struct error why = {0};
		int got = smtp_parse_xclient(span_cstr(cases[i].argument), &x, &why);

		if (got != (cases[i].client ? 0 : -1) || (got && why.code != 501))
			fail_msg("%s: %d %s", cases[i].argument, got, why.text);
		if (got == 0) {
			assert_string_equal(x.client, cases[i].client);
			assert_string_equal(buf_cstr(&x.helo), cases[i].helo);
		}
		buf_free(&x.helo);
	}
}

static void chunks_say_how_long_they_are(void **state)
{
	static const struct {
		const char *in;
		int result;
		uint64_t size;
		bool is_last;
	} cases[] = {
	    {"0", 0, 0, false}, {"10 LAST", 0, 10, true}, {"10  last", 0, 10, true}, {"18446744073709551615", 0, UINT64_MAX, false},
	    {"18446744073709551616", -1, 0, false}, {"-1", -1, 0, false}, {"", -1, 0, false}, {"LAST", -1, 0, false}, {"1 LAST x", -1, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size;
		bool is_last;

		assert_int_equal(smtp_parse_bdat(span_cstr(cases[i].in), &size, &is_last, NULL), cases[i].result);
		if (cases[i].result == 0)
			assert_true(size == cases[i].size && is_last == cases[i].is_last);
	}
}

static void lines_that_are_no_replies_are_refused(void **state)
{
	static const char *const lines[] = {"", "25", "2x0 a", "150 a", "650 a", "250x", "2500 a", "abc"};
	struct smtp_reply_line r;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(smtp_parse_reply_line(span_cstr(lines[i]), &r, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(command_lines_are_recognised),
	    cmocka_unit_test(nul_and_long_commands_are_refused),
	    cmocka_unit_test(mail_takes_its_parameters),
	    cmocka_unit_test(faults_in_mail_have_their_codes),
	    cmocka_unit_test(rcpt_takes_an_address),
	    cmocka_unit_test(notifications_are_asked_for),
	    cmocka_unit_test(hello_needs_a_name),
	    cmocka_unit_test(data_ends_at_crlf_dot_crlf_only),
	    cmocka_unit_test(what_follows_the_end_is_left),
	    cmocka_unit_test(stuffed_bodies_come_back_as_they_were),
	    cmocka_unit_test(bare_line_ends_never_go_out),
	    cmocka_unit_test(chunks_have_lines_of_cr_lf_however_they_are_cut),
	    cmocka_unit_test(chunks_say_how_long_they_are),
	    cmocka_unit_test(xclient_names_a_client),
	    cmocka_unit_test(reply_lines_are_split),
	    cmocka_unit_test(lines_that_are_no_replies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
