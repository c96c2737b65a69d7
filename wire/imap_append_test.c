/* APPEND's steps and URLs of messages: RFC 3502, RFC 4469, RFC 6855 §4, RFC 5092. */
#include "wire/test.h"

#include "wire/imap_append.h"

/* A chunk as a word of its steps: b(egin) t(ext) u(rl) d(one) e(nd) m(ore) f(ault). */
static void steps_of(const char *chunk, struct imap_append_reader *r, char *out)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = span_cstr(chunk), .arena = &a};
	struct imap_append_step step;
	do {
		imap_append_next(&p, r, &step);
		*out++ = "btudemf"[step.kind];
	} while (step.kind != IMAP_APPEND_TEXT && step.kind < IMAP_APPEND_END);
	*out = 0;
}

static void chunks_become_steps(void **state)
{
	static const struct {
		const char *chunks[4], *steps[4];
	} cases[] = {
		{{" {5}", ""}, {"bt", "de"}},
		{{" (\\Seen) \" 1-Jan-2026 10:00:00 +0000\" {5+}", ""}, {"bt", "de"}},
		{{" ~{5}", ""}, {"bt", "de"}},
		{{" {5}", " (\\Seen) {6}", " {7}", ""}, {"bt", "dbt", "dbt", "de"}},
		{{" {5}", " "}, {"bt", "df"}},
		{{" UTF8 (~{5}", ")"}, {"bt", "de"}},
		{{" UTF8 ({5}"}, {"bf"}},
		{{" UTF8 (~{5}", ""}, {"bt", "f"}},
		{{" CATENATE (URL \"/a;UID=1\" TEXT {5}", " URL b TEXT {6}", ")"}, {"but", "ut", "de"}},
		{{" CATENATE (URL x)"}, {"bude"}},
		{{" CATENATE (TEXT {5}", ") {5}", ""}, {"bt", "dbt", "de"}},
		{{" CATENATE (URL {3}"}, {"bm"}},
		{{" CATENATE (URL {3}\r\nabc)"}, {"bude"}},
		{{" CATENATE ()"}, {"bf"}},
		{{" CATENATE (TEXT \"x\")"}, {"bf"}},
		{{" CATENATE (URL x URL y"}, {"buuf"}},
		{{" CATENATE (FILE x)"}, {"bf"}},
		{{""}, {"f"}},
		{{" "}, {"f"}},
		{{" \"yesterday\" {5}"}, {"f"}},
		{{" (\\Seen {5}"}, {"f"}},
		{{" {5} x"}, {"f"}},
		{{" {5}", "x"}, {"bt", "df"}},
		{{" {99999999999}"}, {"f"}},
		{{" () \" 1-Jan-2026 10:00:00 +0000\" X-CARTEIRO (UID 5 UIDL \"a b\") {5}"}, {"f"}},
		{{" X-CARTEIRO (UID 5) {5+}", " X-CARTEIRO (UIDL abc) {5}"}, {"bt", "df"}},
		{{" X-CARTEIRO () {5}"}, {"f"}},
		{{" X-CARTEIRO (UID 0) {5}"}, {"f"}},
		{{" X-CARTEIRO (UID 4294967295) {5}"}, {"f"}},
		{{" X-CARTEIRO (UID 5 UID 6) {5}"}, {"f"}},
		{{" X-CARTEIRO (UIDL \"\") {5}"}, {"f"}},
		{{" X-CARTEIRO (SOURCE 0123456789abcdef0123456789abcde) {5}"}, {"f"}},
		{{" X-CARTEIRO (SOURCE 0123456789abcdef0123456789abcdeg) {5}"}, {"f"}},
		{{" X-CARTEIRO (NAME x) {5}"}, {"f"}},
		{{" X-OTHER (UID 5) {5}"}, {"f"}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct imap_append_reader r = {0};
		for (size_t k = 0; k < 4 && cases[i].chunks[k]; k++) {
			char steps[16];
			steps_of(cases[i].chunks[k], &r, steps);
			assert_string_equal(steps, cases[i].steps[k]);
		}
	}
}

static void steps_tell_what_comes(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = SPAN(" (\\Seen $x) \" 1-Jan-1970 00:01:00 +0000\" ~{7}"), .arena = &a};
	struct imap_append_reader r = {0};
	struct imap_append_step step;
	(void)state;
	assert_int_equal(imap_append_next(&p, &r, &step), IMAP_APPEND_BEGIN);
	assert_int_equal(step.flags.system, IMAP_FLAG_SEEN);
	assert_int_equal(step.flags.keyword_count, 1);
	assert_true(step.has_date && step.date_seconds == 60);
	assert_int_equal(imap_append_next(&p, &r, &step), IMAP_APPEND_TEXT);
	assert_true(step.size_bytes == 7 && step.is_binary && step.is_whole);
}

static void urls_are_read(void **state)
{
	static const struct {
		const char *url, *mailbox;
		uint32_t validity, uid;
		const char *section;
		uint32_t origin, length;
	} good[] = {
		{"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER", "Drafts", 385759045, 20, "HEADER", 0, 0},
		{"/Drafts;UIDVALIDITY=385759045/;UID=30", "Drafts", 385759045, 30, "", 0, 0},
		{"/inbox;UID=1/;SECTION=1.2.MIME", "INBOX", 0, 1, "1.2.MIME", 0, 0},
		{"/a%2Fb%20%C3%A9;UID=1", "a/b \303\251", 0, 1, "", 0, 0},
		{"/a/b;UID=1/;Section=1/;PARTIAL=5.10", "a/b", 0, 1, "1", 5, 10},
		{"/a;UID=1/;PARTIAL=5", "a", 0, 1, "", 5, 0},
		{"/;UID=9", "", 0, 9, "", 0, 0},
		{";UID=9/;section=TEXT", "", 0, 9, "TEXT", 0, 0},
	};
	static const char *const bad[] = {"", "/", "/a", "/a;UID=", "/a;UID=0", "/a;UID=x", "/a;UID=4294967296", "/a;UIDVALIDITY=0/;UID=1", "/a;UIDVALIDITY=1", "imap://x/a;UID=1x;y",
	                                  "//host/a;UID=1", "/a%2;UID=1", "/a%zz;UID=1", "/a%00;UID=1", "/a%FF;UID=1", "/a;UID=1/;section=1/;PARTIAL=", "/a;UID=1/;PARTIAL=1.0",
	                                  "/a;UID=1/;PARTIAL=1.2/;x=1", "/a;UID=1;URLAUTH=x"};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_url url;
		assert_true(imap_url_parse(span_cstr(good[i].url), &a, &url));
		assert_span(url.mailbox, good[i].mailbox);
		assert_span(url.section, good[i].section);
		assert_true(url.uidvalidity == good[i].validity && url.uid == good[i].uid && url.origin == good[i].origin && url.length == good[i].length);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_url url;
		assert_false(imap_url_parse(span_cstr(bad[i]), &a, &url));
	}
}

static void an_import_says_more_of_a_message(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_append_reader r = {0};
	struct imap_append_step step;
	struct imap_parser p = {.rest = SPAN(" (\\Seen) X-CARTEIRO (UIDL \"1f.x\" SOURCE 000102030405060708090a0b0c0d0eFF UID 77) {5+}"), .arena = &a};
	(void)state;
	assert_int_equal(imap_append_next(&p, &r, &step), IMAP_APPEND_BEGIN);
	assert_true(step.has_import && step.has_source);
	assert_int_equal(step.uid, 77);
	assert_span(step.unique_id, "1f.x");
	for (unsigned i = 0; i < sizeof step.source; i++)
		assert_int_equal(step.source[i], i == 15 ? 255 : i);
	assert_int_equal(imap_append_next(&p, &r, &step), IMAP_APPEND_TEXT);
	assert_false(step.has_import);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_become_steps),
		cmocka_unit_test(steps_tell_what_comes),
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(an_import_says_more_of_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
