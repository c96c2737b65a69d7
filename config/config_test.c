/* carteiro.conf: what is read, and what is said about what cannot be. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void parse_good(const char *text, struct config *c)
{
	struct config_errors errors;
	if (config_parse(span_cstr(text), "carteiro.conf", c, &errors) != 0)
		fail_msg("%s", errors.at[0].text);
}

static void defaults_are_as_documented(void **state)
{
	(void)state;
	struct config c;
	config_defaults(&c);
	assert_string_equal(c.hostname, "");
	assert_string_equal(c.user, "carteiro");
	assert_string_equal(c.data_dir, "/var/lib/carteiro");
	assert_string_equal(c.recipient_delimiter, "+");
	assert_int_equal(c.message_size_limit_bytes, 50 * 1024 * 1024);
	assert_int_equal(c.session_timeout_s, 300);
	assert_int_equal(c.queue_lifetime_s, 5 * 86400);
	assert_int_equal(c.recipients_most, 1000);
	assert_int_equal(c.plaintext_login, PLAINTEXT_LOGIN_OFF);
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_int_equal(c.login_failures, 20);
	assert_int_equal(c.login_exempt.count, 2);
	assert_true(c.dnssec);
	assert_string_equal(c.resolver.address, "");
	assert_true(config_offers(&c, CONFIG_SMTP) && config_offers(&c, CONFIG_POP3S));
	assert_false(config_offers(&c, CONFIG_LMTP));
	assert_int_equal(c.listeners_count, 7 * 2);
	assert_string_equal(c.listeners[0].address, "0.0.0.0");
	assert_string_equal(c.listeners[1].address, "::");
	assert_int_equal(c.listeners[1].port, 25);
	config_free(&c);
}

static void a_file_is_read(void **state)
{
	(void)state;
	struct config c;
	parse_good("# a comment\r\n"
		 "\n"
		 "  hostname=mail.example.org  \r\n"
		 "protocols = imaps\tsmtp lmtp\n"
		 "smtp_listen = 127.0.0.1:2525 [0::1]:2525 2526\n"
		 "imap_listen = 2525\n"
		 "message_size_limit = 100k\n"
		 "retry_first = 2s\n"
		 "trace_lifetime = 1h\n"
		 "resolver = 127.0.0.1@5353\n"
		 "plaintext_login = loopback\n"
		 "log_level = debug\n"
		 "dnssec = off\n"
		 "recipient_delimiter = #\n"
		 "postmaster = ana@example.org\n"
		 "smtp_out_address = 2001:db8::1\n"
		 "login_exempt = 192.0.2.0/24 2001:db8::1\n"
		 "filters = 4",
	           &c);
	assert_string_equal(c.hostname, "mail.example.org");
	assert_int_equal(c.message_size_limit_bytes, 102400);
	assert_int_equal(c.retry_first_s, 2);
	assert_int_equal(c.trace_lifetime_s, 3600);
	assert_string_equal(c.resolver.address, "127.0.0.1");
	assert_int_equal(c.resolver.port, 5353);
	assert_int_equal(c.plaintext_login, PLAINTEXT_LOGIN_LOOPBACK);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	assert_false(c.dnssec);
	assert_string_equal(c.recipient_delimiter, "#");
	assert_string_equal(c.smtp_out_address, "2001:db8::1");
	assert_int_equal(c.filters, 4);
	assert_int_equal(c.login_exempt.count, 2);
	assert_int_equal(c.login_exempt.list[0].bits, 96 + 24);

	static const struct config_listener expected[] = {
		{CONFIG_SMTP, "127.0.0.1", 2525, false}, {CONFIG_SMTP, "::1", 2525, false}, {CONFIG_SMTP, "0.0.0.0", 2526, false},
		{CONFIG_SMTP, "::", 2526, false},        {CONFIG_LMTP, "127.0.0.1", 24, false},
		{CONFIG_IMAPS, "0.0.0.0", 993, true},    {CONFIG_IMAPS, "::", 993, true},
	};
	assert_int_equal(c.listeners_count, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < c.listeners_count; i++) {
		assert_int_equal(c.listeners[i].protocol, expected[i].protocol);
		assert_string_equal(c.listeners[i].address, expected[i].address);
		assert_int_equal(c.listeners[i].port, expected[i].port);
		assert_int_equal(c.listeners[i].is_tls, expected[i].is_tls);
	}
	config_free(&c);
}

static void every_fault_names_its_line_and_its_remedy(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"\n\nprotocol = imap\n", "carteiro.conf:3: unknown setting \"protocol\": did you mean \"protocols\"?"},
		{"Hostname = a.b", "carteiro.conf:1: unknown setting \"Hostname\": did you mean \"hostname\"?"},
		{"colour = red", "carteiro.conf:1: unknown setting \"colour\": carteiro.conf(5) lists all there are"},
		{"= 1", "carteiro.conf:1: unknown setting \"\": carteiro.conf(5) lists all there are"},
		{"hostname", "carteiro.conf:1: \"hostname\" is no setting: write it as name = value"},
		{"[imap]", "carteiro.conf:1: unknown section \"[imap]\": there are no sections, write the settings without them"},
		{"filters = 1\nfilters = 2", "carteiro.conf:2: filters was already set in line 1: keep one of them"},
		{"filters = 1 # one",
		 "carteiro.conf:1: filters has a comment behind its value: put the comment on a line of its own"},
		{"filters = many", "carteiro.conf:1: filters is \"many\": write a whole number, as 0"},
		{"filters = 257", "carteiro.conf:1: filters is 257: it must be from 0 to 32"},
		{"filters = -1", "carteiro.conf:1: filters is \"-1\": write a whole number, as 0"},
		{"filters =", "carteiro.conf:1: filters is \"\": write a whole number, as 0"},
		{"hostname = mail", "carteiro.conf:1: hostname \"mail\" is not a fully qualified name: write one as mail.example.org"},
		{"hostname = a..b", "carteiro.conf:1: hostname \"a..b\" is not a fully qualified name: write one as mail.example.org"},
		{"data_dir = var", "carteiro.conf:1: data_dir \"var\" is not a whole path: begin it with /"},
		{"data_dir =",
		 "carteiro.conf:1: data_dir may not be empty: leave the line out for the default, /var/lib/carteiro"},
		{"user = a b", "carteiro.conf:1: user \"a b\" has a space in it: it takes one word"},
		{"postmaster = ana", "carteiro.conf:1: postmaster \"ana\" is not an address: write one as ana@example.org"},
		{"dnssec = yes", "carteiro.conf:1: dnssec is \"yes\": write on or off"},
		{"session_timeout = 5",
		 "carteiro.conf:1: session_timeout is 5 without a unit: add one of s, m, h or d, as in 5m"},
		{"session_timeout = 5 m", "carteiro.conf:1: session_timeout is \"5 m\": write a whole number with one of s, m, h or "
		 "d right behind it, as in 5m"},
		{"session_timeout = 5M", "carteiro.conf:1: session_timeout is \"5M\": write a whole number with one of s, m, h or "
		 "d right behind it, as in 5m"},
		{"session_timeout = 0s", "carteiro.conf:1: session_timeout is 0s: it must be from 1 to 86400 seconds"},
		{"message_size_limit = 50MB", "carteiro.conf:1: message_size_limit is \"50MB\": write a whole number with one of k, "
		 "M or G right behind it, as in 50M"},
		{"message_size_limit = 9999999999999G",
		 "carteiro.conf:1: message_size_limit is 9999999999999G: it must be from 65536 to 2147483647 bytes"},
		{"protocols = imap, pop3", "carteiro.conf:1: protocols has \"imap,\": it knows smtp lmtp submission submissions imap "
		 "imaps pop3 pop3s, with spaces between them"},
		{"smtp_listen = 70000", "carteiro.conf:1: smtp_listen has port \"70000\": a port is a number from 1 to 65535"},
		{"smtp_listen = ::1:25", "carteiro.conf:1: smtp_listen has \"::1:25\": write 25 for all addresses, or 192.0.2.1:25, "
		 "or [2001:db8::1]:25"},
		{"smtp_listen = ", "carteiro.conf:1: smtp_listen is empty: to turn it off, take \"smtp\" out of protocols"},
		{"imap_listen = 127.0.0.1:26\nsmtp_listen = 127.0.0.1:26",
		 "carteiro.conf:2: imap_listen and smtp_listen both have port 26 of 127.0.0.1: change one of them"},
		{"smtp_listen = 0.0.0.0:993",
		 "carteiro.conf:1: smtp_listen and imaps_listen both have port 993 of 0.0.0.0: change one of them"},
		{"resolver = dns.example.org", "carteiro.conf:1: resolver is \"dns.example.org\": write an address as 127.0.0.1, or "
		 "with a port as 127.0.0.1@5353"},
		{"resolver = 127.0.0.1@0", "carteiro.conf:1: resolver has port \"0\": a port is a number from 1 to 65535"},
		{"login_exempt = 127.0.0.1/8", "carteiro.conf:1: login_exempt has \"127.0.0.1/8\": write an address, or a network as "
		 "192.0.2.0/24 or 2001:db8::/32 with nothing but zeros behind its prefix"},
		{"milters = unix:/run/x inet:localhost:1", "carteiro.conf:1: milters has \"inet:localhost:1\": write an address and no name, as "
		 "inet:127.0.0.1:11332 or inet:[::1]:11332"},
		{"log_level = loud", "carteiro.conf:1: log_level is \"loud\": write one of error warning info debug"},
		{"\ntls_key = /k", "carteiro.conf:2: tls_certificate and tls_key belong together: set both or neither"},
		{"retry_first = 5h", "carteiro.conf:1: retry_first is longer than retry_most: make it shorter"},
		{"hostname = a\x01.b", "carteiro.conf:1: the line has a control character or is not UTF-8: write it anew"},
		{"user = a\xff", "carteiro.conf:1: the line has a control character or is not UTF-8: write it anew"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct config c;
		struct config_errors errors;
		assert_int_equal(config_parse(span_cstr(cases[i].text), "carteiro.conf", &c, &errors), -1);
		assert_string_equal(errors.at[0].text, cases[i].error);
		assert_true(errors.count == 1);
	}
}

static void all_faults_are_told_at_once_and_no_more_than_a_person_reads(void **state)
{
	(void)state;
	struct config c;
	struct config_errors errors;
	assert_int_equal(config_parse(SPAN("a = 1\nfilters = x\nuser = ok\nb"), "f", &c, &errors), -1);
	assert_int_equal(errors.count, 3);
	assert_non_null(strstr(errors.at[2].text, "f:4: "));
	assert_int_equal(errors.at[1].offset, 6);

	BUF_AUTO text = {0};
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "nonsense%d = 1\n", i);
	assert_int_equal(config_parse(buf_span(&text), "f", &c, &errors), -1);
	assert_int_equal(errors.count, CONFIG_ERRORS_MOST);
}

static void a_file_or_a_line_that_is_too_long_is_refused(void **state)
{
	(void)state;
	struct config c;
	struct config_errors errors;
	BUF_AUTO text = {0};
	buf_add_char(&text, '#');
	while (text.len < CONFIG_LINE_BYTES_MOST)
		buf_add_char(&text, 'x');
	assert_int_equal(config_parse(buf_span(&text), "f", &c, &errors), 0);
	config_free(&c);
	buf_add_char(&text, 'x');
	assert_int_equal(config_parse(buf_span(&text), "f", &c, &errors), -1);
	assert_string_equal(errors.at[0].text, "f:1: the line has 4097 bytes: at most 4096 are allowed");
	while (text.len <= CONFIG_FILE_BYTES_MOST)
		buf_add_char(&text, '\n');
	assert_int_equal(config_parse(buf_span(&text), "f", &c, &errors), -1);
	assert_string_equal(errors.at[0].text, "f: the file has 65537 bytes: at most 65536 are allowed");
}

static void too_many_addresses_are_refused(void **state)
{
	(void)state;
	struct config c;
	struct config_errors errors;
	/* each port counts twice, IPv4 and IPv6; the last two leave the defaults of other protocols too little room */
	static const struct { int ports; const char *error; } cases[] = {
		{100, "f:1: smtp_listen: there are more than 64 addresses to listen on"},
		{64, "f: lmtp_listen: there are more than 64 addresses to listen on"},
		{30, "f: there are 72 addresses to listen on: at most 64 are allowed"}};
	for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		BUF_AUTO text = {0};
		buf_add_cstr(&text, "smtp_listen =");
		for (int i = 1; i <= cases[k].ports; i++)
			buf_printf(&text, " %d", i + 10000);
		assert_int_equal(config_parse(buf_span(&text), "f", &c, &errors), -1);
		assert_string_equal(errors.at[0].text, cases[k].error);
	}
}

static void what_is_empty_is_completed_from_the_machine(void **state)
{
	(void)state;
	struct config c;
	struct error why;
	parse_good("hostname = mail.example.org\ndata_dir = /d\n", &c);
	assert_int_equal(config_complete(&c, &why), 0);
	assert_string_equal(c.tls_certificate, "/d/keys/tls.crt");
	assert_string_equal(c.tls_key, "/d/keys/tls.key");
	assert_string_equal(c.drop_dir, "/d-drop");
	assert_string_equal(c.hostname, "mail.example.org");
	assert_string_equal(c.origin, "example.org");
	config_free(&c);
	parse_good("hostname = example.org\n", &c);
	assert_int_equal(config_complete(&c, &why), 0);
	assert_string_equal(c.origin, "example.org");
	config_free(&c);
}

static void the_documentation_names_every_setting(void **state)
{
	(void)state;
	BUF_AUTO markdown = {0};
	BUF_AUTO man = {0};
	config_print_markdown(&markdown);
	config_print_man(&man);
	static const char *const names[] = {
#define GROUP(title)
#define SETTING(kind, name, ...) #name,
#include "config/settings.def"
#undef GROUP
#undef SETTING
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char text[80];
		snprintf(text, sizeof text, "### `%s`", names[i]);
		assert_non_null(strstr(buf_cstr(&markdown), text));
		snprintf(text, sizeof text, "\\fB%s\\fR", names[i]);
		assert_non_null(strstr(buf_cstr(&man), text));
	}
	assert_true(span_starts_with(buf_span(&man), SPAN(".TH CARTEIRO.CONF 5")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_as_documented),
		cmocka_unit_test(a_file_is_read),
		cmocka_unit_test(every_fault_names_its_line_and_its_remedy),
		cmocka_unit_test(all_faults_are_told_at_once_and_no_more_than_a_person_reads),
		cmocka_unit_test(a_file_or_a_line_that_is_too_long_is_refused),
		cmocka_unit_test(too_many_addresses_are_refused),
		cmocka_unit_test(what_is_empty_is_completed_from_the_machine),
		cmocka_unit_test(the_documentation_names_every_setting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
