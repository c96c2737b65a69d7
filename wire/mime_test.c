/* The structure of messages: RFC 2045, RFC 2046, RFC 2231; hostile ones too. */
#include "wire/test.h"

#include <time.h>

#include "wire/imap_structure.h"
#include "wire/message_cache.h"
#include "wire/mime.h"
#include "wire/mime_cursor.h"

/* Parses in pieces of `step` bytes. */
static struct mime_parser *parse(struct span message, size_t step, const struct mime_tree **tree)
{
	struct mime_parser *p = mime_parser_new(NULL);

	for (size_t at = 0; at < message.len; at += step)
		mime_parser_feed(p, span_slice(message, at, step));
	*tree = mime_parser_finish(p);
	return p;
}

static struct span body_of(struct span message, const struct mime_part *part)
{
	return span_slice(message, part->body_offset, part->body_len);
}

static const char nested[] = "From: \"A \\\"B\\\" C\" <a@x.org>, Friends: b@y.org (Bee), <@r.org:c@z.org>;\r\n"
			     "Subject: =?utf-8?q?h=C3=A9?=\r\n"
			     "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
			     "MIME-Version: 1.0\r\n"
			     "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"
			     "\r\n"
			     "preamble\r\n"
			     "--b1\r\n"
			     "\r\n"
			     "first\r\n"
			     "\r\n"
			     "--b1\r\n"
			     "Content-Type: multipart/alternative; boundary=b1-2\r\n"
			     "\r\n"
			     "--b1-2\r\n"
			     "Content-Type: text/html; charset=utf-8\r\n"
			     "Content-Transfer-Encoding: 8bit\r\n"
			     "\r\n"
			     "<p>\r\n"
			     "--b1-2--\r\n"
			     "epilogue\r\n"
			     "--b1  \r\n"
			     "Content-Type: message/rfc822\r\n"
			     "Content-Disposition: attachment; filename*0*=utf-8''a%20; filename*1=\"b.eml\"\r\n"
			     "\r\n"
			     "Subject: inner\r\n"
			     "From: d@x.org\r\n"
			     "\r\n"
			     "inside\r\n"
			     "--b1--\r\n"
			     "end\r\n";

static void parts_are_found_whatever_the_pieces(void **state)
{
	struct span message = SPAN(nested);

	(void)state;
	for (size_t step = 1; step < 40; step++) {
		const struct mime_tree *tree;
		struct mime_parser *p = parse(message, step, &tree);
		struct span filename;

		assert_int_equal(tree->part_count, 6);
		assert_true(tree->parts[0].is_multipart);
		assert_span(body_of(message, &tree->parts[1]), "first\r\n");
		assert_int_equal(tree->parts[1].lines, 1);
		assert_int_equal(tree->parts[2].parent, 0);
		assert_span(body_of(message, &tree->parts[3]), "<p>");
		assert_span(tree->parts[3].subtype, "html");
		assert_true(tree->parts[4].is_message);
		assert_span(body_of(message, &tree->parts[5]), "inside");
		assert_span(tree->parts[5].envelope->subject, "inner");
		assert_span(tree->parts[0].envelope->subject, "=?utf-8?q?h=C3=A9?=");
		filename = mime_parameter_value(&tree->parts[4].disposition_params, SPAN("filename"));
		assert_span(filename, "a b.eml");
		assert_int_equal(tree->field_count, 5);
		assert_span(tree->fields[1].name, "Subject");
		assert_span(span_slice(message, tree->fields[1].offset, tree->fields[1].len),
		            "Subject: =?utf-8?q?h=C3=A9?=\r\n");
		assert_int_equal(tree->size_bytes, message.len);
		assert_false(tree->has_bare_cr || tree->has_bare_lf || tree->has_8bit || tree->has_nul);
		mime_parser_free(p);
	}
}

static void sections_are_numbered_as_imap_does(void **state)
{
	static const struct {
		uint32_t numbers[4];
		size_t n;
		uint32_t part;
	} cases[] = {{{0}, 0, 0},
	             {{1}, 1, 1},
	             {{2}, 1, 2},
	             {{2, 1}, 2, 3},
	             {{3}, 1, 4},
	             {{3, 1}, 2, 5},
	             {{4}, 1, MIME_NO_PART},
	             {{0}, 1, MIME_NO_PART},
	             {{1, 1}, 2, MIME_NO_PART},
	             {{3, 2}, 2, MIME_NO_PART},
	             {{3, 1, 1}, 3, MIME_NO_PART}};
	const struct mime_tree *tree;
	struct mime_parser *p = parse(SPAN(nested), 1000, &tree);
	struct mime_parser *single;
	uint32_t one[] = {1, 1};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(mime_find_section(tree, cases[i].numbers, cases[i].n), cases[i].part);
	mime_parser_free(p);
	single = parse(SPAN("A: b\r\n\r\nx"), 10, &tree);
	assert_int_equal(mime_find_section(tree, one, 1), 0);
	assert_int_equal(mime_find_section(tree, one, 2), MIME_NO_PART);
	mime_parser_free(single);
}

static void structure_is_rendered_from_tree_and_cache_alike(void **state)
{
	static const char body[] =
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1)"
	    "((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"8bit\" 3 0) \"alternative\")"
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 39 (NIL \"inner\" ((NIL NIL \"d\" \"x.org\")) "
	    "((NIL NIL \"d\" \"x.org\")) ((NIL NIL \"d\" \"x.org\")) NIL NIL NIL NIL NIL) "
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 0) 3) \"mixed\")";
	static const char from[] =
	    "((\"A \\\"B\\\" C\" NIL \"a\" \"x.org\")(NIL NIL \"Friends\" NIL)(\"Bee\" NIL \"b\" \"y.org\")"
	    "(NIL \"@r.org\" \"c\" \"z.org\")(NIL NIL NIL NIL))";
	const struct mime_tree *tree;
	struct mime_parser *p = parse(SPAN(nested), 1000, &tree);
	struct mime_tree cached;
	ARENA_AUTO arena = {0};
	BUF_AUTO bytes = {0};
	BUF_AUTO one = {0};
	BUF_AUTO two = {0};

	(void)state;
	message_cache_pack(tree, &bytes);
	assert_int_equal(message_cache_unpack(buf_span(&bytes), &arena, &cached, NULL), 0);
	imap_render_body(tree, 0, false, 0, &one);
	assert_span(buf_span(&one), body);
	imap_render_body(&cached, 0, false, 0, &two);
	assert_span(buf_span(&two), body);
	buf_clear(&one);
	imap_render_body(&cached, 0, true, 0, &one);
	assert_contains(buf_span(&one), "(\"attachment\" (\"filename*0*\" \"utf-8''a%20\" \"filename*1\" \"b.eml\"))");
	buf_clear(&one);
	imap_render_envelope(cached.parts[0].envelope, 0, &one);
	assert_contains(buf_span(&one), "(\"Fri, 21 Nov 1997 09:55:06 -0600\" \"=?utf-8?q?h=C3=A9?=\" ");
	assert_contains(buf_span(&one), from);
	assert_int_equal(cached.field_count, 5);
	mime_parser_free(p);
}

static void damaged_caches_are_refused(void **state)
{
	const struct mime_tree *tree;
	struct mime_parser *p = parse(SPAN(nested), 1000, &tree);
	BUF_AUTO bytes = {0};
	struct mime_tree cached;

	(void)state;
	message_cache_pack(tree, &bytes);
	for (size_t n = 0; n < bytes.len; n++) {
		ARENA_AUTO arena = {0};

		assert_int_equal(message_cache_unpack(span_of(bytes.ptr, n), &arena, &cached, NULL), -1);
	}
	for (size_t n = 0; n < bytes.len; n++) {
		ARENA_AUTO arena = {0};
		BUF_AUTO out = {0};
		char before = bytes.ptr[n];

		bytes.ptr[n] = (char)~before;
		if (message_cache_unpack(buf_span(&bytes), &arena, &cached, NULL) == 0)
			imap_render_body(&cached, 0, true, 0, &out);
		bytes.ptr[n] = before;
	}
	mime_parser_free(p);
}

static void oversized_tree_gives_a_small_valid_cache(void **state)
{
	BUF_AUTO message = {0};
	BUF_AUTO bytes = {0};
	ARENA_AUTO arena = {0};
	const struct mime_tree *tree;
	struct mime_tree cached;
	struct mime_parser *p;

	(void)state;
	buf_add_cstr(&message, "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
	for (size_t i = 0; i < 9000; i++) {
		buf_add_cstr(&message, "--x\r\nContent-Type: text/plain; name=");
		repeat(&message, "n", 100);
		buf_add_cstr(&message, "\r\n\r\nb\r\n");
	}
	p = parse(buf_span(&message), 65536, &tree);
	assert_int_equal(tree->part_count, 9001);
	message_cache_pack(tree, &bytes);
	assert_true(bytes.len < 1000);
	assert_int_equal(message_cache_unpack(buf_span(&bytes), &arena, &cached, NULL), 0);
	assert_true(cached.is_partial);
	assert_int_equal(cached.size_bytes, message.len);
	mime_parser_free(p);
}

static void facts_of_the_bytes_are_noted(void **state)
{
	static const struct {
		struct span message;
		bool cr, lf, nul, high;
	} cases[] = {
	    {SPAN("a: b\r\n\r\nx\r\n"), false, false, false, false},
	    {SPAN("a: b\n\nx\n"), false, true, false, false},
	    {SPAN("a: b\r\n\r\nx\ry\r\n"), true, false, false, false},
	    {SPAN("a: b\r\n\r\nx\r"), true, false, false, false},
	    {SPAN("a: b\r\n\r\n\0\r\r\n"), true, false, true, false},
	    {SPAN("a: \xff\r\n\r\n\n"), false, true, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 5; step++) {
			const struct mime_tree *tree;
			struct mime_parser *p = parse(cases[i].message, step, &tree);

			assert_int_equal(tree->has_bare_cr, cases[i].cr);
			assert_int_equal(tree->has_bare_lf, cases[i].lf);
			assert_int_equal(tree->has_nul, cases[i].nul);
			assert_int_equal(tree->has_8bit, cases[i].high);
			mime_parser_free(p);
		}
	}
}

static void odd_messages_have_a_root(void **state)
{
	static const char *const messages[] = {"",
	                                       "\r\n",
	                                       "x",
	                                       "a: b",
	                                       "a: b\r\n",
	                                       " \r\n\r\n",
	                                       ":\r\n",
	                                       "Content-Type: message/rfc822\r\n\r\n",
	                                       "Content-Type: multipart/mixed\r\n\r\n--\r\n",
	                                       "Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n--\r\n",
	                                       "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a",
	                                       "Content-Type: multipart/mixed; boundary=a\r\n--a\r\n--a--\r\n--a\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		const struct mime_tree *tree;
		struct mime_parser *p = parse(span_cstr(messages[i]), 3, &tree);
		BUF_AUTO out = {0};

		assert_true(tree->part_count >= 1);
		imap_render_body(tree, 0, true, 0, &out);
		assert_true(out.len > 0);
		mime_parser_free(p);
	}
}

static void boundary_that_is_a_prefix_of_another_is_no_match(void **state)
{
	const struct mime_tree *tree;
	struct span message =
	    SPAN("Content-Type: multipart/mixed; boundary=a\r\n\r\n--ab\r\n--a\r\n\r\nx\r\n--a-\r\n--a--\r\n--a\r\n");
	struct mime_parser *p = parse(message, 7, &tree);

	(void)state;
	assert_int_equal(tree->part_count, 2);
	assert_span(body_of(message, &tree->parts[1]), "x\r\n--a-");
	mime_parser_free(p);
}

static void parameter_sections_are_joined(void **state)
{
	static const struct {
		const char *params, *want;
	} cases[] = {
	    {"name*0=\"a\"; name*1=\"b\"", "ab"},
	    {"name*1=b; name*0=a", "ab"},
	    {"name*0=a; name*2=c", "a"},
	    {"name*0=a; name*0=x; name*1=b", "ab"},
	    {"name*=utf-8'en'%C3%A9; name=e", "\xc3\xa9"},
	    {"name*=iso-8859-1''%E9", "\xc3\xa9"},
	    {"name=\"=?utf-8?B?w6k=?=\"", "\xc3\xa9"},
	    {"name*4294967295=a; name*0=b", "b"},
	    {"x=(c) y; name=\"a;b\\\"c\"", "a;b\"c"},
	    {"; ;name = a b; name=c", "a"},
	    /* RFC 2231 §4.1 */
	    {"name*0*=us-ascii'en'This%20is%20even%20more%20; name*1*=%2A%2A%2Afun%2A%2A%2A%20; name*2=\"isn't it!\"",
	     "This is even more ***fun*** isn't it!"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO message = {0};
		const struct mime_tree *tree;
		struct mime_parser *p;

		buf_printf(&message, "Content-Type: application/x; %s\r\n\r\n", cases[i].params);
		p = parse(buf_span(&message), 1000, &tree);
		assert_span(mime_parameter_value(&tree->parts[0].params, SPAN("name")), cases[i].want);
		mime_parser_free(p);
	}
}

enum hostile {
	DEEP_MULTIPARTS,
	DEEP_MESSAGES,
	MANY_PARTS,
	MANY_FIELDS,
	LONG_FIELD,
	MANY_SECTIONS,
	MANY_ADDRESSES,
	COMMENTS,
	BOUNDARY_LIKE_LINES,
	ONE_LINE,
	HOSTILE_KINDS
};

static void add_deep_multiparts(struct buf *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(m, "Content-Type: multipart/mixed; boundary=%zu\r\n\r\n--%zu\r\n", i, i);
}

static void make_hostile(enum hostile kind, size_t n, struct buf *m)
{
	switch (kind) {
	case DEEP_MULTIPARTS: add_deep_multiparts(m, n / 10); return;
	case DEEP_MESSAGES: repeat(m, "Content-Type: message/rfc822\r\n\r\n", n); return;
	case MANY_PARTS:
		buf_add_cstr(m, "Content-Type: multipart/digest; boundary=x\r\n\r\n");
		repeat(m, "--x\r\n\r\n\r\n", n);
		return;
	case MANY_FIELDS: repeat(m, "To: a@b.c\r\n", n); return;
	case LONG_FIELD:
		buf_add_cstr(m, "To: ");
		repeat(m, "a@b.c,\r\n ", n);
		return;
	case MANY_SECTIONS:
		buf_add_cstr(m, "Content-Type: text/plain");
		for (size_t i = 0; i < n; i++)
			buf_printf(m, ";\r\n name*%zu*=%%41", i);
		return;
	case MANY_ADDRESSES:
		buf_add_cstr(m, "From: ");
		repeat(m, "a:b<c@d>;", n);
		return;
	case COMMENTS:
		buf_add_cstr(m, "From: ");
		repeat(m, "((((((", n);
		return;
	case BOUNDARY_LIKE_LINES:
		add_deep_multiparts(m, 100);
		repeat(m, "--0-\r\n--1\r\r\n", n);
		return;
	case ONE_LINE:
		buf_add_cstr(m, "\r\n");
		repeat(m, "aaaaaaaaaaa", n);
		return;
	case HOSTILE_KINDS: return;
	}
}

/* G10: a second of processor time for 50 MB; here there are a few MB under a sanitizer. */
static void hostile_messages_are_bounded(void **state)
{
	(void)state;
	for (enum hostile kind = 0; kind < HOSTILE_KINDS; kind++) {
		BUF_AUTO message = {0};
		BUF_AUTO out = {0};
		BUF_AUTO cache = {0};
		const struct mime_tree *tree;
		struct mime_parser *p;
		clock_t start, end;

		make_hostile(kind, 100000, &message);
		start = clock();
		p = parse(buf_span(&message), 65536, &tree);
		imap_render_body(tree, 0, true, 0, &out);
		imap_render_envelope(tree->parts[0].envelope, 0, &out);
		message_cache_pack(tree, &cache);
		end = clock();
		assert_true(tree->part_count <= 10000 && tree->field_count <= 10000);
		assert_true(out.len <= 16 * 1024 * 1024 && cache.len <= MESSAGE_CACHE_MAX);
		if (end - start > 3 * CLOCKS_PER_SEC)
			fail_msg("kind %d takes %ld ms", kind, (long)((end - start) * 1000 / CLOCKS_PER_SEC));
		mime_parser_free(p);
	}
}

/* Writes what a cursor says: for each header and body its part and bytes. */
static void write_ranges(struct mime_cursor *c, struct span bytes, uint32_t *part, enum mime_range_kind *kind, struct buf *out)
{
	struct mime_range range;

	while (mime_cursor_next(c, &bytes, &range)) {
		if (range.kind != *kind || range.part != *part)
			buf_printf(out, "|%s %u:", range.kind == MIME_RANGE_HEADER ? "h" : range.kind == MIME_RANGE_BODY ? "b" : "-", range.part);
		*kind = range.kind;
		*part = range.part;
		buf_add(out, range.bytes);
	}
}

static void ranges_of(struct span message, size_t step, bool is_live, struct buf *out)
{
	struct mime_parser *p = mime_parser_new(NULL);
	struct mime_cursor c = {0};
	uint32_t part = MIME_NO_PART;
	enum mime_range_kind kind = MIME_RANGE_BETWEEN;
	uint64_t settled = 0;

	buf_clear(out);
	for (size_t at = 0; at <= message.len; at += step) {
		mime_parser_feed(p, span_slice(message, at, step));
		if (at + step > message.len)
			mime_parser_finish(p);
		c.tree = mime_parser_so_far(p, &settled);
		uint64_t fed = at + step < message.len ? at + step : message.len;
		assert_true(settled <= fed && settled >= c.offset && fed - settled < 1100);
		if (is_live)
			write_ranges(&c, span_slice(message, c.offset, settled - c.offset), &part, &kind, out);
	}
	assert_int_equal(settled, message.len);
	if (!is_live)
		write_ranges(&c, message, &part, &kind, out);
	mime_parser_free(p);
}

static void a_tree_that_grows_says_of_each_byte_what_the_whole_one_says(void **state)
{
	static const char *const messages[] = {
	    nested, "", "\r\n", "a: b", "a: b\r\n", "a: b\r\n\r\n", "a: b\n\nc\r\rd\r", "--\r\n\r\n--\r\n-",
	    "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n\r\n--x\n\n\r\n--x\r\nA: b\r\n--x\r\n\r\n--y\r\n\r\r\n--x--\r\n--x\r\nend",
	    "Content-Type: multipart/digest; boundary=\"-\"\r\n\r\n---\r\n\r\nSubject: a\r\n\r\n--\r\n---\r\n\r\n---\r\n-----\r\n---\r\n--",
	    "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\n--b\r\n--b--",
	};
	BUF_AUTO whole = {0};
	BUF_AUTO pieces = {0};
	BUF_AUTO longer = {0};

	(void)state;
	for (size_t n = 0; n < sizeof messages / sizeof messages[0]; n++) {
		ranges_of(span_cstr(messages[n]), 1 << 20, false, &whole);
		for (size_t step = 1; step < 60; step++) {
			ranges_of(span_cstr(messages[n]), step, true, &pieces);
			assert_span(buf_span(&pieces), buf_cstr(&whole));
		}
	}
	/* lines of all lengths that may begin a boundary, around the one up to which they may be one */
	for (size_t len = 1018; len < 1034; len++) {
		buf_clear(&longer);
		buf_add_cstr(&longer, "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nbody\r\n--x");
		while (longer.len < 62 + len)
			buf_add_char(&longer, ' ');
		buf_add_cstr(&longer, "\r\nA: b\r\n\r\nnext\r\n--x--\r\n");
		ranges_of(buf_span(&longer), 1 << 20, false, &whole);
		for (size_t step = 1; step < 40; step += 3) {
			ranges_of(buf_span(&longer), step, true, &pieces);
			assert_span(buf_span(&pieces), buf_cstr(&whole));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parts_are_found_whatever_the_pieces),
    cmocka_unit_test(a_tree_that_grows_says_of_each_byte_what_the_whole_one_says),
	    cmocka_unit_test(sections_are_numbered_as_imap_does),
	    cmocka_unit_test(structure_is_rendered_from_tree_and_cache_alike),
	    cmocka_unit_test(damaged_caches_are_refused),
	    cmocka_unit_test(oversized_tree_gives_a_small_valid_cache),
	    cmocka_unit_test(facts_of_the_bytes_are_noted),
	    cmocka_unit_test(odd_messages_have_a_root),
	    cmocka_unit_test(boundary_that_is_a_prefix_of_another_is_no_match),
	    cmocka_unit_test(parameter_sections_are_joined),
	    cmocka_unit_test(hostile_messages_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
