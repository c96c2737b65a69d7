/* Parameters of SELECT, modifiers of FETCH and STORE: RFC 4466, RFC 7162 §7, RFC 9394. */
#include "wire/test.h"

#include "wire/imap_modifiers.h"

static struct imap_parser parser_of(const char *text, struct arena *a)
{
	return (struct imap_parser){.rest = span_cstr(text), .arena = a};
}

static void select_parameters_are_read(void **state)
{
	static const struct {
		const char *in;
		bool is_ok, is_condstore, is_qresync, has_known;
		uint64_t modseq;
	} cases[] = {
		{"", true},
		{" (CONDSTORE)", true, true},
		{" (QRESYNC (67890007 20050715194045000))", true, false, true, false, 20050715194045000},
		{" (QRESYNC (67890007 20050715194045000 41,43:211,214:541) CONDSTORE)", true, true, true, true, 20050715194045000},
		{" (QRESYNC (67890007 90060115194045000 41:211,214:541 (1:29,30 41:211,214:541)))", true, false, true, true, 90060115194045000},
		{" (QRESYNC (1 1 (1 1)))", true, false, true, false, 1},
		{" (QRESYNC (1 9223372036854775807))", true, false, true, false, INT64_MAX},
		{" (QRESYNC (1 9223372036854775808))"}, {" (QRESYNC (1 0))"}, {" (QRESYNC (0 1))"}, {" (QRESYNC (1))"}, {" (QRESYNC (1 1 *))"},
		{" (QRESYNC (1 1 1:2 3))"}, {" (QRESYNC 1 1)"}, {" (QRESYNC (1 1)"}, {" ()"}, {" (X)"}, {" CONDSTORE"}, {" (QRESYNC (1 1) QRESYNC (1 1))"},
		{" (QRESYNC (1 1 (1 1) 1))"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_select_parameters out;
		assert_int_equal(imap_take_select_parameters(&p, &out) && imap_take_end(&p), cases[i].is_ok);
		if (cases[i].is_ok)
			assert_true(out.is_condstore == cases[i].is_condstore && out.is_qresync == cases[i].is_qresync && out.has_known == cases[i].has_known &&
			            out.modseq == cases[i].modseq);
	}
}

static void fetch_modifiers_are_read(void **state)
{
	static const struct {
		const char *in;
		bool is_ok;
		uint64_t since;
		bool is_vanished, is_from_end;
		uint32_t first, last;
	} cases[] = {
		{"", true}, {" (CHANGEDSINCE 12345)", true, 12345}, {" (CHANGEDSINCE 12345 VANISHED)", true, 12345, true}, {" (VANISHED CHANGEDSINCE 1)", true, 1, true},
		{" (PARTIAL 1:100)", true, 0, false, false, 1, 100}, {" (PARTIAL -1:-100)", true, 0, false, true, 1, 100}, {" (PARTIAL 100:1)", true, 0, false, false, 1, 100},
		{" (VANISHED)"}, {" (CHANGEDSINCE)"}, {" (CHANGEDSINCE x)"}, {" (CHANGEDSINCE 1 CHANGEDSINCE 2)"}, {" (PARTIAL 0:1)"}, {" (PARTIAL 1:-1)"}, {" (PARTIAL 1)"},
		{" (PARTIAL 1:99999999999)"}, {" (X)"}, {" ()"}, {" (CHANGEDSINCE 1"}, {" CHANGEDSINCE 1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		struct imap_fetch_modifiers out;
		assert_int_equal(imap_take_fetch_modifiers(&p, &out) && imap_take_end(&p), cases[i].is_ok);
		if (cases[i].is_ok)
			assert_true(out.changed_since == cases[i].since && out.is_vanished == cases[i].is_vanished && out.partial.is_from_end == cases[i].is_from_end &&
			            out.partial.first == cases[i].first && out.partial.last == cases[i].last);
	}
}

static void store_modifiers_are_read(void **state)
{
	static const struct {
		const char *in;
		bool is_ok, is_there;
		uint64_t since;
	} cases[] = {
		{"+FLAGS", true}, {"(UNCHANGEDSINCE 12121230045) +FLAGS", true, true, 12121230045}, {"(UNCHANGEDSINCE 0) +FLAGS", true, true, 0},
		{"(UNCHANGEDSINCE) +FLAGS", false, true}, {"(UNCHANGEDSINCE 1)+FLAGS", false, true}, {"(CHANGEDSINCE 1) +FLAGS", false, true}, {"(", false, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = parser_of(cases[i].in, &a);
		bool is_there;
		uint64_t since = 0;
		assert_int_equal(imap_take_store_modifiers(&p, &is_there, &since) && span_equal(p.rest, SPAN("+FLAGS")), cases[i].is_ok);
		assert_true(is_there == cases[i].is_there && (!cases[i].is_ok || since == cases[i].since));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(select_parameters_are_read),
		cmocka_unit_test(fetch_modifiers_are_read),
		cmocka_unit_test(store_modifiers_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
