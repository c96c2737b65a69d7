/* Maildirs of Dovecot and Courier. */
#include "wire/test.h"

#include "wire/imap_command.h"
#include "wire/maildir.h"

static void names_tell_flags(void **state)
{
	static const struct {
		const char *name, *base;
		uint8_t flags;
		bool is_forwarded;
		uint32_t keywords;
	} cases[] = {
		{"1.M2P3.host,S=10,W=11:2,FRSTDP", "1.M2P3.host,S=10,W=11", 31, true, 0}, {"a:2,", "a", 0, false, 0}, {"a", "a", 0, false, 0},
		{"a:2,Sac", "a", IMAP_FLAG_SEEN, false, 5}, {"a:2,S,F", "a", IMAP_FLAG_SEEN, false, 0}, {"a:1,S", "a", 0, false, 0}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct maildir_name n;
		assert_true(maildir_name_parse(span_cstr(cases[i].name), &n));
		assert_span(n.base, cases[i].base);
		assert_int_equal(n.flags, cases[i].flags);
		assert_int_equal(n.is_forwarded, cases[i].is_forwarded);
		assert_int_equal(n.keywords, cases[i].keywords);
	}
	struct maildir_name n;
	assert_false(maildir_name_parse(SPAN(""), &n));
	assert_false(maildir_name_parse(SPAN(".hidden"), &n));
	assert_false(maildir_name_parse(SPAN(":2,S"), &n));
	BUF_AUTO out = {0};
	maildir_flags_write(31, true, 5, &out);
	assert_span(buf_span(&out), ":2,DFPRSTac");
}

static void lists_of_uids_are_read_in_all_versions(void **state)
{
	struct maildir_uidlist_head head;
	struct maildir_uid uid;
	(void)state;
	assert_true(maildir_uidlist_head_parse(SPAN("3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1"), &head));
	assert_int_equal(head.uidvalidity, 1275660208);
	assert_int_equal(head.uidnext, 25022);
	assert_true(maildir_uid_parse(&head, SPAN("25006 W1394 Pabc :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,S"), &uid));
	assert_int_equal(uid.uid, 25006);
	assert_span(uid.unique_id, "abc");
	assert_span(uid.base, "1276528487.M364837P9451.kurkku,S=1355,W=1394");
	assert_true(maildir_uid_parse(&head, SPAN("7 :x"), &uid));
	assert_span(uid.base, "x");
	assert_true(maildir_uidlist_head_parse(SPAN("1 1000 12"), &head)); /* also courierimapuiddb */
	assert_true(maildir_uid_parse(&head, SPAN("11 1276528487.M1P2.host"), &uid));
	assert_span(uid.base, "1276528487.M1P2.host");
	static const char *const heads[] = {"", "2 1 2", "3 N5", "3 Vx N5", "1 0 5", "1 5", "x"}, *const bad[] = {"0 :x", "x :x", "7", "7 W1", "4294967295 :x", "7 :"};
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
		assert_false(maildir_uidlist_head_parse(span_cstr(heads[i]), &head));
	head.version = 3;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(maildir_uid_parse(&head, span_cstr(bad[i]), &uid));
}

static void courier_tells_uidls_by_its_list_of_sizes(void **state)
{
	static const struct {
		const char *line, *base, *id;
	} cases[] = {{"1.M2.host,S=5:2,S 5 12:345", "1.M2.host,S=5", "UID12-345"}, {"a 5 12", "a", "UID12"}, {"a 5 12:0", "a", "UID12"},
	             {"a 5 12:345:1", "a", "UID12-345"}, {"/2 7 345", NULL, NULL}, {"a 5", NULL, NULL}, {"a 5 x", NULL, NULL}, {"a 5 0:3", NULL, NULL}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct span base;
		BUF_AUTO id = {0};
		assert_int_equal(maildir_courier_unique_id_parse(span_cstr(cases[i].line), &base, &id), cases[i].base != NULL);
		if (cases[i].base) {
			assert_span(base, cases[i].base);
			assert_span(buf_span(&id), cases[i].id);
		}
	}
}

static void folders_have_levels_in_either_encoding(void **state)
{
	static const struct {
		const char *disk;
		char separator;
		const char *name;
	} cases[] = {{"Work.2024", '.', "Work/2024"}, {"Entw&APw-rfe", '.', "Entw\xc3\xbcrfe"}, {"Entw\xc3\xbcrfe", '.', "Entw\xc3\xbcrfe"}, {"a/b", '/', "a/b"},
	             {"a\tb.c", '\t', "a/b.c"}, {"", '.', NULL}, {"a..b", '.', NULL}, {"a/b", '.', NULL}, {"\xff", '.', NULL}, {"a\x01", '.', NULL}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO name = {0};
		assert_int_equal(maildir_folder_name(span_cstr(cases[i].disk), cases[i].separator, &name), cases[i].name ? 0 : -1);
		if (cases[i].name)
			assert_span(buf_span(&name), cases[i].name);
	}
	BUF_AUTO disk = {0}, none = {0};
	assert_int_equal(maildir_folder_write(SPAN("Entw\xc3\xbcrfe/2024"), &disk), 0);
	assert_span(buf_span(&disk), "Entw&APw-rfe.2024");
	assert_int_equal(maildir_folder_write(SPAN("a.b"), &none), -1);
	assert_int_equal(maildir_folder_write(SPAN("a//b"), &none), -1);
}

static void keywords_are_atoms(void **state)
{
	unsigned number;
	struct span keyword;
	(void)state;
	assert_true(maildir_keyword_parse(SPAN("0 $Label1"), &number, &keyword));
	assert_span(keyword, "$Label1");
	assert_false(maildir_keyword_parse(SPAN("64 a"), &number, &keyword));
	assert_false(maildir_keyword_parse(SPAN("1 a b"), &number, &keyword));
	assert_false(maildir_keyword_parse(SPAN("1"), &number, &keyword));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_tell_flags), cmocka_unit_test(lists_of_uids_are_read_in_all_versions),
		cmocka_unit_test(courier_tells_uidls_by_its_list_of_sizes), cmocka_unit_test(folders_have_levels_in_either_encoding),
		cmocka_unit_test(keywords_are_atoms)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
