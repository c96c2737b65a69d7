/* What milters do to a header, and what of it goes in front. */
#include "wire/test.h"

#include "base/pack.h"
#include "milter/header.h"

static void take(struct milter_header *h, const char *const *fields)
{
	BUF_AUTO packed = {0};
	for (; *fields; fields++)
		pack_bytes(&packed, span_cstr(*fields));
	assert_int_equal(milter_header_take(h, buf_span(&packed)), 0);
}

static const char *const came[] = {"Received: 1\r\n", "A: 1\r\n", "Subject: x\r\n\ty\r\n", "no field\r\n", "A: 2\r\n", "To: z\r\n", "A: 3\r\n", NULL};

static const struct change_case {
	struct milter_change changes[4];
	const char *above, *behind, *removed; /* removed: numbers as digits */
} cases[] = {
	{{{MILTER_ADD_HEADER, 0, SPAN("X"), SPAN("1")}, {MILTER_ADD_HEADER, 0, SPAN("Y"), SPAN("2")}}, "", "X: 1\r\nY: 2\r\n", ""},
	{{{MILTER_INSERT_HEADER, 0, SPAN("X"), SPAN("1")}, {MILTER_INSERT_HEADER, 1, SPAN("Y"), SPAN("2")}, {MILTER_INSERT_HEADER, 3, SPAN("Z"), SPAN("3")}},
	 "X: 1\r\nY: 2\r\n", "Z: 3\r\n", ""},
	{{{MILTER_INSERT_HEADER, 1, SPAN("X"), SPAN("1")}, {MILTER_INSERT_HEADER, 1, SPAN("Y"), SPAN("2")}}, "", "Y: 2\r\nX: 1\r\n", ""},
	{{{MILTER_INSERT_HEADER, 0, SPAN("X"), SPAN("1")}, {MILTER_INSERT_HEADER, 99, SPAN("Y"), SPAN("2")}}, "X: 1\r\n", "Y: 2\r\n", ""},
	{{{MILTER_CHANGE_HEADER, 1, SPAN("subject"), SPAN("other")}}, "", "subject: other\r\n", "2"},
	{{{MILTER_CHANGE_HEADER, 1, SPAN("Subject"), SPAN("")}}, "", "", "2"},
	{{{MILTER_CHANGE_HEADER, 9, SPAN("Subject"), SPAN("")}}, "", "", ""},
	{{{MILTER_CHANGE_HEADER, 1, SPAN("New"), SPAN("x")}}, "", "New: x\r\n", ""},
	/* those of one name keep their order */
	{{{MILTER_CHANGE_HEADER, 2, SPAN("A"), SPAN("other")}}, "", "A: 1\r\nA: other\r\n", "14"},
	{{{MILTER_CHANGE_HEADER, 3, SPAN("A"), SPAN("")}, {MILTER_CHANGE_HEADER, 1, SPAN("A"), SPAN("")}}, "", "", "16"},
	{{{MILTER_ADD_HEADER, 0, SPAN("a"), SPAN("4")}}, "", "A: 1\r\nA: 2\r\nA: 3\r\na: 4\r\n", "146"},
	{{{MILTER_INSERT_HEADER, 4, SPAN("A"), SPAN("new")}}, "", "A: 1\r\nA: new\r\n", "1"},
	/* what was added can be changed and deleted */
	{{{MILTER_ADD_HEADER, 0, SPAN("X"), SPAN("1")}, {MILTER_CHANGE_HEADER, 1, SPAN("X"), SPAN("2")}}, "", "X: 2\r\n", ""},
	{{{MILTER_INSERT_HEADER, 0, SPAN("X"), SPAN("1")}, {MILTER_CHANGE_HEADER, 1, SPAN("X"), SPAN("")}, {MILTER_INSERT_HEADER, 0, SPAN("Y"), SPAN("2")}}, "Y: 2\r\n", "", ""},
};

static void changes_are_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct milter_header h = {0};
		struct error why;
		BUF_AUTO above = {0}, behind = {0}, removed = {0};
		size_t count = 0;
		take(&h, came);
		while (count < 4 && cases[i].changes[count].kind)
			count++;
		if (milter_header_change(&h, cases[i].changes, count, false, &why))
			fail_msg("case %zu: %s", i, why.text);
		milter_header_front(&h, true, &above);
		milter_header_front(&h, false, &behind);
		for (size_t k = 0; k < h.removed_count; k++)
			buf_add_number(&removed, h.removed[k]);
		if (!span_equal(buf_span(&behind), span_cstr(cases[i].behind)) || !span_equal(buf_span(&removed), span_cstr(cases[i].removed)))
			fail_msg("case %zu: %.*s, removed %.*s", i, SPAN_ARG(buf_span(&behind)), SPAN_ARG(buf_span(&removed)));
		assert_span(buf_span(&above), cases[i].above);
		assert_int_equal(h.front_bytes, above.len + behind.len);
		milter_header_free(&h);
	}
}

static void what_cannot_be_changed_changes_nothing(void **state)
{
	struct milter_header h = {0};
	struct error why;
	BUF_AUTO large = {0}, front = {0};
	(void)state;
	take(&h, came);
	repeat(&large, "x", 16000);
	struct milter_change changes[] = {
		{MILTER_CHANGE_HEADER, 1, SPAN("Subject"), SPAN("")}, {MILTER_ADD_HEADER, 0, SPAN("X"), buf_span(&large)}, {MILTER_ADD_HEADER, 0, SPAN("Y"), buf_span(&large)}};
	assert_int_equal(milter_header_change(&h, changes, 3, false, &why), -1);
	changes[1].value = SPAN("a\nb");
	assert_int_equal(milter_header_change(&h, changes, 2, false, &why), -1);
	milter_header_front(&h, false, &front);
	assert_int_equal(front.len + h.removed_count, 0);
	assert_int_equal(h.count, 7);
	for (int i = 0; i < 200; i++)
		take(&h, (const char *const[]){"Many: 1\r\n", NULL});
	changes[0].name = SPAN("Many");
	assert_int_equal(milter_header_change(&h, &(struct milter_change){MILTER_ADD_HEADER, 0, SPAN("Many"), SPAN("2")}, 1, false, &why), -1);
	assert_int_equal(h.count, 207);
	assert_int_equal(milter_header_take(&h, SPAN("\xff\xff\xff\xff")), -1);
	milter_header_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(changes_are_made), cmocka_unit_test(what_cannot_be_changed_changes_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
