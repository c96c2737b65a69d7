/* What searching, sorting and threading are based on: base subjects (RFC 5256 §2.1), HTML's text, folding, summaries, kept texts. */
#include "wire/test.h"

#include "wire/casefold.h"
#include "wire/gathered_text.h"
#include "wire/html_text.h"
#include "wire/imap_envelope.h"
#include "wire/message_summary.h"
#include "wire/subject.h"

static void base_subjects_are_found(void **state)
{
	static const struct {
		const char *in, *out;
		bool is_reply;
	} cases[] = {
	    {"", "", false},
	    {"plain", "plain", false},
	    {"  a \t b  ", "a b", false},
	    {"Re: a", "a", true},
	    {"RE:a", "a", true},
	    {"re  : a", "a", true},
	    {"Fw: a", "a", true},
	    {"Fwd: Re: FWD: a", "a", true},
	    {"Re[2]: a", "a", true},
	    {"re [x] : a", "a", true},
	    {"[list] a", "a", false},
	    {"[list] Re: a", "a", true},
	    {"[a] [b] c", "c", false},
	    {"[a] [b]", "[b]", false},
	    {"[only]", "[only]", false},
	    {"Re: [list]", "[list]", true},
	    {"a (fwd)", "a", true},
	    {"a (FWD) (fwd) ", "a", true},
	    {"[fwd: a]", "a", true},
	    {"[Fwd: Re: a (fwd)]", "a", true},
	    {"[fwd: [fwd: a]]", "a", true},
	    {"[fwd: a] b", "b", false},
	    {"reply: a", "reply: a", false},
	    {"Re", "Re", false},
	    {"Re:", "", true},
	    {"(fwd)", "", true},
	    {"=?utf-8?q?Re=3A_Ol=C3=A1?=", "Ol\xc3\xa1", true},
	    {"Re:\r\n a", "a", true},
	    {"[unclosed a", "[unclosed a", false},
	    {"[[nested]] a", "[[nested]] a", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO out = {0};
		bool is_reply = subject_base(span_cstr(cases[i].in), &out);
		if (!span_equal(buf_span(&out), span_cstr(cases[i].out)) || is_reply != cases[i].is_reply)
			fail_msg("\"%s\" gave \"%.*s\" %d", cases[i].in, SPAN_ARG(buf_span(&out)), is_reply);
	}
}

static void long_subjects_take_linear_time(void **state)
{
	static const char *const pieces[] = {"[a]", "re:", "[a] re: ", "(fwd)", "[fwd:", "re[", "[a]x"};
	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		BUF_AUTO text = {0}, out = {0};
		repeat(&text, pieces[i], 200000);
		subject_base(buf_span(&text), &out);
	}
}

static void html_becomes_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"plain", "plain"},
	    {"<p>one</p><p>two</p>", "one two "},
	    {"t<b>w</b>o", "two"},
	    {"a<br>b<BR/>c", "a b c"},
	    {"<a href=\"x>y\">link</a>", "link"},
	    {"<!-- no <b> --->yes", "yes"},
	    {"<!DOCTYPE html>yes", "yes"},
	    {"<script>if (a < b) no()</script>yes", "yes"},
	    {"<style>p {}</style >yes", "yes"},
	    {"a &lt; b &amp; c &#65;&#x42; &eacute;&nbsp;x", "a < b & c AB \xc3\xa9 x"},
	    {"&unknown; &amp &; & b &#xzz; &#99999999;", "&unknown; & &; & b &#xzz; &#99999999;"},
	    {"1 < 2 <3", "1 < 2 <3"},
	    {"so&shy;ft", "soft"},
	    {"end <", "end <"},
	    {"end &amp", "end &"},
	    {"end &am", "end &am"},
	    {"open <b", "open "},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 8; step++) {
			struct html_text h = {.is_spaced = true};
			BUF_AUTO out = {0};
			struct span in = span_cstr(cases[i].in);
			for (size_t at = 0; at < in.len; at += step)
				html_text_feed(&h, span_slice(in, at, step), &out);
			html_text_end(&h, &out);
			if (!span_equal(buf_span(&out), span_cstr(cases[i].out)))
				fail_msg("%s\ngave \"%.*s\"", cases[i].in, SPAN_ARG(buf_span(&out)));
		}
}

static void a_tag_without_end_does_not_hide_everything(void **state)
{
	struct html_text h = {0};
	BUF_AUTO in = {0}, out = {0};
	(void)state;
	buf_add_cstr(&in, "<a title=\"");
	repeat(&in, "x", HTML_TAG_MAX);
	buf_add_cstr(&in, "the rest");
	html_text_feed(&h, buf_span(&in), &out);
	assert_contains(buf_span(&out), "the rest");
}

static void what_people_take_for_equal_is_folded_alike(void **state)
{
	static const char *const pairs[][2] = {
	    {"STRASSE", "stra\xc3\x9f" "e"}, {"\xc3\x89", "e\xcc\x81"}, {"\xef\xbc\xa1\xef\xbc\xa2", "ab"}, {"\xef\xac\x81", "FI"}, {"\xef\xbd\xb6", "\xe3\x82\xab"},
	    {"\xce\xa3", "\xcf\x82"}, {"\xe2\x84\xa1", "tel"}, {"\xc7\x85", "d\xc5\xbe"}, {"\xe4\xb8\xad", "\xe4\xb8\xad"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		BUF_AUTO a = {0}, b = {0};
		casefold_search(span_cstr(pairs[i][0]), &a);
		casefold_search(span_cstr(pairs[i][1]), &b);
		assert_span(buf_span(&a), buf_cstr(&b));
		/* folding again changes nothing */
		BUF_AUTO again = {0};
		casefold_search(buf_span(&a), &again);
		assert_span(buf_span(&again), buf_cstr(&a));
	}
	BUF_AUTO key = {0};
	/* RFC 5051: titlecased, decomposed; so "_" comes behind the letters */
	casemap_unicode(SPAN("a_\xc3\xa9\0\xc7\x86\xff"), &key);
	assert_span(buf_span(&key), "A_E\xcc\x81" "D" "z\xcc\x8c" "\xef\xbf\xbd");
}

/* ---- summaries ---- */

static void summarise(const char *message, struct buf *packed, struct span columns[SUMMARY_COLUMNS])
{
	struct mime_parser *p = mime_parser_new(NULL);
	mime_parser_feed(p, span_cstr(message));
	assert_true(message_summary_pack(mime_parser_finish(p), packed));
	mime_parser_free(p);
	assert_int_equal(message_summary_unpack(buf_span(packed), columns), 0);
}

static void a_summary_has_what_sorting_needs(void **state)
{
	static const char message[] =
	    "Date: Tue, 24 Nov 2026 01:00:00 +0200\r\nSubject: Re: =?utf-8?q?Ol=C3=A1?= there\r\nFrom: \"=?utf-8?q?Zo=C3=AB?=\" <zoe@x.example>, b@y\r\n"
	    "To: plain@x.example\r\nCc: Group: a@b;\r\nMessage-ID: <\"a b\"@x>\r\nReferences: <1@x> <2@x>\r\nIn-Reply-To: <3@x>\r\n\r\nbody\r\n";
	BUF_AUTO packed = {0};
	struct span c[SUMMARY_COLUMNS];
	(void)state;
	summarise(message, &packed, c);
	assert_span(c[SUMMARY_SUBJECT], "\001re: ola\xcc\x81 there");
	assert_span(c[SUMMARY_FROM], "\001\"zoe\xcc\x88\" <zoe@x.example>, b@y");
	assert_true(c[SUMMARY_BCC].len == 1 && c[SUMMARY_BCC].ptr[0] == SUMMARY_ABSENT);
	assert_span(c[SUMMARY_BASE_SUBJECT], "\001OLA\xcc\x81 THERE");
	assert_span(c[SUMMARY_SORT_FROM], "ZOE");
	assert_span(c[SUMMARY_DISPLAY_FROM], "ZOE\xcc\x88");
	assert_span(c[SUMMARY_DISPLAY_TO], "PLAIN@X.EXAMPLE");
	assert_span(c[SUMMARY_SORT_CC], "GROUP");
	assert_int_equal(c[SUMMARY_DATE].len, 17);
	assert_int_equal(c[SUMMARY_THREAD].len, 3 * 8);
	/* the same id, quoted or not (RFC 5256 §3) */
	BUF_AUTO other = {0};
	struct span d[SUMMARY_COLUMNS];
	summarise("Message-ID: <x@y>\r\nIn-Reply-To: (a) <a\\b@q> <\"1\"@x>\r\n\r\n", &other, d);
	BUF_AUTO third = {0};
	struct span e[SUMMARY_COLUMNS];
	summarise("Message-ID: <\"x\"@y>\r\nReferences: nothing <no-at-sign> <\r\n\r\n", &third, e);
	assert_memory_equal(d[SUMMARY_THREAD].ptr, e[SUMMARY_THREAD].ptr, 8);
	assert_int_equal(d[SUMMARY_THREAD].len, 16);
	assert_int_equal(e[SUMMARY_THREAD].len, 8);
}

static void what_a_summary_cannot_hold_is_marked(void **state)
{
	BUF_AUTO message = {0}, packed = {0};
	struct span c[SUMMARY_COLUMNS];
	(void)state;
	buf_add_cstr(&message, "Subject: ");
	repeat(&message, "\xc3\xa9", 2000);
	buf_add_cstr(&message, "\r\nFrom: a\r\nFrom: b\r\nReferences: ");
	for (int i = 0; i < 200; i++)
		buf_printf(&message, "<%d@x> ", i);
	buf_add_cstr(&message, "\r\n\r\n");
	summarise(buf_cstr(&message), &packed, c);
	assert_true(c[SUMMARY_SUBJECT].ptr[0] == SUMMARY_PART && c[SUMMARY_SUBJECT].len <= SUMMARY_VALUE_MAX);
	assert_int_equal(c[SUMMARY_FROM].ptr[0], SUMMARY_PART);
	assert_int_equal(c[SUMMARY_THREAD].len, 8 + SUMMARY_REFERENCES_MAX * 8);
	assert_true(packed.len <= SUMMARY_BYTES_MAX);
}

/* RFC 3501 §7.4.2, ENVELOPE; without From all of From, Sender and Reply-To are NIL */
static void an_envelope_is_kept_where_it_needs_no_literal(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
	    {"Subject: a \"b\\c\r\nFrom: Ann <a@b>, c@d\r\nTo: g:;\r\nMessage-ID: <1@x>\r\n\r\n",
	     "(NIL \"a \\\"b\\\\c\" ((\"Ann\" NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) ((\"Ann\" NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) "
	     "((\"Ann\" NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) ((NIL NIL \"g\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL \"<1@x>\")"},
	    {"Subject: ol\xc3\xa1\r\n\r\n", ""},
	};
	BUF_AUTO message = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO packed = {0};
		struct span c[SUMMARY_COLUMNS];
		summarise(cases[i].in, &packed, c);
		assert_span(c[SUMMARY_ENVELOPE], cases[i].out);
	}
	BUF_AUTO packed = {0};
	struct span c[SUMMARY_COLUMNS];
	buf_add_cstr(&message, "Subject: ");
	repeat(&message, "word ", 250);
	buf_add_cstr(&message, "\r\n\r\n");
	summarise(buf_cstr(&message), &packed, c);
	assert_int_equal(c[SUMMARY_ENVELOPE].len, 0);
}

static void what_is_no_envelope_is_not_given_to_clients(void **state)
{
#define LISTS "NIL NIL ((NIL NIL \"a\" \"b\")) NIL NIL NIL "
	static const char *const refused[] = {
	    "", "(", "NIL", "(NIL NIL " LISTS "NIL NIL", "(NIL NIL " LISTS "NIL NIL) ", "(NIL NIL " LISTS "NIL NIL)\r\n", "(NIL NIL " LISTS "NIL)",
	    "(NIL NIL " LISTS "NIL NIL NIL)", "(NIL \"a\r\nb\" " LISTS "NIL NIL)", "(NIL \"a\x01\" " LISTS "NIL NIL)", "(NIL \"\xc3\xa1\" " LISTS "NIL NIL)",
	    "(NIL \"a\\b\" " LISTS "NIL NIL)", "(NIL \"a\\", "(NIL {1}\r\na " LISTS "NIL NIL)", "(NIL atom " LISTS "NIL NIL)", "(NIL  NIL " LISTS "NIL NIL)",
	    "(NIL NIL \"a\" NIL NIL NIL NIL NIL NIL NIL)", "(NIL NIL () NIL NIL NIL NIL NIL NIL NIL)", "(NIL NIL ((NIL NIL NIL)) NIL NIL NIL NIL NIL NIL NIL)", "(NIL NIL ((NIL NIL NIL NIL NIL)) NIL NIL NIL NIL NIL NIL NIL)",
	    "(NIL NIL ((NIL NIL NIL NIL) (NIL NIL NIL NIL)) NIL NIL NIL NIL NIL NIL NIL)",
	};
	(void)state;
	assert_true(imap_envelope_is_valid(SPAN("(NIL \"a\\\"\\\\ \tb\" " LISTS "NIL NIL)")));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (imap_envelope_is_valid(span_cstr(refused[i])))
			fail_msg("taken: %s", refused[i]);
	assert_false(imap_envelope_is_valid(SPAN("(NIL \"\0\" " LISTS "NIL NIL)")));
#undef LISTS
}

static void damaged_summaries_are_refused(void **state)
{
	BUF_AUTO packed = {0};
	struct span c[SUMMARY_COLUMNS];
	(void)state;
	summarise("Subject: a\r\n\r\n", &packed, c);
	assert_int_equal(message_summary_unpack(SPAN(""), c), -1);
	for (size_t len = 0; len < packed.len; len++)
		assert_int_equal(message_summary_unpack(span_slice(buf_span(&packed), 0, len), c), -1);
	packed.ptr[1]++; /* another version of Unicode */
	assert_int_equal(message_summary_unpack(buf_span(&packed), c), -1);
}

/* ---- kept texts ---- */

static const char multi[] = "Subject: Alpha\r\nX-Long: one\r\nX-Long: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst TEXT\r\n"
			    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nsecond\r\n--b--\r\n";

static void gather(const char *message, size_t step, struct buf *out)
{
	struct gathered_text g = {0};
	struct mime_parser *p = mime_parser_new(NULL);
	struct message_text *t = message_text_new(p, gathered_text_sink(&g));
	struct span in = span_cstr(message);
	for (size_t at = 0; at < in.len; at += step)
		message_text_feed(t, span_slice(in, at, step));
	message_text_finish(t);
	message_text_free(t);
	mime_parser_free(p);
	gathered_text_pack(&g, out);
	gathered_text_free(&g);
}

/* Kept or not, a text has the same needles in it. */
static void kept_texts_are_searched_as_messages_are(void **state)
{
	static const struct text_search_needle needles[] = {
	    {TEXT_SEARCH_BODY, {0}, SPAN("first text")}, {TEXT_SEARCH_BODY, {0}, SPAN("subject: inner")}, {TEXT_SEARCH_BODY, {0}, SPAN("alpha")},
	    {TEXT_SEARCH_TEXT, {0}, SPAN("subject: alpha")}, {TEXT_SEARCH_TEXT, {0}, SPAN("second")}, {TEXT_SEARCH_BODY, {0}, SPAN("textsubject")},
	    {TEXT_SEARCH_HEADER, SPAN("x-LONG"), SPAN("two")}, {TEXT_SEARCH_HEADER, SPAN("x-lon"), SPAN("two")}, {TEXT_SEARCH_HEADER, SPAN("Subject"), SPAN("inner")},
	    {TEXT_SEARCH_HEADER, SPAN("X-Long"), SPAN("")}, {TEXT_SEARCH_HEADER, SPAN("X-None"), SPAN("")}, {TEXT_SEARCH_BODY, {0}, SPAN("")}, {TEXT_SEARCH_TEXT, {0}, SPAN("onetwo")},
	};
	enum { COUNT = sizeof(needles) / sizeof(needles[0]) };
	(void)state;
	for (size_t step = 1; step < 400; step += 37) {
		BUF_AUTO text = {0};
		struct text_search *s = text_search_new(needles, COUNT);
		struct mime_parser *p = mime_parser_new(NULL);
		struct message_text *t = message_text_new(p, text_search_sink(s));
		message_text_feed(t, SPAN(multi));
		message_text_finish(t);
		gather(multi, step, &text);
		for (size_t i = 0; i < COUNT; i++)
			if (gathered_text_matches(buf_span(&text), &needles[i]) != text_search_matched(s, i))
				fail_msg("needle %zu, steps of %zu", i, step);
		message_text_free(t);
		mime_parser_free(p);
		text_search_free(s);
	}
	/* any bytes may be taken for a text */
	assert_false(gathered_text_matches(SPAN("\xff\xff\xfe\xff"), &needles[0]));
	assert_false(gathered_text_matches(SPAN(""), &needles[6]));
}

static void long_texts_are_cut_and_say_so(void **state)
{
	struct gathered_text g = {0};
	struct message_text_sink sink = gathered_text_sink(&g);
	BUF_AUTO text = {0}, packed = {0};
	(void)state;
	repeat(&text, "0123456789abcdef", GATHERED_TEXT_MAX / 16);
	sink.take(sink.context, &(struct message_text_chunk){.part = 1, .text = buf_span(&text), .is_first = true});
	assert_true(g.is_cut);
	gathered_text_pack(&g, &packed);
	assert_true(packed.len <= GATHERED_TEXT_MAX + 1);
	gathered_text_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base_subjects_are_found),
	    cmocka_unit_test(long_subjects_take_linear_time),
	    cmocka_unit_test(html_becomes_text),
	    cmocka_unit_test(a_tag_without_end_does_not_hide_everything),
	    cmocka_unit_test(what_people_take_for_equal_is_folded_alike),
	    cmocka_unit_test(a_summary_has_what_sorting_needs),
	    cmocka_unit_test(what_a_summary_cannot_hold_is_marked),
	    cmocka_unit_test(an_envelope_is_kept_where_it_needs_no_literal),
	    cmocka_unit_test(what_is_no_envelope_is_not_given_to_clients),
	    cmocka_unit_test(damaged_summaries_are_refused),
	    cmocka_unit_test(kept_texts_are_searched_as_messages_are),
	    cmocka_unit_test(long_texts_are_cut_and_say_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
