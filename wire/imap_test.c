/* IMAP as text: where commands end, their tokens and arguments, modified UTF-7. RFC 3501, RFC 7888, RFC 5258. */
#include "wire/test.h"

#include "wire/imap_command.h"
#include "wire/imap_fetch.h"
#include "wire/imap_list.h"
#include "wire/imap_search.h"
#include "wire/imap_utf7.h"

/* ---- modified UTF-7 ---- */

static void names_have_one_encoding(void **state)
{
	static const struct {
		const char *encoded, *name; /* name NULL: refused */
	} cases[] = {
	    {"INBOX", "INBOX"},
	    {"", ""},
	    /* RFC 3501 §5.1.3 */
	    {"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e"},
	    {"&Jjo-!", "\u263a!"},
	    {"&U,BTFw-&ZeVnLIqe-", NULL}, /* the RFC's example of a null shift */
	    {"&U,BTF2XlZyyKng-", "\u53f0\u5317\u65e5\u672c\u8a9e"},
	    {"&-", "&"},
	    {"a&-b", "a&b"},
	    {"&-&-", "&&"},
	    {"Entw&APw-rfe", "Entw\u00fcrfe"},
	    {"&2D3eAA-", "\U0001f600"},
	    {"&2D0-", NULL},      /* half a pair */
	    {"&3gA-", NULL},
	    {"&AGE-", NULL},      /* "a" in base64 */
	    {"&AAA-", NULL},      /* NUL */
	    {"&APw", NULL},       /* no end */
	    {"&AP-", NULL},       /* cut */
	    {"&APx-", NULL},      /* bits left over */
	    {"&APw=-", NULL},
	    {"&AP/8-", NULL},     /* "/" is not in the alphabet */
	    {"&", NULL},
	    {"\xc3\xbc", NULL},
	    {"a\tb", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO out = {0};
		int got = imap_utf7_decode(span_cstr(cases[i].encoded), &out);
		BUF_AUTO back = {0};

		if (got != (cases[i].name ? 0 : -1))
			fail_msg("%s: %d", cases[i].encoded, got);
		if (got)
			continue;
		assert_span(buf_span(&out), cases[i].name);
		imap_utf7_encode(buf_span(&out), &back);
		assert_span(buf_span(&back), cases[i].encoded);
	}
}

/* ---- where a command ends ---- */

static void commands_end_where_they_should(void **state)
{
	static const struct {
		const char *in;
		enum imap_scan_result result;
		size_t taken;
		uint64_t literal;
		bool waits;
	} cases[] = {
	    {"a NOOP\r\nb NOOP\r\n", IMAP_SCAN_LINE, 8, 0, false},
	    {"a NOOP\nb", IMAP_SCAN_LINE, 7, 0, false},
	    {"a NO", IMAP_SCAN_MORE, 4, 0, false},
	    {"a LOGIN {11}\r\nFRED", IMAP_SCAN_LITERAL, 14, 11, true},
	    {"A001 LOGIN {11+}\r\n", IMAP_SCAN_LITERAL, 18, 11, false}, /* RFC 7888 §3 */
	    {"a LOGIN {0}\r\n", IMAP_SCAN_LITERAL, 13, 0, true},
	    {"a LOGIN {4294967295}\r\n", IMAP_SCAN_LITERAL, 22, 4294967295, true},
	    {"a LOGIN {4294967296}\r\n", IMAP_SCAN_LITERAL, 22, UINT64_MAX, true},
	    {"a LOGIN {18446744073709551616+}\r\n", IMAP_SCAN_LITERAL, 33, UINT64_MAX, false},
	    {"a LOGIN {99999999999+}\r\n", IMAP_SCAN_LITERAL, 24, UINT64_MAX, false},
	    {"a LOGIN {-1}\r\n", IMAP_SCAN_LINE, 14, 0, false},
	    {"a LOGIN {}\r\n", IMAP_SCAN_LINE, 12, 0, false},
	    {"a LOGIN {+}\r\n", IMAP_SCAN_LINE, 13, 0, false},
	    {"a LOGIN 5}\r\n", IMAP_SCAN_LINE, 12, 0, false},
	    {"a LOGIN {5}\n", IMAP_SCAN_LINE, 12, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_scanner whole = {0}, cut = {0};
		enum imap_scan_result result = IMAP_SCAN_MORE;
		struct span in = span_cstr(cases[i].in);
		size_t at = 0;

		assert_int_equal(imap_scan(&whole, in, &result), cases[i].taken);
		assert_int_equal(result, cases[i].result);
		if (result == IMAP_SCAN_LITERAL) {
			assert_true(whole.literal_size == cases[i].literal);
			assert_int_equal(whole.literal_waits, cases[i].waits);
		}
		/* byte by byte it is the same */
		result = IMAP_SCAN_MORE;
		while (at < in.len && result == IMAP_SCAN_MORE)
			at += imap_scan(&cut, span_slice(in, at, 1), &result);
		assert_int_equal(at, cases[i].taken);
		assert_int_equal(result, cases[i].result);
	}
}

static void a_literal_hides_line_ends(void **state)
{
	struct imap_scanner s = {0};
	enum imap_scan_result result;
	struct span in = SPAN("a X {4}\r\n\r\n\r\n b {2+}\r\nxx\r\nnext");

	(void)state;
	in = span_skip(in, imap_scan(&s, in, &result));
	assert_int_equal(result, IMAP_SCAN_LITERAL);
	imap_scan_literal(&s);
	in = span_skip(in, imap_scan(&s, in, &result));
	assert_int_equal(result, IMAP_SCAN_LITERAL);
	imap_scan_literal(&s);
	in = span_skip(in, imap_scan(&s, in, &result));
	assert_int_equal(result, IMAP_SCAN_LINE);
	assert_span(in, "next");
}

/* ---- tokens ---- */

static struct imap_parser parser_of(const char *text, struct arena *a)
{
	return (struct imap_parser){.rest = span_cstr(text), .arena = a};
}

static void strings_are_read(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
		const char *rest;
	} cases[] = {
	    {"abc def", "abc", " def"},
	    {"a]b", "a]b", ""},
	    {"\"a b\" c", "a b", " c"},
	    {"\"a\\\"b\\\\\"", "a\"b\\", ""},
	    {"\"\"", "", ""},
	    {"{3}\r\na\nb x", "a\nb", " x"},
	    {"{3+}\r\nabc", "abc", ""},
	    {"\"\xc3\xbc\"", "\xc3\xbc", ""},
	    {"\"\xff\"", NULL, ""},
	    {"\"abc", NULL, ""},
	    {"\"a\\b\"", NULL, ""},
	    {"\"a\r\nb\"", NULL, ""},
	    {"{4}\r\nabc", NULL, ""},
	    {"{x}\r\nabc", NULL, ""},
	    {"(abc", NULL, ""},
	    {"\xc3\xbc", NULL, ""},
	    {"a%b", "a", "%b"},
	    {"", NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct span out;

		if (imap_take_astring(&p, &out) != (cases[i].out != NULL))
			fail_msg("%s", cases[i].in);
		if (!cases[i].out)
			continue;
		assert_span(out, cases[i].out);
		assert_span(p.rest, cases[i].rest);
	}
}

static void a_literal_with_nul_is_refused(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = span_of("{3}\r\na\0b", 8), .arena = &a};
	struct span out;

	(void)state;
	assert_false(imap_take_astring(&p, &out));
}

static void tags_are_checked(void **state)
{
	static const struct {
		const char *in;
		bool is_tag;
	} cases[] = {
	    {"a1 NOOP", true}, {"A.]x NOOP", true}, {"a+ NOOP", false},  {"* NOOP", false},
	    {"NOOP", false},   {" NOOP", false},    {"a\"b NOOP", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_parser p = parser_of(cases[i].in, NULL);
		struct span tag;

		assert_int_equal(imap_take_tag(&p, &tag), cases[i].is_tag);
	}
}

static void sequence_sets_are_read(void **state)
{
	static const struct {
		const char *in;
		size_t count; /* 0: refused */
		uint32_t first, last;
	} cases[] = {
	    {"1", 1, 1, 1},
	    {"2:4", 1, 2, 4},
	    {"4:2", 1, 2, 4}, /* RFC 3501 §9, seq-range */
	    {"*", 1, IMAP_STAR, IMAP_STAR},
	    {"3291:*", 1, 3291, IMAP_STAR},
	    {"*:4,5:7", 2, 4, IMAP_STAR},
	    {"2,4:7,9,12:*", 4, 2, 2},
	    {"0", 0, 0, 0},
	    {"1:", 0, 0, 0},
	    {"1,", 0, 0, 0},
	    {",1", 0, 0, 0},
	    {"1:2:3", 1, 1, 2}, /* and a rest that nobody takes */
	    {"4294967296", 0, 0, 0},
	    {"-1", 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_sequence_set set;

		if (imap_take_sequence_set(&p, &set) != (cases[i].count != 0))
			fail_msg("%s", cases[i].in);
		if (!cases[i].count)
			continue;
		assert_int_equal(set.count, cases[i].count);
		assert_int_equal(set.ranges[0].first, cases[i].first);
		assert_int_equal(set.ranges[0].last, cases[i].last);
	}
}

static void mailbox_names_are_decoded(void **state)
{
	static const struct {
		const char *in, *out;
		int code;
	} cases[] = {
	    {"inbox", "INBOX", 0},
	    {"\"iNbOx\"", "INBOX", 0},
	    {"Inbox/x", "INBOX/x", 0}, /* below it: LIST finds it under INBOX */
	    {"Inboxes", "Inboxes", 0},
	    {"\"inbox%\"", "inbox%", 0},
	    {"Entw&APw-rfe", "Entw\u00fcrfe", 0},
	    {"../../etc/passwd", "../../etc/passwd", 0}, /* a name is only a name */
	    {"&bad", NULL, IMAP_FAULT_NAME},
	    {"\"\"", NULL, IMAP_FAULT_NAME},
	    {"(", NULL, IMAP_FAULT_GRAMMAR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct span out;
		bool got = imap_take_mailbox(&p, &out);

		assert_int_equal(got, cases[i].out != NULL);
		if (got)
			assert_span(out, cases[i].out);
		else
			assert_int_equal(p.why.code, cases[i].code);
	}
}

static void flags_are_read(void **state)
{
	static const struct {
		const char *in;
		bool is_ok;
		uint8_t system;
		size_t keywords;
	} cases[] = {
	    {"()", true, 0, 0},
	    {"(\\Seen $Forwarded Junk)", true, IMAP_FLAG_SEEN, 2},
	    {"\\deleted \\SEEN", true, IMAP_FLAG_DELETED | IMAP_FLAG_SEEN, 0},
	    {"(\\Recent)", true, 0, 0}, /* ignored */
	    {"(\\Extension \\Seen)", true, IMAP_FLAG_SEEN, 0},
	    {"(\\*)", false, 0, 0},
	    {"(\\Seen", false, 0, 0},
	    {"(\\)", false, 0, 0},
	    {"(a  b)", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_flags flags;

		assert_int_equal(imap_take_flags(&p, true, &flags), cases[i].is_ok);
		if (!cases[i].is_ok)
			continue;
		assert_int_equal(flags.system, cases[i].system);
		assert_int_equal(flags.keyword_count, cases[i].keywords);
	}
}

/* ---- FETCH ---- */

static void fetch_items_are_read(void **state)
{
	static const struct {
		const char *in;
		size_t count; /* 0: refused */
		const char *last_label;
	} cases[] = {
	    {"ALL", 4, "ENVELOPE"},
	    {"FAST", 3, "RFC822.SIZE"},
	    {"FULL", 5, "BODY"},
	    {"FLAGS", 1, "FLAGS"},
	    {"(UID BODY.PEEK[])", 2, "BODY[]"},
	    {"body[text]", 1, "BODY[TEXT]"},
	    {"BODY[4.2.HEADER]<0.100>", 1, "BODY[4.2.HEADER]<0>"},
	    {"BODY[1.MIME]", 1, "BODY[1.MIME]"},
	    {"BODY.PEEK[HEADER.FIELDS (Date \"X Y\")]", 1, "BODY[HEADER.FIELDS (Date \"X Y\")]"},
	    {"BODY[3.HEADER.FIELDS.NOT (Date)]", 1, "BODY[3.HEADER.FIELDS.NOT (Date)]"},
	    {"(BODY BODYSTRUCTURE RFC822.SIZE RFC822)", 4, "RFC822"},
	    {"(FLAGS FLAGS)", 1, "FLAGS"},
	    {"(BODY[] BODY[]<0.1> BODY[]<0.2>)", 3, "BODY[]<0>"},
	    {"BODY[MIME]", 0, NULL},
	    {"BODY[1.]", 0, NULL},
	    {"BODY[1HEADER]", 0, NULL},
	    {"BODY[0]", 0, NULL},
	    {"BODY[]<0.0>", 0, NULL},
	    {"BODY[]<4294967296.1>", 0, NULL},
	    {"BODY[HEADER.FIELDS ()]", 0, NULL},
	    {"BODY[HEADER.FIELDS]", 0, NULL},
	    {"BODY[", 0, NULL},
	    {"(FLAGS", 0, NULL},
	    {"()", 0, NULL},
	    {"(ALL)", 0, NULL},
	    {"X", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_fetch fetch;
		bool got = imap_take_fetch(&p, &fetch);

		if (got != (cases[i].count != 0))
			fail_msg("%s", cases[i].in);
		if (!got)
			continue;
		assert_int_equal(fetch.count, cases[i].count);
		assert_span(fetch.items[fetch.count - 1].label, cases[i].last_label);
	}
}

static void deep_sections_are_refused(void **state)
{
	BUF_AUTO text = {0};
	ARENA_AUTO a = {0};
	struct imap_fetch fetch;

	(void)state;
	buf_add_cstr(&text, "BODY[1");
	repeat(&text, ".1", 10000);
	buf_add_cstr(&text, "]");
	struct imap_parser p = {.rest = buf_span(&text), .arena = &a};
	assert_false(imap_take_fetch(&p, &fetch));
}

/* ---- SEARCH ---- */

static void searches_are_read(void **state)
{
	static const struct {
		const char *in;
		bool is_ok, is_bad_charset;
	} cases[] = {
	    /* RFC 3501 §6.4.4 */
	    {"FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", true, false},
	    {"TEXT \"string not in mailbox\"", true, false},
	    {"CHARSET UTF-8 TEXT {6}\r\nabcdef", true, false},
	    {"CHARSET KOI8-R SUBJECT x", true, false},
	    {"CHARSET NONE SUBJECT x", true, true},
	    {"OR (SEEN DELETED) (UNSEEN 1:5)", true, false},
	    {"UID 1:* 2,3 NEW OLD KEYWORD $x UNKEYWORD y", true, false},
	    {"HEADER Message-ID <a@b>", true, false},
	    {"SENTON \"1-Jan-2026\" LARGER 0 SMALLER 4294967295", true, false},
	    {"NOT (NOT (NOT ALL))", true, false},
	    {"", false, false},
	    {"()", false, false},
	    {"ALL ", false, false},
	    {"(ALL", false, false},
	    {"ALL)", false, false},
	    {"NOT", false, false},
	    {"OR SEEN", false, false},
	    {"SINCE 32-Jan-2026", false, false},
	    {"LARGER 4294967296", false, false},
	    {"HEADER x", false, false},
	    {"FOO", false, false},
	    {"CHARSET UTF-8", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_search search;

		if (imap_take_search(&p, &search) != cases[i].is_ok)
			fail_msg("%s: %s", cases[i].in, p.why.text);
		assert_true(!cases[i].is_ok || search.is_bad_charset == cases[i].is_bad_charset);
	}
}

static void search_text_becomes_utf8(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = SPAN("CHARSET ISO-8859-1 SUBJECT {3}\r\na\xfc" "b"), .arena = &a};
	struct imap_search search;

	(void)state;
	assert_true(imap_take_search(&p, &search));
	assert_span(search.root->children->text, "a\xc3\xbc" "b");
}

static void deep_searches_are_refused(void **state)
{
	static const char *const pieces[] = {"NOT ", "OR ", "(", "OR ALL "};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		BUF_AUTO text = {0};
		ARENA_AUTO a = {0};
		struct imap_search search;

		repeat(&text, pieces[i], 100000);
		struct imap_parser p = {.rest = buf_span(&text), .arena = &a};
		assert_false(imap_take_search(&p, &search));
		assert_contains(span_cstr(p.why.text), "deep");
	}
}

/* ---- LIST ---- */

static void patterns_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
	    {"*", "a/b/c", true},     {"%", "a", true},        {"%", "a/b", false},      {"%/%", "a/b", true},
	    {"a/%", "a/b", true},     {"a/%", "a", false},     {"a*", "a/b", true},      {"*b", "a/b", true},
	    {"%b", "a/b", false},     {"*%*%*", "a/b/c", true}, {"a", "a", true},        {"a", "ab", false},
	    {"ab", "a", false},       {"%*", "a/b", true},     {"*x*", "a/b", false},    {"a%c", "abbc", true},
	    {"a%c", "ab/c", false},   {"a*c/%", "abc/d", true}, {"a*c/%", "abc/d/e", false}, {"%", "", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_pattern *m = imap_pattern_new(span_cstr(cases[i].pattern));

		if (imap_pattern_matches(m, span_cstr(cases[i].name)) != cases[i].matches)
			fail_msg("%s and %s", cases[i].pattern, cases[i].name);
		imap_pattern_free(m);
	}
}

static void long_patterns_match(void **state)
{
	BUF_AUTO pattern = {0};
	BUF_AUTO name = {0};

	(void)state;
	repeat(&pattern, "a", 200);
	repeat(&pattern, "*", 100);
	repeat(&pattern, "b", 200);
	repeat(&name, "a", 400);
	repeat(&name, "b", 200);
	struct imap_pattern *m = imap_pattern_new(buf_span(&pattern));
	assert_true(imap_pattern_matches(m, buf_span(&name)));
	buf_add_cstr(&name, "c");
	assert_false(imap_pattern_matches(m, buf_span(&name)));
	imap_pattern_free(m);
}

static void list_options_are_read(void **state)
{
	static const struct {
		const char *in;
		bool is_ok;
		unsigned options;
		size_t patterns;
		bool is_root;
	} cases[] = {
	    {"\"\" \"\"", true, 0, 1, true},
	    /* RFC 5258 §3: no extended LIST asks for the delimiter */
	    {"() \"\" \"\"", true, 0, 1, false},
	    {"\"\" \"\" RETURN ()", true, 0, 1, false},
	    {"\"\" (\"\" a)", true, 0, 2, false},
	    {"\"\" *", true, 0, 1, false},
	    {"~/Mail/ %", true, 0, 1, false},
	    {"\"\" (INBOX \"Sent/%\")", true, 0, 2, false},
	    /* RFC 5258 §5 */
	    {"(SUBSCRIBED RECURSIVEMATCH) \"\" \"*\"", true, IMAP_LIST_SUBSCRIBED | IMAP_LIST_RETURN_SUBSCRIBED | IMAP_LIST_RECURSIVE, 1, false},
	    {"() \"\" \"%\" RETURN (SUBSCRIBED CHILDREN)", true, IMAP_LIST_RETURN_SUBSCRIBED | IMAP_LIST_RETURN_CHILDREN, 1, false},
	    /* RFC 6154 §5.2 */
	    {"\"\" \"%\" RETURN (SPECIAL-USE)", true, IMAP_LIST_RETURN_SPECIAL_USE, 1, false},
	    {"(SPECIAL-USE) \"\" \"*\"", true, IMAP_LIST_SPECIAL_USE | IMAP_LIST_RETURN_SPECIAL_USE, 1, false},
	    {"(RECURSIVEMATCH) \"\" \"*\"", false, 0, 0, false},
	    {"(FOO) \"\" \"*\"", false, 0, 0, false},
	    {"\"\" \"*\" RETURN", false, 0, 0, false},
	    {"\"\"", false, 0, 0, false},
	    {"\"\" ()", false, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_list list;

		if (imap_take_list(&p, false, &list) != cases[i].is_ok)
			fail_msg("%s: %s", cases[i].in, p.why.text);
		if (!cases[i].is_ok)
			continue;
		assert_int_equal(list.options, cases[i].options);
		assert_int_equal(list.pattern_count, cases[i].patterns);
		assert_int_equal(list.is_root, cases[i].is_root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_have_one_encoding),
	    cmocka_unit_test(commands_end_where_they_should),
	    cmocka_unit_test(a_literal_hides_line_ends),
	    cmocka_unit_test(strings_are_read),
	    cmocka_unit_test(a_literal_with_nul_is_refused),
	    cmocka_unit_test(tags_are_checked),
	    cmocka_unit_test(sequence_sets_are_read),
	    cmocka_unit_test(mailbox_names_are_decoded),
	    cmocka_unit_test(flags_are_read),
	    cmocka_unit_test(fetch_items_are_read),
	    cmocka_unit_test(deep_sections_are_refused),
	    cmocka_unit_test(searches_are_read),
	    cmocka_unit_test(search_text_becomes_utf8),
	    cmocka_unit_test(deep_searches_are_refused),
	    cmocka_unit_test(patterns_match),
	    cmocka_unit_test(long_patterns_match),
	    cmocka_unit_test(list_options_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
