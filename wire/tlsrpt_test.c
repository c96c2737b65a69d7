/* TLS reporting: records, reports and their mail (RFC 8460 §3, §4.4, §5). */
#include "wire/test.h"

#include "base/buf.h"
#include "wire/gzip.h"
#include "wire/tlsrpt_report.h"

static void one_record_has_the_uris(void **state)
{
	static const struct {
		const char *records[3];
		int found;
		const char *uris[3];
	} cases[] = {
		/* §3.1 */
		{{"v=TLSRPTv1;rua=mailto:reports@example.com"}, 1, {"mailto:reports@example.com"}},
		{{"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"}, 1, {"https://reporting.example.com/v1/tlsrpt"}},
		{{"v=TLSRPTv1 ; rua=mailto:a@example.com , https://b.example/x?y=z ;"}, 2, {"mailto:a@example.com", "https://b.example/x?y=z"}},
		{{"v=TLSRPTv1; x.y-z_=anything; rua=mailto:a@example.com; rua=mailto:b@example.com"}, 1, {"mailto:a@example.com"}},
		{{"v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@example.com", "v=TLSRPTv2; rua=mailto:b@example.com"}, 1, {"mailto:a@example.com"}},
		{{"v=TLSRPTv1; rua=ftp://a.example,mailto:a@example.com,http://a.example"}, 1, {"mailto:a@example.com"}},
		{{"v=TLSRPTv1; rua=MAILTO:a@example.com?subject=x"}, 1, {"MAILTO:a@example.com?subject=x"}},
		{{""}, 0, {0}}, {{"v=TLSRPTv1"}, 0, {0}}, {{" v=TLSRPTv1; rua=mailto:a@example.com"}, 0, {0}}, {{"v=tlsrptv1; rua=mailto:a@example.com"}, 0, {0}},
		{{"v=TLSRPTv11; rua=mailto:a@example.com"}, 0, {0}},
		{{"v=TLSRPTv1; rua=mailto:a@example.com", "v=TLSRPTv1; rua=mailto:a@example.com"}, -1, {0}}, {{"v=TLSRPTv1;"}, -1, {0}}, {{"v=TLSRPTv1; rua="}, -1, {0}},
		{{"v=TLSRPTv1; rua"}, -1, {0}}, {{"v=TLSRPTv1; =x; rua=mailto:a@example.com"}, -1, {0}}, {{"v=TLSRPTv1; ;rua=mailto:a@example.com"}, -1, {0}},
		{{"v=TLSRPTv1; rua=mailto:"}, -1, {0}}, {{"v=TLSRPTv1; rua=mailto:nobody"}, -1, {0}}, {{"v=TLSRPTv1; rua=mailto:a@b.example%0d%0aX"}, -1, {0}},
		{{"v=TLSRPTv1; rua=https://"}, -1, {0}}, {{"v=TLSRPTv1; rua=https://a b.example"}, -1, {0}}, {{"v=TLSRPTv1; rua=https://user:pw@a.example/"}, -1, {0}},
		{{"v=TLSRPTv1; rua=mailto:a@example.com!10m"}, -1, {0}}, {{"v=TLSRPTv1; rua=mailto:a@example.com\xc3\xa4"}, -1, {0}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct span records[3], uris[TLSRPT_URIS_MOST];
		struct error why = {0};
		size_t count = 0;
		for (; count < 3 && cases[i].records[count]; count++)
			records[count] = span_cstr(cases[i].records[count]);
		assert_int_equal(tlsrpt_find_uris(records, count, uris, &why), cases[i].found);
		assert_true((cases[i].found < 0) == (why.text[0] != 0));
		for (int u = 0; u < cases[i].found; u++)
			assert_span(uris[u], cases[i].uris[u]);
	}
	assert_span(tlsrpt_uri_address(SPAN("mailto:a@example.com?subject=x")), "a@example.com");
	assert_span(tlsrpt_uri_address(SPAN("https://a@example.com")), "");
}

static void uris_are_bounded(void **state)
{
	BUF_AUTO record = {0};
	struct span uris[TLSRPT_URIS_MOST], records[1];
	(void)state;
	buf_add_cstr(&record, "v=TLSRPTv1; rua=mailto:a@example.com");
	for (int i = 0; i < 1000; i++)
		buf_add_cstr(&record, ",mailto:a@example.com");
	records[0] = buf_span(&record);
	assert_int_equal(tlsrpt_find_uris(records, 1, uris, NULL), TLSRPT_URIS_MOST);
	buf_clear(&record);
	buf_add_cstr(&record, "https://a.example/");
	while (record.len < TLSRPT_URI_BYTES_MOST)
		buf_add_char(&record, 'x');
	assert_true(tlsrpt_uri_is_valid(buf_span(&record)));
	buf_add_char(&record, 'x');
	assert_false(tlsrpt_uri_is_valid(buf_span(&record)));
}

/* ---- reports ---- */

#define START "{\"organization-name\":\"Company-X\",\"date-range\":{\"start-datetime\":\"2016-04-01T00:00:00Z\",\"end-datetime\":\"2016-04-01T23:59:59Z\"}," \
              "\"contact-info\":\"sts-reporting@company-x.example\",\"report-id\":\"5065427c-23d3-47ca-b6e0-946ea0e8c4be\",\"policies\":"
#define POLICY(domain, successes, failures) "{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":\"" domain "\"},\"summary\":{" \
              "\"total-successful-session-count\":" #successes ",\"total-failure-session-count\":" #failures "}"

static void a_report_is_summed_up(void **state)
{
	/* RFC 8460 appendix B */
	static const char text[] = START "[" POLICY("company-y.example", 5326, 303)
		",\"failure-details\":[{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"2001:db8:abcd:0012::1\",\"receiving-mx-hostname\":\"mx1.mail.company-y.example\","
		"\"failed-session-count\":100},{\"result-type\":\"starttls-not-supported\",\"failed-session-count\":200,\"additional-information\":\"https://reports.company-x.example\"},"
		"{\"result-type\":\"validation-failure\",\"failed-session-count\":3},{\"result-type\":\"of-tomorrow\",\"failed-session-count\":1},{\"result-type\":7},8]},"
		POLICY("Company-Y.EXAMPLE", 1, 1) "}," POLICY("other.example", 7, 0) "}]}";
	ARENA_AUTO a = {0};
	BUF_AUTO packed = {0};
	struct tlsrpt_sums s, again;
	struct error why = {0};
	(void)state;
	assert_int_equal(tlsrpt_report_read(span_cstr(text), &a, &s, &why), 0);
	assert_span(s.organization, "Company-X");
	assert_span(s.id, "5065427c-23d3-47ca-b6e0-946ea0e8c4be");
	assert_int_equal(s.start_s, 1459468800);
	assert_int_equal(s.end_s, 1459555199);
	assert_int_equal(s.count, 2);
	assert_span(s.list[0].domain, "company-y.example");
	assert_int_equal(s.list[0].successes, 5327);
	assert_int_equal(s.list[0].failures, 304);
	assert_span(s.list[0].details, "starttls-not-supported 200, certificate-expired 100, validation-failure 3");
	assert_int_equal(s.list[1].successes, 7);
	tlsrpt_sums_pack(&s, &packed);
	assert_int_equal(tlsrpt_sums_unpack(buf_span(&packed), &again), 0);
	assert_span(again.list[0].details, "starttls-not-supported 200, certificate-expired 100, validation-failure 3");
	for (size_t i = 0; i < packed.len; i++)
		assert_int_equal(tlsrpt_sums_unpack(span_slice(buf_span(&packed), 0, i), &again), -1);
}

static void what_is_no_report_is_refused(void **state)
{
	static const char *const cases[] = {
		"", "{", "{}", "[]", "7", "\"x\"", "{\"organization-name\":\"x\"}", START "[]}", START "{}}", START "[{}]}", START "[7]}", START "[{\"policy\":[]}]}",
		START "[" POLICY("", 1, 1) "}]}", START "[" POLICY("a b", 1, 1) "}]}", START "[" POLICY("a..b", 1, 1) "}]}", START "[" POLICY("a.example", -1, 1) "}]}",
		START "[" POLICY("a.example", 1.5, 1) "}]}", START "[" POLICY("a.example", 10000000000, 1) "}]}", START "[" POLICY("a.example", "1", 1) "}]}",
		START "[" POLICY("a.example", 99999999999999999999, 1) "}]}", START "[" POLICY("a.example", 1, 1) "}]} x", START "[" POLICY("\\u0000.example", 1, 1) "}]}",
		"{\"organization-name\":\"x\",\"report-id\":\"y\",\"date-range\":{\"start-datetime\":\"yesterday\",\"end-datetime\":\"2016-04-01T23:59:59Z\"},\"policies\":[" POLICY("a.example", 1, 1) "}]}",
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct tlsrpt_sums s;
		struct error why = {0};
		assert_int_equal(tlsrpt_report_read(span_cstr(cases[i]), &a, &s, &why), -1);
		assert_true(why.text[0]);
	}
}

static void add_many(struct buf *b, const char *what, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_add_cstr(b, what);
}

static void reading_is_bounded(void **state)
{
	static const struct {
		const char *repeated;
		size_t count;
	} cases[] = {{"[", 17}, {"{\"a\":", 17}, {"[", 1000000}, {"[],", 60000}, {"{},", 1000000}, {"\"\",", 200000}, {" ", TLSRPT_JSON_BYTES_MOST + 1}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		BUF_AUTO json = {0};
		struct tlsrpt_sums s;
		struct error why = {0};
		add_many(&json, cases[i].repeated, cases[i].count);
		assert_int_equal(tlsrpt_report_read(buf_span(&json), &a, &s, &why), -1);
		assert_string_equal(why.text, "it is larger or deeper than any report");
	}
}

static void a_report_that_was_written_is_read(void **state)
{
	static const struct span strings[] = {SPAN("version: STSv1"), SPAN("mode: enforce"), SPAN("mx: mx.example.org"), SPAN("mx: *.example.org")};
	struct tlsrpt_failure failure = {.result = TLSRPT_CERTIFICATE_EXPIRED, .count = 3, .mx_host = SPAN("mx.example.org"), .sending_ip = SPAN("192.0.2.1"), .reason = SPAN("\"quoted\" \xff")};
	struct tlsrpt_policy policy = {.type = TLSRPT_STS, .domain = SPAN("example.org"), .strings = strings, .string_count = 4, .successes = 5, .failures = 3, .details = &failure, .detail_count = 1};
	struct tlsrpt_report r = {.organization = SPAN("a.test"), .contact = SPAN("postmaster@a.test"), .id = SPAN("1@a.test"), .start_s = 86400, .end_s = 2 * 86400 - 1, .policies = &policy, .policy_count = 1};
	ARENA_AUTO a = {0};
	BUF_AUTO json = {0}, name = {0}, file = {0}, back = {0}, mail = {0};
	struct tlsrpt_sums s;
	(void)state;
	tlsrpt_report_write(&r, &json);
	assert_true(span_find(buf_span(&json), SPAN("\"mx-host\":[\"mx.example.org\",\"*.example.org\"]")) > 0);
	assert_true(span_find(buf_span(&json), SPAN("\"start-datetime\":\"1970-01-02T00:00:00Z\",\"end-datetime\":\"1970-01-02T23:59:59Z\"")) > 0);
	assert_true(span_find(buf_span(&json), SPAN("failure-reason-code")) < 0); /* no UTF-8 */
	gzip_pack(buf_span(&json), &file);
	assert_int_equal(gzip_unpack(buf_span(&file), json.len, &back, NULL), 0);
	assert_true(span_equal(buf_span(&back), buf_span(&json)));
	assert_int_equal(tlsrpt_report_read(buf_span(&back), &a, &s, NULL), 0);
	assert_span(s.list[0].details, "certificate-expired 3");
	tlsrpt_file_name(SPAN("a.test"), &r, SPAN("example.org"), SPAN("1"), &name);
	assert_span(buf_span(&name), "a.test!example.org!86400!172799!1.json.gz");
	struct span to[] = {SPAN("x@example.org"), SPAN("y@example.org")};
	tlsrpt_mail_build(&(struct tlsrpt_mail){.from = SPAN("postmaster@a.test"), .to = to, .to_count = 2, .domain = SPAN("example.org"), .report_id = r.id, .message_id = r.id,
	                  .boundary = SPAN("b"), .file_name = buf_span(&name), .file = buf_span(&file), .now_s = 1}, &mail);
	assert_true(span_find(buf_span(&mail), SPAN("\r\nSubject: Report Domain: example.org\r\n Submitter: a.test\r\n Report-ID: <1@a.test>\r\n")) > 0);
	assert_true(span_find(buf_span(&mail), SPAN("\r\nTLS-Report-Domain: example.org\r\nTLS-Report-Submitter: a.test\r\n")) > 0);
}

static void what_gzip_has_packed_is_bounded(void **state)
{
	BUF_AUTO zeros = {0}, file = {0}, out = {0};
	struct error why = {0};
	(void)state;
	add_many(&zeros, "00000000", 1 << 20);
	gzip_pack(buf_span(&zeros), &file);
	assert_true(file.len < 10000);
	assert_int_equal(gzip_unpack(buf_span(&file), 1 << 20, &out, &why), -1);
	assert_true(out.len < (1 << 20) + 20000);
	for (size_t i = 0; i < file.len; i += 97) {
		buf_clear(&out);
		assert_int_equal(gzip_unpack(span_slice(buf_span(&file), 0, i), SIZE_MAX / 2, &out, &why), -1);
	}
	buf_add_char(&file, 'x');
	buf_clear(&out);
	assert_int_equal(gzip_unpack(buf_span(&file), SIZE_MAX / 2, &out, &why), -1);
	assert_int_equal(gzip_unpack(SPAN(""), 100, &out, &why), -1);
	assert_int_equal(gzip_unpack(SPAN("no gzip"), 100, &out, &why), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_record_has_the_uris),
		cmocka_unit_test(uris_are_bounded),
		cmocka_unit_test(a_report_is_summed_up),
		cmocka_unit_test(what_is_no_report_is_refused),
		cmocka_unit_test(reading_is_bounded),
		cmocka_unit_test(a_report_that_was_written_is_read),
		cmocka_unit_test(what_gzip_has_packed_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
