/* Chains as they stand in headers, and the results in them: RFC 8617 §4 and §5.2, RFC 8601 §2.2. */
#include "base/arena.h"
#include "wire/arc.h"
#include "wire/authentication_results.h"
#include "wire/test.h"

#define RESULTS(i) "ARC-Authentication-Results: i=" #i "; mx.example.org;\r\n\tdmarc=pass header.from=example.net\r\n"
#define MESSAGE(i) "ARC-Message-Signature: i=" #i "; a=rsa-sha256; d=example.org; s=s; h=from; bh=AA; b=BB\r\n"
#define SEAL(i, cv) "ARC-Seal: i=" #i "; a=rsa-sha256; cv=" #cv "; d=example.org; s=s; b=BB\r\n\tCC\r\n"
#define FIRST SEAL(1, none) MESSAGE(1) RESULTS(1)
#define SECOND SEAL(2, pass) MESSAGE(2) RESULTS(2)
#define REST "From: a@example.net\r\n\r\nARC-Seal: i=3; in the body\r\n"

static void chains_are_found_and_bad_ones_told(void **state)
{
	static const struct {
		const char *header;
		unsigned count, highest;
		const char *fault;
	} cases[] = {
		{REST, 0, 0, NULL},
		{FIRST REST, 1, 1, NULL},
		{SECOND FIRST REST, 2, 2, NULL},
		{FIRST SECOND REST, 2, 2, NULL}, /* in any order: the numbers tell */
		{"arc-seal:i = 1 ;cv=none\r\n" MESSAGE(1) "ARC-AUTHENTICATION-RESULTS: (c) i (d) = 1 (e) ; x\r\n" REST, 1, 1, NULL},
		{SECOND REST, 0, 2, "a field of the chain is missing"},
		{SEAL(2, pass) MESSAGE(2) FIRST REST, 0, 2, "a field of the chain is missing"},
		{SEAL(1, none) RESULTS(1) REST, 0, 1, "a field of the chain is missing"},
		{SECOND MESSAGE(1) FIRST REST, 0, 2, "a field of the chain is there twice"},
		{SEAL(1, pass) MESSAGE(1) RESULTS(1) REST, 0, 1, "a seal says what it cannot have found"},
		{SEAL(2, none) MESSAGE(2) RESULTS(2) FIRST REST, 0, 2, "a seal says what it cannot have found"},
		{SECOND SEAL(1, fail) MESSAGE(1) RESULTS(1) REST, 0, 2, "a seal says what it cannot have found"},
		{SEAL(2, fail) MESSAGE(2) RESULTS(2) FIRST REST, 0, 2, "the last seal says that the chain was broken"},
		{SEAL(51, pass) MESSAGE(51) RESULTS(51) FIRST REST, 0, 51, "the chain has more than 50 sets"},
		{"ARC-Seal: i=0; cv=none\r\n" REST, 0, 0, "a field of the chain has no instance"},
		{"ARC-Seal: i=100; cv=none\r\n" REST, 0, 0, "a field of the chain has no instance"},
		{"ARC-Seal: nonsense\r\n" FIRST REST, 0, 1, "a field of the chain has no instance"},
		{"ARC-Authentication-Results: mx.example.org; i=1; x\r\n" REST, 0, 0, "a field of the chain has no instance"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct arc_chain c;
		arc_chain_read(span_cstr(cases[i].header), &c);
		assert_int_equal(c.count, cases[i].count);
		assert_int_equal(c.highest, cases[i].highest);
		assert_string_equal(c.fault ? c.fault : "", cases[i].fault ? cases[i].fault : "");
		assert_int_equal(c.is_there, cases[i].count || cases[i].fault);
	}
}

static void a_chain_that_its_last_seal_ends_has_ended(void **state)
{
	static const struct {
		const char *header;
		bool has_ended;
	} cases[] = {
		{SECOND FIRST REST, false},
		{SEAL(2, fail) MESSAGE(2) RESULTS(2) FIRST REST, true},
		{FIRST RESULTS(2) MESSAGE(2) SEAL(2, fail) REST, true},
		{SECOND SEAL(1, fail) MESSAGE(1) RESULTS(1) REST, false}, /* broken, but nobody has said so yet */
		{SEAL(1, fail) MESSAGE(1) RESULTS(1) RESULTS(2) REST, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct arc_chain c;
		arc_chain_read(span_cstr(cases[i].header), &c);
		assert_int_equal(c.has_ended, cases[i].has_ended);
	}
}

static void sets_have_a_canonical_form_and_nothing_else_is_taken_for_it(void **state)
{
	BUF_AUTO out = {0};
	struct arc_chain c;
	(void)state;
	arc_chain_read(SPAN(SECOND FIRST REST), &c);
	arc_set_canonical(&c.sets[0], true, &out);
	assert_span(buf_span(&out),
	            "arc-authentication-results:i=1; mx.example.org; dmarc=pass header.from=example.net\r\n"
	            "arc-message-signature:i=1; a=rsa-sha256; d=example.org; s=s; h=from; bh=AA; b=BB\r\n"
	            "arc-seal:i=1; a=rsa-sha256; cv=none; d=example.org; s=s; b=BB CC\r\n");
	assert_true(arc_sets_are_canonical(buf_span(&out), 1));
	assert_false(arc_sets_are_canonical(buf_span(&out), 0));
	assert_false(arc_sets_are_canonical(buf_span(&out), 2));
	arc_set_canonical(&c.sets[1], true, &out);
	assert_true(arc_sets_are_canonical(buf_span(&out), 2));
	assert_false(arc_sets_are_canonical(span_slice(buf_span(&out), 0, out.len - 1), 2));
	assert_true(arc_sets_are_canonical(SPAN(""), 0));
	static const char *const others[] = {
		"from:a@example.org\r\nto:b@example.org\r\nsubject:x\r\n",
		"arc-message-signature:i=1;\r\narc-authentication-results:i=1;\r\narc-seal:i=1;\r\n",
		"arc-authentication-results:i=2;\r\narc-message-signature:i=2;\r\narc-seal:i=2;\r\n",
		"arc-authentication-results:i=1;\r\narc-message-signature:i=1;\r\ndkim-signature:i=1;\r\n",
	};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(arc_sets_are_canonical(span_cstr(others[i]), 1));
}

static void new_fields_are_read_as_they_were_meant(void **state)
{
	static const char hash[32] = "0123456789abcdef0123456789abcdef";
	BUF_AUTO header = {0};
	struct arc_chain c;
	unsigned instance;
	(void)state;
	for (unsigned i = 1; i <= ARC_SETS_MOST; i++) {
		struct arc_new n = {.instance = i, .status = i == 1 ? ARC_NONE : ARC_PASS, .domain = SPAN("example.org"), .selector = SPAN("c20261125r"),
		                    .time_s = 100, .results = SPAN("mx.example.org;\r\n\tspf=none"), .header_names = SPAN("From:From:To"),
		                    .body_hash = span_of(hash, sizeof hash), .signature = span_of(hash, sizeof hash)};
		arc_build_seal(&n, &header);
		arc_build_message(&n, &header);
		arc_build_results(&n, &header);
	}
	arc_chain_read(buf_span(&header), &c);
	assert_int_equal(c.count, ARC_SETS_MOST);
	struct span field = c.sets[41].results;
	assert_span(arc_results_payload(span_skip(field, (size_t)span_chr(field, ':') + 1), &instance), "mx.example.org;\r\n\tspf=none");
	assert_int_equal(instance, 42);
}

static void results_of_others_are_read(void **state)
{
	static const struct {
		const char *value, *found;
	} cases[] = {
		{"mx.example.org; spf=pass smtp.mailfrom=a@b.example; dmarc=pass (p=none; or so) header.from=b.example", "spf=pass[a@b.example,] dmarc=pass[,b.example] "},
		{"mx.example.org 1; dkim/1 = pass header.d=x; none", "dkim=pass[,] -"},
		{"(c;) mx.example.org (d;);\r\n\tdmarc = pass reason=\"a; b\\\" dmarc=pass\" action=none HEADER.FROM=\"b.example\";", "dmarc=pass[,b.example] "},
		{"mx.example.org; dmarc=fail reason=\"; dmarc=pass header.from=b.example\"", "dmarc=fail[,] "},
		{"mx.example.org; dmarc=fail (; dmarc=pass header.from=b.example)", "dmarc=fail[,] "},
		{"mx.example.org; dmarc=pass header.from=b.example nonsense", "-"},
		{"mx.example.org; dmarc=pass header.from=; spf=pass", "-spf=pass[,] "},
		{"mx.example.org; = ; ; dmarc pass=; x", "----"},
		{"mx.example.org", ""},
		{"", ""},
		{"mx.example.org; dmarc=pass \"", "-"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		BUF_AUTO out = {0};
		struct authentication_result r;
		struct span rest = span_cstr(cases[i].value);
		authentication_results_start(&rest, &a);
		while (authentication_results_next(&rest, &a, &r))
			if (!r.method.len)
				buf_add_char(&out, '-');
			else
				buf_printf(&out, "%.*s=%.*s[%.*s,%.*s] ", SPAN_ARG(r.method), SPAN_ARG(r.result),
				           SPAN_ARG(authentication_result_property(&r, SPAN("smtp.mailfrom"))),
				           SPAN_ARG(authentication_result_property(&r, SPAN("header.from"))));
		assert_span(buf_span(&out), cases[i].found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_are_found_and_bad_ones_told),
		cmocka_unit_test(a_chain_that_its_last_seal_ends_has_ended),
		cmocka_unit_test(sets_have_a_canonical_form_and_nothing_else_is_taken_for_it),
		cmocka_unit_test(new_fields_are_read_as_they_were_meant),
		cmocka_unit_test(results_of_others_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
