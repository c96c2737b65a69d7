/* What IMAP servers say. */
#include "wire/test.h"

#include "wire/imap_reply.h"

static void mailboxes_are_listed(void **state)
{
	static const struct {
		const char *response, *name;
		char separator;
		bool is_sent;
	} cases[] = {
		{"* LIST (\\HasNoChildren \\Sent) \"/\" Sent", "Sent", '/', true}, {"* LIST () \".\" \"a \\\"b\\\\\"", "a \"b\\", '.', false},
		{"* LIST (\\Sent) NIL INBOX", "INBOX", 0, true}, {"* LSUB () \"\\\\\" {4}\r\na\\bc", "a\\bc", '\\', false}, {"* list () \"/\" \"\\Sent\"", "Sent", '/', false},
		{"* LIST () \"/\" {5}\r\nabc", NULL, 0, false}, {"* LIST () \"/\"", NULL, 0, false}, {"* LIST \"/\" a", NULL, 0, false}, {"* LISTS () \"/\" a", NULL, 0, false}};
	struct imap_reply_list l = {0};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(imap_reply_list(span_cstr(cases[i].response), &l), cases[i].name != NULL);
		if (!cases[i].name)
			continue;
		assert_span(buf_span(&l.name), cases[i].name);
		assert_int_equal(l.separator, cases[i].separator);
		assert_int_equal(imap_reply_has(&l, "\\sent"), cases[i].is_sent);
	}
	imap_reply_list_free(&l);
}

static void messages_are_fetched(void **state)
{
	struct imap_reply_fetch f;
	(void)state;
	assert_true(imap_reply_fetch(SPAN("* 12 FETCH (UID 7 FLAGS (\\Seen $a) INTERNALDATE \"24-Dec-2002 18:00:00 +0100\" RFC822.SIZE 99 ENVELOPE ((\"x)\" NIL) {3}\r\n(() \"y\")"
	                                  " X-GM-MSGID 1278455344230334865 X-GM-LABELS (\\Inbox \"a b\" c) MODSEQ (5) BODY[HEADER.FIELDS (A B)] \"\" BODY[] {1234}\r\n"), &f));
	assert_int_equal(f.uid, 7);
	assert_span(f.flags, "\\Seen $a");
	assert_int_equal(f.date_s, 1040749200);
	assert_true(f.has_size && f.size == 99 && f.has_id && f.gmail_id == 1278455344230334865);
	assert_true(f.has_literal && f.literal_size == 1234);
	BUF_AUTO word = {0};
	assert_true(imap_reply_word(&f.labels, &word));
	assert_span(buf_span(&word), "\\Inbox");
	assert_true(imap_reply_word(&f.labels, &word));
	assert_span(buf_span(&word), "a b");
	assert_true(imap_reply_word(&f.labels, &word));
	assert_false(imap_reply_word(&f.labels, &word));
	assert_true(imap_reply_fetch(SPAN("* 1 FETCH (FLAGS ())"), &f) && f.has_flags && !f.uid && !f.has_literal);
	static const char *const bad[] = {"", "* 1 FETCH", "* 1 FETCH (", "* 1 FETCH (UID", "* 1 FETCH (UID 5", "* 1 EXISTS", "* x FETCH (UID 5)", "* 1 FETCH (UID ))", "* 1 FETCH (A (B)",
	                                  "* 1 FETCH (A \"b)", "1 FETCH (UID 5)", "* 1 FETCH (BODY[] {5}\r\nabc"};
	for (size_t i = 0; i + 1 < sizeof bad / sizeof bad[0]; i++)
		assert_false(imap_reply_fetch(span_cstr(bad[i]), &f));
	BUF_AUTO deep = {0};
	buf_add_cstr(&deep, "* 1 FETCH (X ");
	repeat(&deep, "(", 1000);
	repeat(&deep, ")", 1000);
	buf_add_cstr(&deep, ")");
	assert_false(imap_reply_fetch(buf_span(&deep), &f));
}

static void codes_have_numbers(void **state)
{
	uint32_t number;
	(void)state;
	assert_true(imap_reply_code(SPAN("* OK [UIDVALIDITY 123] x"), "UIDVALIDITY", &number) && number == 123);
	assert_false(imap_reply_code(SPAN("* OK [UIDVALIDITY 4294967296] x"), "UIDVALIDITY", &number));
	assert_false(imap_reply_code(SPAN("* OK [UIDVALIDITY 5"), "UIDVALIDITY", &number));
	assert_false(imap_reply_code(SPAN("* OK UIDVALIDITY 5"), "UIDVALIDITY", &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(mailboxes_are_listed), cmocka_unit_test(messages_are_fetched), cmocka_unit_test(codes_have_numbers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
