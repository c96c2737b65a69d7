/* Signatures, keys and canonical forms: RFC 6376 §3.4.5 and appendix A, RFC 8463 appendix A. */
#include "wire/dkim.h"
#include "wire/test.h"

static void lists_of_tags_are_read(void **state)
{
	static const struct {
		const char *in;
		int count;
	} cases[] = {
	    {"v=1; a=b", 2}, {"v=1;a=b;", 2}, {" v =\r\n 1 ; a_2= x y ;\r\n ", 2}, {"", 0}, {"p=", 1}, {"v=1;;a=b", -1}, {"v", -1},
	    {"v=1; v=2", -1}, {"2v=1", -1}, {"=1", -1}, {"v=1; V=1", 2}, {"a=b=c", 1}, {"a=\x01", -1},
	};
	struct tag tags[TAGS_MOST];
	BUF_AUTO many = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tag_list_parse(span_cstr(cases[i].in), tags), cases[i].count);
	assert_int_equal(tag_list_parse(SPAN("a = \r\n x y ;b=1"), tags), 2);
	assert_span(tags[0].value, "x y");
	assert_span(tags[0].whole, " \r\n x y ");
	for (int i = 0; i <= TAGS_MOST; i++)
		buf_printf(&many, "t%d=;", i);
	assert_int_equal(tag_list_parse(buf_span(&many), tags), -1);
}

static void fields_have_canonical_forms(void **state)
{
	static const struct {
		enum dkim_canonical form;
		const char *in, *out;
	} cases[] = {
	    {DKIM_RELAXED, "A: X\r\n", "a:X\r\n"},
	    {DKIM_RELAXED, "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
	    {DKIM_SIMPLE, "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n"},
	    {DKIM_RELAXED, "Subject:\r\n", "subject:\r\n"},
	    {DKIM_RELAXED, "Subject: \r\n \r\n x", "subject:x\r\n"},
	    {DKIM_SIMPLE, "A: x", "A: x\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO out = {0};

		dkim_canonical_field(cases[i].form, span_cstr(cases[i].in), &out);
		assert_span(buf_span(&out), cases[i].out);
	}
}

static void canonical_body(enum dkim_canonical form, struct span in, size_t step, struct buf *out)
{
	struct dkim_body b = {.form = form};

	for (; in.len; in = span_skip(in, step))
		dkim_body_feed(&b, span_slice(in, 0, step), out);
	dkim_body_end(&b, out);
}

static void bodies_have_canonical_forms_however_they_come(void **state)
{
	static const struct {
		const char *in, *simple, *relaxed;
	} cases[] = {
	    {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
	    {"", "\r\n", ""},
	    {"\r\n\r\n", "\r\n", ""},
	    {" \r\n\t\r\n", " \r\n\t\r\n", ""},
	    {"a", "a\r\n", "a\r\n"},
	    {"\r\na\r\n\r\nb\r\n", "\r\na\r\n\r\nb\r\n", "\r\na\r\n\r\nb\r\n"},
	    {"a \r b\r\n", "a \r b\r\n", "a \r b\r\n"},
	    {"a\t \r\n", "a\t \r\n", "a\r\n"},
	    {"a\r", "a\r\r\n", "a\r\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 8; step++) {
			BUF_AUTO simple = {0}, relaxed = {0};

			canonical_body(DKIM_SIMPLE, span_cstr(cases[i].in), step, &simple);
			canonical_body(DKIM_RELAXED, span_cstr(cases[i].in), step, &relaxed);
			assert_span(buf_span(&simple), cases[i].simple);
			assert_span(buf_span(&relaxed), cases[i].relaxed);
		}
}

/* Ten megabytes of blank lines, of blanks in one line, and of one line: what were squared would not end. */
static void large_bodies_cost_what_they_have_octets(void **state)
{
	enum { BYTES = 10 * 1024 * 1024, STEP = 4096 };
	static const char *const patterns[] = {"\r\n", " ", " \r\n", "x", " x"};

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		for (int how = DKIM_SIMPLE; how <= DKIM_RELAXED; how++) {
			BUF_AUTO in = {0}, out = {0};

			while (in.len < BYTES)
				buf_add_cstr(&in, patterns[i]);
			canonical_body((enum dkim_canonical)how, buf_span(&in), STEP, &out);
			assert_true(out.len <= in.len + 2);
		}
}

#define GOOD "v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=sel.a; h=From : To; bh=AAAA; b=AA\r\n\tAA; "

static void signatures_are_read_and_bad_ones_refused(void **state)
{
	static const struct {
		const char *in, *fault;
	} cases[] = {
	    {GOOD, NULL},
	    {GOOD "i=@sub.example.org; l=10; t=1; x=2; q=dns/txt", NULL},
	    {"v=2; a=rsa-sha256; d=e.org; s=s; h=From; bh=AA; b=AA", "unknown version"},
	    {"a=rsa-sha256; d=e.org; s=s; h=From; bh=AA; b=AA", "unknown version"},
	    {"v=1; a=rsa-md5; d=e.org; s=s; h=From; bh=AA; b=AA", "unknown algorithm"},
	    {"v=1; a=rsa-sha256; d=e.org; s=s; h=To:Subject; bh=AA; b=AA", "the From field is not signed"},
	    {"v=1; a=rsa-sha256; d=e.org; s=s; h=From; b=AA", "the tag bh= is missing"},
	    {"v=1; a=rsa-sha256; d=e.org; s=s; h=From; bh=AA", "a tag of a=, b= is missing"},
	    {"v=1; a=rsa-sha256; d=e..org; s=s; h=From; bh=AA; b=AA", "d= or s= is no domain name"},
	    {"v=1; a=rsa-sha256; d=e.org; s=; h=From; bh=AA; b=AA", "d= or s= is no domain name"},
	    {GOOD "i=@example.net", "the identity is not of the domain"},
	    {GOOD "i=@badexample.org", "the identity is not of the domain"},
	    {GOOD "t=5; x=5", "it expires before it was made"},
	    {GOOD "l=-1", "l= is no number"},
	    {GOOD "l=99999999999999999999999", "l= is no number"},
	    {GOOD "q=http", "unknown query method"},
	    {"nonsense", "the signature is no list of tags"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct dkim_signature s;
		struct error why = {0};

		assert_int_equal(dkim_signature_parse(DKIM_SIGNATURE, span_cstr(cases[i].in), &a, &s, &why), cases[i].fault ? -1 : 0);
		if (cases[i].fault)
			assert_string_equal(why.text, cases[i].fault);
	}
}

static void keys_are_read_and_bad_ones_refused(void **state)
{
	static const struct {
		const char *in;
		int result;
	} cases[] = {
	    {"v=DKIM1; k=rsa; p=AAAA", 0}, {"p=AAAA", 0}, {"v=DKIM1; p=", 0}, {"k=ed25519; p=AAAA; t=y:s", 0}, {"v=DKIM2; p=AAAA", -1},
	    {"k=rsa; v=DKIM1; p=AAAA", -1}, {"k=dsa; p=AAAA", -1}, {"v=DKIM1", -1}, {"h=sha1; p=AAAA", -1}, {"h=sha1:sha256; p=AAAA", 0},
	    {"s=tlsrpt; p=AAAA", 0}, {"s=other; p=AAAA", -1}, {"s=*; p=AAAA", 0}, {"v=spf1 -all", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ARENA_AUTO a = {0};
		struct dkim_key k;

		assert_int_equal(dkim_key_parse(span_cstr(cases[i].in), &a, &k, NULL), cases[i].result);
		if (!cases[i].result)
			assert_int_equal(k.is_for_reports, strncmp(cases[i].in, "s=tlsrpt", 8) == 0); /* RFC 8460 §3 */
	}
}

static void a_new_field_is_read_as_it_was_meant(void **state)
{
	static const char hash[32] = "0123456789abcdef0123456789abcdef";
	BUF_AUTO out = {0}, signature = {0};
	ARENA_AUTO a = {0};
	struct dkim_signature s;

	(void)state;
	for (int i = 0; i < 256; i++)
		buf_add_char(&signature, (char)i);
	struct dkim_new n = {.domain = SPAN("example.org"), .selector = SPAN("c20261125r"), .time_s = 100, .expiration_s = 200,
	                     .header_names = SPAN("From:From:To:To:Cc:Subject:Subject:Date:Date:Message-ID:Message-ID:In-Reply-To:References:"
	                                          "MIME-Version:Content-Type:Content-Transfer-Encoding:List-Unsubscribe"),
	                     .body_hash = span_of(hash, sizeof(hash)), .signature = buf_span(&signature)};
	dkim_build_field(&n, &out);
	struct span field = buf_span(&out);
	for (ssize_t end; (end = span_chr(field, '\n')) >= 0; field = span_skip(field, (size_t)end + 1))
		assert_true(end < 80);
	assert_int_equal(dkim_signature_parse(DKIM_SIGNATURE, span_skip(buf_span(&out), strlen("DKIM-Signature:")), &a, &s, NULL), 0);
	assert_int_equal(s.algorithm, DKIM_RSA_SHA256);
	assert_int_equal(s.header, DKIM_RELAXED);
	assert_int_equal(s.body, DKIM_RELAXED);
	assert_span(s.domain, "example.org");
	assert_span(s.selector, "c20261125r");
	assert_int_equal(s.header_name_count, 17);
	assert_true(span_equal(s.body_hash, n.body_hash) && span_equal(s.signature, n.signature));
	assert_int_equal(s.expiration_s, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists_of_tags_are_read),
	    cmocka_unit_test(fields_have_canonical_forms),
	    cmocka_unit_test(bodies_have_canonical_forms_however_they_come),
	    cmocka_unit_test(large_bodies_cost_what_they_have_octets),
	    cmocka_unit_test(signatures_are_read_and_bad_ones_refused),
	    cmocka_unit_test(keys_are_read_and_bad_ones_refused),
	    cmocka_unit_test(a_new_field_is_read_as_it_was_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
