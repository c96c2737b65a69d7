/* What is counted for reports of TLS, by day, domain and policy, and its rows. */
#include "store/report/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "ipc/words.h"
#include "store/batch_test.h"

enum { DAY_S = 86400, NOON_S = 100 * DAY_S + DAY_S / 2 };

struct fixture {
	struct store store;
	struct reports all;
};

static void open_reports(struct fixture *f)
{
	clock_set_for_tests(NOON_S * 1000LL);
	*f = (struct fixture){.store = {.engine = engine_open_memory(), .loop = loop_new()}};
	f->all = (struct reports){.store = &f->store, .secret = 1};
	f->all.writing = timer_new(f->store.loop, NULL, NULL);
}

static void close_reports(struct fixture *f)
{
	struct batch b = {0};
	reports_close(&f->all, INT64_MAX, false, &b);
	batch_free(&b);
	map_free(&f->all.current);
	timer_free(f->all.writing);
	loop_free(f->store.loop);
	engine_close(f->store.engine);
	clock_set_for_tests(-1);
}

static void count(struct fixture *f, const char *domain, enum tlsrpt_policy_type type, const char *string, enum tlsrpt_result result, const char *mx, const char *reason)
{
	BUF_AUTO strings = {0};
	struct span one = span_cstr(string);
	words_pack(&strings, &one, string ? 1 : 0);
	report_count(&f->all, &(struct msg_tls_session){.domain = span_cstr(domain), .policy = (uint8_t)type, .strings = buf_span(&strings), .result = (uint8_t)result,
	             .sending_ip = SPAN("192.0.2.1"), .mx_host = span_cstr(mx), .receiving_ip = SPAN("192.0.2.2"), .reason = span_cstr(reason)});
}

/* Closes what is over, or all of it; the one report that this is, as its row has it. */
static struct report *close_one(struct fixture *f, int64_t now_s, bool is_all)
{
	struct batch b = {0};
	struct span key, value;
	assert_int_equal(reports_close(&f->all, now_s, is_all, &b), 1);
	write_batch(f->store.engine, &b);
	struct engine_scan *scan = engine_scan_open(f->store.engine, DIRECTORY, SPAN("r"), SPAN("s"));
	assert_int_equal(engine_scan_next(scan, &key, &value, NULL), 1);
	struct report *r = report_unpack(key, value);
	engine_scan_close(scan);
	assert_non_null(r);
	return r;
}

static void a_day_is_counted_by_policy(void **state)
{
	struct fixture f;
	struct batch b = {0};
	(void)state;
	open_reports(&f);
	for (int i = 0; i < 3; i++)
		count(&f, "example.org", TLSRPT_STS, "mode: enforce", TLSRPT_SUCCESS, "mx.example.org", "");
	for (int i = 0; i < 2; i++)
		count(&f, "example.org", TLSRPT_STS, "mode: enforce", TLSRPT_CERTIFICATE_EXPIRED, "mx.example.org", "old");
	count(&f, "example.org", TLSRPT_STS, "mode: enforce", TLSRPT_CERTIFICATE_EXPIRED, "mx2.example.org", "old");
	count(&f, "example.org", TLSRPT_STS, "mode: testing", TLSRPT_SUCCESS, "mx.example.org", "");
	count(&f, "example.org", TLSRPT_NO_POLICY, NULL, TLSRPT_STARTTLS_NOT_SUPPORTED, "mx.example.org", "");
	assert_int_equal(reports_close(&f.all, 101 * DAY_S - 1, false, &b), 0); /* the day is not over */
	struct report *r = close_one(&f, 101 * DAY_S, false);
	assert_int_equal(r->state, REPORT_DUE);
	assert_int_equal(r->start_s, 100 * DAY_S);
	assert_int_equal(r->end_s, 101 * DAY_S);
	assert_in_range(r->due_s, 101 * DAY_S, 101 * DAY_S + 4 * 3600); /* RFC 8460 §4.1 */
	assert_true(span_equal(r->domain, SPAN("example.org")));
	assert_int_equal(r->policy_count, 3);
	assert_int_equal(r->policies[0].successes, 3);
	assert_int_equal(r->policies[0].failures, 3);
	assert_int_equal(r->policies[0].detail_count, 2);
	assert_int_equal(r->policies[0].details[0].count, 2);
	assert_true(span_equal(r->policies[0].details[1].mx_host, SPAN("mx2.example.org")));
	assert_true(span_equal(r->policies[1].strings[0], SPAN("mode: testing")));
	assert_int_equal(r->policies[2].string_count, 0);
	assert_int_equal(f.all.bytes, 0);
	report_free(r);
	close_reports(&f);
}

static void a_period_that_is_ended_by_command_is_due_at_once(void **state)
{
	struct fixture f;
	(void)state;
	open_reports(&f);
	count(&f, "example.org", TLSRPT_NO_POLICY, NULL, TLSRPT_SUCCESS, "mx", "");
	struct report *r = close_one(&f, NOON_S, true);
	assert_int_equal(r->end_s, NOON_S);
	assert_int_equal(r->due_s, 0);
	f.all.last_closed_s = NOON_S;
	count(&f, "example.org", TLSRPT_NO_POLICY, NULL, TLSRPT_SUCCESS, "mx", "");
	size_t at = 0;
	const struct report *next = map_next(&f.all.current, &at);
	assert_int_equal(next->start_s, NOON_S);
	assert_false(id128_equal(next->id, r->id));
	report_free(r);
	close_reports(&f);
}

static void counts_are_bounded_and_their_sums_stay_right(void **state)
{
	struct fixture f;
	(void)state;
	open_reports(&f);
	for (int i = 0; i < 100; i++) {
		char text[32];
		snprintf(text, sizeof text, "reason %d", i);
		count(&f, "example.org", TLSRPT_NO_POLICY, NULL, TLSRPT_VALIDATION_FAILURE, "mx", text);
		count(&f, "example.org", TLSRPT_STS, text, TLSRPT_SUCCESS, "mx", "");
	}
	struct report *r = close_one(&f, 101 * DAY_S, false);
	uint64_t sum = 0;
	assert_int_equal(r->policy_count, TLSRPT_POLICIES_MOST);
	assert_int_equal(r->policies[0].failures, 100);
	assert_int_equal(r->policies[0].detail_count, TLSRPT_FAILURES_MOST);
	for (size_t i = 0; i < r->policies[0].detail_count; i++)
		sum += r->policies[0].details[i].count;
	assert_int_equal(sum, 100);
	report_free(r);
	for (int i = 0; i < 11000; i++) {
		char name[32];
		snprintf(name, sizeof name, "d%d.example", i);
		count(&f, name, TLSRPT_NO_POLICY, NULL, TLSRPT_SUCCESS, "mx", "");
	}
	assert_int_equal(f.all.current.count, 10000);
	close_reports(&f);
}

static void a_damaged_row_is_none(void **state)
{
	struct fixture f;
	BUF_AUTO key = {0}, row = {0};
	struct batch b = {0};
	(void)state;
	open_reports(&f);
	count(&f, "example.org", TLSRPT_STS, "mode: enforce", TLSRPT_CERTIFICATE_EXPIRED, "mx.example.org", "old");
	struct report *r = close_one(&f, 101 * DAY_S, false);
	report_key(&key, r->id);
	assert_int_equal(engine_get(f.store.engine, DIRECTORY, buf_span(&key), &row, NULL), 1);
	for (size_t i = 0; i < row.len; i++)
		assert_null(report_unpack(buf_span(&key), span_slice(buf_span(&row), 0, i)));
	buf_add_char(&row, 0);
	assert_null(report_unpack(buf_span(&key), buf_span(&row)));
	report_delete(&b, r);
	report_free(r);
	write_batch(f.store.engine, &b);
	close_reports(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_day_is_counted_by_policy),
		cmocka_unit_test(a_period_that_is_ended_by_command_is_due_at_once),
		cmocka_unit_test(counts_are_bounded_and_their_sums_stay_right),
		cmocka_unit_test(a_damaged_row_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
