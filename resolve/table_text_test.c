/* Text files of tables: their rows, those that are not done here, and those that break the file. */
#include "resolve/table_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void note_fault(void *context, unsigned line, const char *why)
{
	struct buf *faults = context;
	assert_true(why[0]);
	buf_printf(faults, "%u ", line);
}

/* What a file has for a key: "-" nothing, "!" what is broken, "~" something that is not done here, else its targets or a word. */
static void look_up(enum table_kind kind, const char *text, const char *key, struct buf *out)
{
	static const char *const words[] = {[VALUE_DOMAIN] = "domain", [VALUE_RELAYED] = "relayed", [VALUE_MX] = "mx", [VALUE_HERE] = "here", [VALUE_UNCHANGED] = "unchanged",
	                                    [VALUE_REFUSED] = "refused", [VALUE_NOT_HERE] = "~", [VALUE_TARGETS] = "", [VALUE_HOP] = ""};
	BUF_AUTO faults = {0};
	struct table_text t;
	if (table_text_read(kind, "/bin/ok", span_cstr(text), &t, note_fault, &faults)) {
		assert_true(faults.len && !t.count);
		buf_printf(out, "! %s", buf_cstr(&faults));
		return;
	}
	const struct table_value *v = table_text_find(&t, span_cstr(key));
	buf_add_cstr(out, v ? words[v->is] : "-");
	for (size_t i = 0; v && i < v->count; i++)
		buf_printf(out, "%s%.*s", i ? "," : "", SPAN_ARG(v->targets[i]));
	if (v && v->is == VALUE_NOT_HERE)
		buf_printf(out, " %s", buf_cstr(&faults));
	table_text_free(&t);
}

static void files_have_rows_or_faults_with_their_lines(void **state)
{
	static const struct { enum table_kind kind; const char *text, *key, *found; } cases[] = {
		{TABLE_VIRTUAL, "X.y any thing\nA@x.y  b, c@x.y\n", "a@x.y", "b,c@x.y"}, {TABLE_VIRTUAL, "X.y any thing\n", "x.y", "domain"}, {TABLE_VIRTUAL, "a@x.y b\na@x.y c\n", "a@x.y", "b"},
		{TABLE_VIRTUAL, "a@x.y b\n", "b@x.y", "-"}, {TABLE_VIRTUAL, "a@x.y b\n\nb@x.y\n", "a@x.y", "! 3 "}, {TABLE_VIRTUAL, " a@x.y b\n", "a@x.y", "! 1 "},
		{TABLE_VIRTUAL, "a@x.y b@-c\n", "a@x.y", "~ 1 "}, {TABLE_VIRTUAL, "@x.y @z.y\n", "@x.y", "@z.y"}, {TABLE_VIRTUAL, "", "x", "-"},
		{TABLE_ALIASES, "Ops: ana, \"b c\"@x.y\n", "ops", "ana,b c@x.y"}, {TABLE_ALIASES, "Ops: ana, bob\n", "ops", "ana,bob"}, {TABLE_ALIASES, "a: b\nops: |x\n", "ops", "~ 2 "},
		{TABLE_ALIASES, "ops ana\n", "ops", "! 1 "}, {TABLE_ALIASES, "ops: :include:/x\n", "ops", "~ 1 "}, {TABLE_OWN_DOMAINS, "x.y\nZ.y OK\n", "z.y", "domain"}, {TABLE_RELAY_DOMAINS, "x.y\nz.y OK\n", "x.y", "relayed"},
		{TABLE_VIRTUSERTABLE, "a@x.y error:nouser no\n", "a@x.y", "refused"}, {TABLE_VIRTUSERTABLE, "@x.y %1@z.y\n", "@x.y", "%1@z.y"},
		{TABLE_TRANSPORT, "x.y smtp:[h.z]:25\n", "x.y", "[h.z]:25"}, {TABLE_TRANSPORT, ".x.y :\n", ".x.y", "unchanged"}, {TABLE_TRANSPORT, "x.y discard:\n", "x.y", "~ 1 "},
		{TABLE_TRANSPORT, "x.y\n", "x.y", "! 1 "}, {TABLE_TRANSPORT, "x.y local:\n", "x.y", "here"}, {TABLE_TRANSPORT, "* smtp:\n", "*", "mx"},
		{TABLE_MAILERTABLE, ".x.y esmtp:h.z\n. error:nohost no\n", ".", "refused"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO found = {0};
		look_up(cases[i].kind, cases[i].text, cases[i].key, &found);
		assert_string_equal(buf_cstr(&found), cases[i].found);
	}
}

static void a_file_with_a_nul_is_broken(void **state)
{
	BUF_AUTO faults = {0};
	struct table_text t;
	(void)state;
	assert_int_equal(table_text_read(TABLE_VIRTUAL, "", SPAN("a@x.y b\nb@x.y c\0d\n"), &t, note_fault, &faults), -1);
	assert_string_equal(buf_cstr(&faults), "2 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_have_rows_or_faults_with_their_lines),
		cmocka_unit_test(a_file_with_a_nul_is_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
