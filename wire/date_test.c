/* Dates: RFC 5322 §3.3, §4.3, appendix A; RFC 3501 §9. */
#include "wire/test.h"

#include "wire/date.h"

static void mail_dates_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t utc;
		int zone;
	} cases[] = {
	    {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360}, /* RFC 5322 appendix A.1.1 */
	    {"Thu,\r\n 13\r\n   Feb\r\n     1969\r\n 23:32\r\n   -0330 (Newfoundland Time)", -27723480, -210}, /* A.5 */
	    {"21 Nov 97 09:55:06 GMT", 880106106, 0}, /* A.6.2 */
	    {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
	    {"1 jan 2026 10:00 EST", 1767279600, -300},
	    {"1 Jan 126 10:00:00 Z", 1767261600, 0},
	    {"1 Jan 26 10:00:00", 1767261600, 0},
	    {"Sat (a (b) \\) c), 29 Feb 2020 23:59:60 +0000", 1583020800, 0},
	    {"Mon, 31 Dec 9999 23:59:59 +0000", 253402300799, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct date d;

		if (date_parse(span_cstr(cases[i].text), &d) < 0)
			fail_msg("%s is refused", cases[i].text);
		assert_int_equal(d.utc_seconds, cases[i].utc);
		assert_int_equal(d.zone_minutes, cases[i].zone);
	}
}

static void other_texts_are_no_dates(void **state)
{
	static const char *const texts[] = {"",
	                                    "yesterday",
	                                    "Fri, 21 Nov",
	                                    "32 Jan 2026 10:00:00 +0000",
	                                    "29 Feb 2025 10:00 +0000",
	                                    "1 Jan 2026 24:00 +0000",
	                                    "1 Jan 2026 10:60 +0000",
	                                    "1 Jan 10000 10:00 +0000",
	                                    "1 Jan 1899 10:00 +0000",
	                                    "1 Jan 99999999999999999999 10:00 +0000",
	                                    "1 Jan 2026 10:00 +00000",
	                                    "1 Jan 2026 10:00 +0060",
	                                    "1 Jan 2026 10:00 -99",
	                                    "((((((((",
	                                    "0 Jan 2026 10:00 +0000",
	                                    "1 Jam 2026 10:00 +0000"};
	BUF_AUTO longer = {0};
	struct date d;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (date_parse(span_cstr(texts[i]), &d) == 0)
			fail_msg("%s is let pass", texts[i]);
	repeat(&longer, " ", 10000);
	buf_add_cstr(&longer, "1 Jan 2026 10:00:00 +0000");
	assert_int_equal(date_parse(buf_span(&longer), &d), -1);
}

static void formats_are_read_back(void **state)
{
	static const int64_t times[] = {0, -1, 1767261600, 951782400, 4107542399, -2208988800, 253402300799};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		BUF_AUTO text = {0};
		BUF_AUTO imap = {0};
		struct date d;

		date_format(times[i], &text);
		assert_int_equal(date_parse(buf_span(&text), &d), 0);
		assert_int_equal(d.utc_seconds, times[i]);
		if (i == 5 || i == 6) /* the zone would lead out of the years */
			continue;
		date_format_imap(times[i], -210, &imap);
		assert_int_equal(date_parse_imap(buf_span(&imap), &d), 0);
		assert_int_equal(d.utc_seconds, times[i]);
		assert_int_equal(d.zone_minutes, -210);
	}
}

static void formats_are_as_the_rfcs_have_them(void **state)
{
	BUF_AUTO a = {0};
	BUF_AUTO b = {0};
	BUF_AUTO c = {0};

	(void)state;
	date_format(1767261600, &a);
	assert_span(buf_span(&a), "Thu, 1 Jan 2026 10:00:00 +0000");
	date_format_imap(1767261600, 90, &b);
	assert_span(buf_span(&b), " 1-Jan-2026 11:30:00 +0130");
	date_format(INT64_MIN, &c);
	date_format_imap(INT64_MAX, INT32_MAX, &c);
	assert_true(c.len > 0);
}

static void imap_dates_are_read_strictly(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	    {"17-Jul-1996 02:44:25 -0700", true},
	    {" 7-Jul-1996 02:44:25 -0700", true},
	    {"7-Jul-1996 02:44:25 -0700", true},
	    {"17-Jul-1996 02:44:25", false},
	    {"17-Jul-96 02:44:25 -0700", false},
	    {"17-Jul-1996 2:44:25 -0700", false},
	    {"17-Jul-1996 02:44:25 -0700 ", false},
	    {"31-Feb-1996 02:44:25 -0700", false},
	    {"17-Jul-1996 02:44:25 PDT00", false},
	    {"", false},
	    {" ", false},
	    {"17-Jul-1996", false},
	};
	struct date d;
	int64_t day;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(date_parse_imap(span_cstr(cases[i].text), &d) == 0, cases[i].good);
	assert_int_equal(date_parse_imap_day(SPAN("1-Jan-1970"), &day), 0);
	assert_int_equal(day, 0);
	assert_int_equal(date_parse_imap_day(SPAN("01-feb-2026"), &day), 0);
	assert_int_equal(day, 20485);
	assert_int_equal(date_parse_imap_day(SPAN("1-Jan-19700"), &day), -1);
	assert_int_equal(date_parse_imap_day(SPAN("1-Jan"), &day), -1);
}

static void internet_dates_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int64_t utc; /* INT64_MIN: refused */
	} cases[] = {
	    {"1985-04-12T23:20:50.52Z", 482196050}, /* RFC 3339 §5.8 */
	    {"1996-12-19T16:39:57-08:00", 851042397},
	    {"2026-01-01t10:00:00z", 1767261600},
	    {"2026-01-01T10:00:00", INT64_MIN},
	    {"2026-01-01T10:00:00+1:00", INT64_MIN},
	    {"2026-01-01T10:00:00+24:00", INT64_MIN},
	    {"2026-01-01T10:00:00.Z", INT64_MIN},
	    {"2026-01-01T10:00:00Z ", INT64_MIN},
	    {"2026-01-01 10:00:00Z", INT64_MIN},
	    {"2026-13-01T10:00:00Z", INT64_MIN},
	    {"26-01-01T10:00:00Z", INT64_MIN},
	    {"", INT64_MIN},
	};
	BUF_AUTO text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct date d;
		int got = date_parse_internet(span_cstr(cases[i].text), &d);

		if (got != (cases[i].utc == INT64_MIN ? -1 : 0) || (got == 0 && d.utc_seconds != cases[i].utc))
			fail_msg("%s", cases[i].text);
	}
	date_format_internet(1767261600, &text);
	assert_span(buf_span(&text), "2026-01-01T10:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mail_dates_are_read),          cmocka_unit_test(other_texts_are_no_dates),
	    cmocka_unit_test(formats_are_read_back),        cmocka_unit_test(formats_are_as_the_rfcs_have_them),
	    cmocka_unit_test(imap_dates_are_read_strictly), cmocka_unit_test(internet_dates_are_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
