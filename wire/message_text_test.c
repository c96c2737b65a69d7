/* Search, downgrade and bounces: what goes over a whole message. */
#include "wire/test.h"

#include "wire/downgrade.h"
#include "wire/dsn.h"
#include "wire/message_text.h"

static const char message[] = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
			      "Content-Type: multipart/mixed; boundary=x\r\n"
			      "Content-Transfer-Encoding: 8bit\r\n"
			      "\r\n"
			      "pr\xc3\xa4"
			      "amble\r\n"
			      "--x\r\n"
			      "Content-Type: text/plain; charset=iso-8859-1\r\n"
			      "Content-Transfer-Encoding: 8bit\r\n"
			      "Content-Description: inner words\r\n"
			      "\r\n"
			      "aab aaab Caf\xe9\r\n"
			      "--x\r\n"
			      "Content-Type: text/plain; charset=utf-8\r\n"
			      "Content-Transfer-Encoding: base64\r\n"
			      "\r\n"
			      "aGlkZGVuIFRFWFQ=\r\n"
			      "--x\r\n"
			      "Content-Type: application/octet-stream\r\n"
			      "\r\n"
			      "binary\xff words\r\n"
			      "--x--\r\n";

static struct mime_parser *parse(struct span bytes, const struct mime_tree **tree)
{
	struct mime_parser *p = mime_parser_new(NULL);

	mime_parser_feed(p, bytes);
	*tree = mime_parser_finish(p);
	return p;
}

/* Searches in pieces of `step` bytes. */
static void search(struct span bytes, size_t step, struct text_search *s)
{
	struct mime_parser *p = mime_parser_new(NULL);
	struct message_text *t = message_text_new(p, text_search_sink(s));

	for (size_t at = 0; at < bytes.len; at += step)
		message_text_feed(t, span_slice(bytes, at, step));
	message_text_finish(t);
	message_text_free(t);
	mime_parser_free(p);
}

static void text_is_found_across_pieces(void **state)
{
	static const struct {
		struct text_search_needle needle;
		bool found;
	} cases[] = {
	    {{TEXT_SEARCH_BODY, {0}, SPAN("AAAB")}, true},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("aaaab")}, false},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("CAF\xc3\x89")}, true},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("hidden text")}, true},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("aGlk")}, false},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("binary")}, false},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("inner words")}, true},
	    {{TEXT_SEARCH_BODY, {0}, SPAN("gr\xc3\xbcsse")}, false},
	    {{TEXT_SEARCH_TEXT, {0}, SPAN("gr\xc3\xbcsse")}, true},
	    {{TEXT_SEARCH_TEXT, {0}, SPAN("subject: gr")}, true},
	    {{TEXT_SEARCH_HEADER, SPAN("subject"), SPAN("GR\xc3\x9c")}, true},
	    {{TEXT_SEARCH_HEADER, SPAN("Subject"), SPAN("")}, true},
	    {{TEXT_SEARCH_HEADER, SPAN("Cc"), SPAN("")}, false},
	    {{TEXT_SEARCH_HEADER, SPAN("Content-Description"), SPAN("inner")}, false},
	    /* no match reaches from one part into the next */
	    {{TEXT_SEARCH_BODY, {0}, SPAN("caf\xc3\xa9hidden")}, false},
	};
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
	struct text_search_needle needles[COUNT];
	struct span bytes = SPAN(message);
	struct text_search *s;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		needles[i] = cases[i].needle;
	s = text_search_new(needles, COUNT);
	for (size_t step = 1; step < 30; step++) {
		search(bytes, step, s);
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(text_search_matched(s, i), cases[i].found);
		assert_false(text_search_is_done(s));
		text_search_reset(s);
	}
	text_search_free(s);
}

static bool finds(struct span bytes, size_t step, enum text_search_key key, struct span text)
{
	struct text_search *s = text_search_new(&(struct text_search_needle){key, SPAN("To"), text}, 1);
	bool result;

	search(bytes, step, s);
	result = text_search_matched(s, 0);
	text_search_free(s);
	return result;
}

static void all_of_a_long_field_is_searched(void **state)
{
	enum { WORDS = 60000 };
	static const size_t steps[] = {65536, 4099, 1 << 20};
	static const char *const starts[] = {"X: y\r\nTo:", "To: ", "noise without a colon\r\nTo:\r\n "};
	BUF_AUTO bytes = {0};
	BUF_AUTO word = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(starts) / sizeof(starts[0]); n++) {
		buf_clear(&bytes);
		buf_add_cstr(&bytes, starts[n]);
		for (unsigned i = 0; i < WORDS; i++)
			buf_printf(&bytes, "%s W%u", i % 7 == 6 ? "\r\n" : "", i);
		buf_add_cstr(&bytes, "\r\nCc: behind\r\n\r\nand the body\r\n");
		for (unsigned i = 1; i < WORDS; i += 997) {
			buf_clear(&word);
			buf_printf(&word, "w%u w%u%s", i - 1, i, i + 1 < WORDS ? " " : "");
			assert_true(finds(buf_span(&bytes), steps[i % 3], TEXT_SEARCH_TEXT, buf_span(&word)));
			assert_true(finds(buf_span(&bytes), steps[(i + 1) % 3], TEXT_SEARCH_HEADER, buf_span(&word)));
		}
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			assert_true(finds(buf_span(&bytes), steps[i], TEXT_SEARCH_TEXT, SPAN("to: w0 w1")));
			assert_true(finds(buf_span(&bytes), steps[i], TEXT_SEARCH_TEXT, SPAN("cc: behind")));
			assert_false(finds(buf_span(&bytes), steps[i], TEXT_SEARCH_HEADER, SPAN("behind")));
			assert_false(finds(buf_span(&bytes), steps[i], TEXT_SEARCH_TEXT, SPAN("w59999 ")));
			assert_true(finds(buf_span(&bytes), steps[i], TEXT_SEARCH_TEXT, SPAN("the body")));
		}
	}
}

/* What cannot be cut between words, what is no field, and one that ends with the message. */
static void a_long_field_of_any_kind_ends_where_it_ends(void **state)
{
	static const struct {
		const char *start, *unit;
		bool found; /* the "end" behind it */
	} cases[] = {
	    {"To: ", "x", true},  {"To: ", " ", true},           {"To: ", "\r\n ", true}, {"To: x", "\r\n\t", true},
	    {"noise", "x", false}, {"noise", "x\r\n ", false}, {"To: ", "=?utf-8?q?x?=\r\n ", true}, {"", "y", false},
	};
	BUF_AUTO bytes = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		buf_clear(&bytes);
		buf_add_cstr(&bytes, cases[n].start);
		while (bytes.len < 300000)
			buf_add_cstr(&bytes, cases[n].unit);
		size_t whole = bytes.len;
		buf_add_cstr(&bytes, "end");
		for (size_t step = 60000; step < 400000; step += 33333) {
			assert_int_equal(finds(buf_span(&bytes), step, TEXT_SEARCH_HEADER, SPAN("end")), cases[n].found);
			assert_int_equal(finds(buf_span(&bytes), step, TEXT_SEARCH_HEADER, SPAN("xxxxx")), cases[n].found && cases[n].unit[0] > ' ');
		}
		bytes.len = whole;
		buf_add_cstr(&bytes, "\r\nTo: next\r\n\r\nbody");
		for (size_t step = 60000; step < 400000; step += 33333) {
			assert_true(finds(buf_span(&bytes), step, TEXT_SEARCH_TEXT, SPAN("to: next")));
			assert_true(finds(buf_span(&bytes), step, TEXT_SEARCH_BODY, SPAN("body")));
			assert_false(finds(buf_span(&bytes), step, TEXT_SEARCH_BODY, SPAN("next")));
		}
	}
}

static void downgraded(struct span bytes, size_t step, struct buf *out)
{
	const struct mime_tree *tree;
	struct mime_parser *p = parse(bytes, &tree);
	struct downgrade *d = downgrade_new(tree);

	for (size_t at = 0; at < bytes.len; at += step)
		downgrade_feed(d, span_slice(bytes, at, step), out);
	downgrade_free(d);
	mime_parser_free(p);
}

static void eight_bit_parts_are_encoded(void **state)
{
	static const char want[] = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
				   "Content-Type: multipart/mixed; boundary=x\r\n"
				   "MIME-Version: 1.0\r\n"
				   "Content-Transfer-Encoding: 7bit\r\n"
				   "\r\n"
				   "pr??amble\r\n"
				   "--x\r\n"
				   "Content-Type: text/plain; charset=iso-8859-1\r\n"
				   "Content-Description: inner words\r\n"
				   "Content-Transfer-Encoding: quoted-printable\r\n"
				   "\r\n"
				   "aab aaab Caf=E9\r\n"
				   "--x\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: base64\r\n"
				   "\r\n"
				   "aGlkZGVuIFRFWFQ=\r\n"
				   "--x\r\n"
				   "Content-Type: application/octet-stream\r\n"
				   "Content-Transfer-Encoding: base64\r\n"
				   "\r\n"
				   "YmluYXJ5/yB3b3Jkcw==\r\n\r\n"
				   "--x--\r\n";

	(void)state;
	for (size_t step = 1; step < 50; step++) {
		BUF_AUTO out = {0};

		downgraded(SPAN(message), step, &out);
		assert_span(buf_span(&out), want);
	}
}

static void downgrade_keeps_lines_short_and_says_what_is_unknown(void **state)
{
	BUF_AUTO bytes = {0};
	BUF_AUTO out = {0};
	BUF_AUTO again = {0};
	const struct mime_tree *tree;
	struct mime_parser *p;

	(void)state;
	buf_add_cstr(&bytes, "Subject: x\r\n\r\n");
	repeat(&bytes, "\xff-", 5000);
	downgraded(buf_span(&bytes), 1000, &out);
	assert_contains(buf_span(&out), "charset=unknown-8bit\r\n");
	p = parse(buf_span(&out), &tree);
	assert_false(downgrade_is_needed(tree));
	assert_false(tree->has_8bit);
	assert_true(tree->longest_line <= 76);
	mime_parser_free(p);
	downgraded(buf_span(&out), 1000, &again);
	assert_true(span_equal(buf_span(&again), buf_span(&out)));
}

static void bounce_is_a_report_and_nothing_can_be_injected(void **state)
{
	const struct dsn_recipient recipients[] = {
	    {.address = SPAN("bob@x.org\r\nBcc: evil@x.org"),
	     .status = SPAN("5.1.1\r\nX: y"),
	     .remote_mta = SPAN("mx.x.org\nX-Evil: 1"),
	     .diagnostic = SPAN("550 5.1.1 no\r\n\r\n--=_bound--\r\nsuch user")},
	    {.address = SPAN("j\xc3\xb6@x.org"), .status = SPAN("5.2.2"), .last_attempt = 1767261600},
	};
	const struct dsn d = {
	    .reporting_mta = SPAN("mail.example.org"),
	    .postmaster = SPAN("postmaster@example.org"),
	    .recipient = SPAN("alice@example.org>\r\nBcc: evil@x.org"),
	    .message_id = SPAN("<1@example.org>\r\nX-Evil: 1"),
	    .boundary = SPAN("bound"),
	    .now = 1767261600,
	    .arrival = 1767261600,
	    .recipients = recipients,
	    .recipient_count = 2,
	    .original_header = SPAN("Subject: hi\r\n--=_bound--\r\nFrom: a\rb\nTo: c\r\n\r\nbody"),
	};
	const struct mime_tree *tree;
	struct mime_parser *p;
	BUF_AUTO out = {0};

	(void)state;
	dsn_build(&d, &out);
	p = parse(buf_span(&out), &tree);
	assert_int_equal(tree->part_count, 4);
	assert_false(tree->has_bare_cr || tree->has_bare_lf || tree->has_nul || tree->has_8bit);
	assert_true(tree->longest_line <= 998);
	assert_span(mime_parameter_value(&tree->parts[0].params, SPAN("report-type")), "delivery-status");
	assert_span(tree->parts[2].subtype, "global-delivery-status");
	assert_span(tree->parts[3].subtype, "rfc822-headers");
	for (uint32_t i = 0; i < tree->field_count; i++) {
		assert_false(span_equal_nocase(tree->fields[i].name, SPAN("Bcc")));
		assert_false(span_equal_nocase(tree->fields[i].name, SPAN("X-Evil")));
	}
	assert_contains(buf_span(&out), "Final-Recipient: utf-8; j\\x{F6}@x.org\r\n");
	assert_contains(buf_span(&out), "Subject: hi\r\nFrom: a b\r\nTo: c\r\n\r\n--=_bound--\r\n");
	assert_lacks(buf_span(&out), "\nX-Evil");
	assert_lacks(buf_span(&out), "body");
	mime_parser_free(p);
}

/* The same notification in Portuguese: people's words change, and nothing that programs read. */
static void bounce_speaks_the_users_language(void **state)
{
	const struct dsn_recipient recipients[] = {
	    {.address = SPAN("bob@x.org"), .status = SPAN("5.1.1"), .remote_mta = SPAN("mx.x.org"), .diagnostic = SPAN("550 5.1.1 n\xc3\xa3o")},
	};
	struct dsn d = {
	    .reporting_mta = SPAN("mail.example.org"), .postmaster = SPAN("postmaster@example.org"), .recipient = SPAN("alice@example.org"),
	    .message_id = SPAN("<1@example.org>"), .boundary = SPAN("bound"), .now = 1767261600, .recipients = recipients, .recipient_count = 1,
	    .original_header = SPAN("Subject: hi\r\n\r\n")};
	const struct mime_tree *tree;
	struct mime_parser *p;
	BUF_AUTO out = {0};
	BUF_AUTO english = {0};

	(void)state;
	dsn_build(&d, &english);
	d.language = LANGUAGE_PORTUGUESE;
	dsn_build(&d, &out);
	p = parse(buf_span(&out), &tree);
	assert_int_equal(tree->part_count, 4);
	assert_span(mime_parameter_value(&tree->parts[1].params, SPAN("charset")), "utf-8");
	mime_parser_free(p);
	assert_contains(buf_span(&out), "está bem escrito.\r\n    A resposta de mx.x.org foi:\r\n      550 5.1.1 n??o\r\n");
	assert_contains(buf_span(&out), "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--=_bound\r\n");
	assert_contains(buf_span(&out), "\r\nSubject: =?utf-8?");
	ssize_t report = span_find(buf_span(&out), SPAN("Content-Type: message/delivery-status"));
	assert_true(report > 0);
	assert_contains(buf_span(&english), buf_cstr(&out) + report);
}

static void languages_are_told_by_their_tags(void **state)
{
	enum language l;

	(void)state;
	assert_int_equal(language_parse(SPAN("pt-BR"), &l), 0);
	assert_int_equal(l, LANGUAGE_PORTUGUESE);
	assert_int_equal(language_parse(SPAN("EN"), &l), 0);
	assert_int_equal(l, LANGUAGE_ENGLISH);
	for (const char *const *bad = (const char *const[]){"", "p", "pt-", "ptx", "de", "i-default", NULL}; *bad; bad++)
		assert_int_equal(language_parse(span_cstr(*bad), &l), -1);
}

static void returned_header_is_bounded(void **state)
{
	BUF_AUTO header = {0};
	BUF_AUTO out = {0};
	struct dsn d = {.boundary = SPAN("b")};

	(void)state;
	repeat(&header, "X-Long: value\r\n", 100000);
	d.original_header = buf_span(&header);
	dsn_build(&d, &out);
	assert_true(out.len < DSN_HEADER_MAX + 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_is_found_across_pieces),
	    cmocka_unit_test(all_of_a_long_field_is_searched),
	    cmocka_unit_test(a_long_field_of_any_kind_ends_where_it_ends),
	    cmocka_unit_test(eight_bit_parts_are_encoded),
	    cmocka_unit_test(downgrade_keeps_lines_short_and_says_what_is_unknown),
	    cmocka_unit_test(bounce_is_a_report_and_nothing_can_be_injected),
	    cmocka_unit_test(bounce_speaks_the_users_language),
	    cmocka_unit_test(languages_are_told_by_their_tags),
	    cmocka_unit_test(returned_header_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
