/* GETMETADATA, SETMETADATA (RFC 5464) and NOTIFY (RFC 5465): what is read, and what is refused. */
#include "wire/test.h"

#include "wire/imap_metadata.h"
#include "wire/imap_notify.h"

static void getmetadata_is_read(void **state)
{
	static const struct {
		const char *command, *mailbox, *first;
		size_t count;
		enum imap_metadata_depth depth;
		bool has_maxsize;
	} cases[] = {
		{"\"\" /shared/comment", "", "/shared/comment", 1, IMAP_DEPTH_NONE, false},
		{"INBOX /Private/Comment", "INBOX", "/private/comment", 1, IMAP_DEPTH_NONE, false},
		{"(DEPTH 1) \"INBOX\" (/private/filters/values)", "INBOX", "/private/filters/values", 1, IMAP_DEPTH_CHILDREN, false},
		{"\"INBOX\" (MAXSIZE 1024) (/shared/comment /private/comment)", "INBOX", "/shared/comment", 2, IMAP_DEPTH_NONE, true},
		{"(MAXSIZE 0 DEPTH infinity) a /private", "a", "/private", 1, IMAP_DEPTH_ALL, true},
	};
	static const char *const bad[] = {
		"", "INBOX", "INBOX ", "INBOX ()", "INBOX (/private/a", "INBOX (/private/a /private/b", "INBOX /other/a", "INBOX comment", "INBOX /privately/a", "INBOX /shared*",
		"INBOX /shared/%", "INBOX \"/shared//a\"", "INBOX /shared/", "INBOX \"/shared/\001\"", "(DEPTH 2) INBOX /shared/a", "(MAXSIZE) INBOX /shared/a",
		"(MAXSIZE 99999999999) INBOX /shared/a", "(SIZE 1) INBOX /shared/a", "() INBOX /shared/a",
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = {.rest = span_cstr(cases[i].command), .arena = &a};
		struct imap_metadata_get get;
		assert_true(imap_take_getmetadata(&p, &get) && imap_take_end(&p));
		assert_span(get.mailbox, cases[i].mailbox);
		assert_span(get.entries[0], cases[i].first);
		assert_true(get.count == cases[i].count && get.depth == cases[i].depth && get.has_maxsize == cases[i].has_maxsize);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = {.rest = span_cstr(bad[i]), .arena = &a};
		struct imap_metadata_get get;
		if (imap_take_getmetadata(&p, &get) && imap_take_end(&p))
			fail_msg("taken: %s", bad[i]);
	}
}

static void setmetadata_is_read(void **state)
{
	static const char *const bad[] = {"INBOX (/shared/a)", "INBOX (/shared/a x)", "INBOX ()", "INBOX /shared/a NIL", "INBOX (/shared/a NIL", "INBOX (/shared/a \"x)", "INBOX (/shared/a {9}\r\nx)"};
	ARENA_AUTO a = {0};
	BUF_AUTO many = {0};
	struct imap_metadata_set set;
	struct imap_parser p = {.rest = SPAN("\"\" (/private/a NIL /shared/B \"x y\" /shared/c {3}\r\nabc /shared/d ~{2}\r\n\0z)"), .arena = &a};
	(void)state;
	assert_true(imap_take_setmetadata(&p, &set) && imap_take_end(&p));
	assert_int_equal(set.count, 4);
	assert_true(set.values[0].is_nil && !set.values[1].is_nil);
	assert_span(set.values[1].entry, "/shared/b");
	assert_span(set.values[1].value, "x y");
	assert_span(set.values[2].value, "abc");
	assert_int_equal(set.values[3].value.len, 2);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		p = (struct imap_parser){.rest = span_cstr(bad[i]), .arena = &a};
		if (imap_take_setmetadata(&p, &set) && imap_take_end(&p))
			fail_msg("taken: %s", bad[i]);
	}
	for (size_t count = IMAP_METADATA_ENTRIES_MAX; count <= IMAP_METADATA_ENTRIES_MAX + 1; count++) {
		buf_clear(&many);
		buf_add_cstr(&many, "INBOX (/shared/a NIL");
		repeat(&many, " /shared/a NIL", count - 1);
		buf_add_char(&many, ')');
		p = (struct imap_parser){.rest = buf_span(&many), .arena = &a};
		assert_true(imap_take_setmetadata(&p, &set) == (count == IMAP_METADATA_ENTRIES_MAX));
	}
}

static bool take_notify(struct span command, struct arena *a, struct imap_notify *out)
{
	struct imap_parser p = {.rest = command, .arena = a};
	return imap_take_notify(&p, out) && imap_take_end(&p);
}

static void notify_is_read(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_notify n;
	(void)state;
	assert_true(take_notify(SPAN("NONE"), &a, &n) && n.is_none);
	assert_true(take_notify(SPAN("SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge FlagChange)) (subtree (\"a/b\" c) "
	                             "(MailboxName SubscriptionChange)) (personal NONE)"), &a, &n));
	assert_true(n.has_status && n.count == 3 && !n.is_bad_event);
	assert_int_equal(n.groups[0].filter, IMAP_NOTIFY_SELECTED);
	assert_int_equal(n.groups[0].events, IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE | IMAP_EVENT_FLAGS);
	assert_span(n.groups[0].fetch, "(UID BODY.PEEK[HEADER.FIELDS (From)])");
	assert_int_equal(n.groups[1].filter, IMAP_NOTIFY_SUBTREE);
	assert_int_equal(n.groups[1].count, 2);
	assert_span(n.groups[1].mailboxes[0], "a/b");
	assert_int_equal(n.groups[2].events, 0);
	assert_true(take_notify(SPAN("SET (inboxes (MessageNew MessageExpunge AnnotationChange))"), &a, &n) && n.is_bad_event);
}

static void notify_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "SET", "SET ", "SET STATUS", "UNSET", "SET ()", "SET (all (MessageNew MessageExpunge))", "SET (inboxes (MessageNew))", "SET (inboxes (MessageExpunge))",
		"SET (inboxes (FlagChange))", "SET (selected (MailboxName))", "SET (selected (MessageNew (RUBBISH) MessageExpunge))", "SET (mailboxes (MessageNew MessageExpunge))",
		"SET (subtree a)", "SET (inboxes (MessageNew MessageExpunge)", "SET (inboxes (MessageNew MessageExpunge))x", "SET (inboxes ())",
	};
	ARENA_AUTO a = {0};
	BUF_AUTO many = {0};
	struct imap_notify n;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (take_notify(span_cstr(bad[i]), &a, &n))
			fail_msg("taken: %s", bad[i]);
	for (size_t count = IMAP_NOTIFY_GROUPS_MAX; count <= IMAP_NOTIFY_GROUPS_MAX + 1; count++) {
		buf_clear(&many);
		buf_add_cstr(&many, "SET");
		repeat(&many, " (inboxes NONE)", count);
		assert_true(take_notify(buf_span(&many), &a, &n) == (count == IMAP_NOTIFY_GROUPS_MAX));
	}
	for (size_t count = IMAP_NOTIFY_MAILBOXES_MAX; count <= IMAP_NOTIFY_MAILBOXES_MAX + 1; count++) {
		buf_clear(&many);
		buf_add_cstr(&many, "SET (mailboxes (a");
		repeat(&many, " a", count - 1);
		buf_add_cstr(&many, ") NONE)");
		assert_true(take_notify(buf_span(&many), &a, &n) == (count == IMAP_NOTIFY_MAILBOXES_MAX));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(getmetadata_is_read),
		cmocka_unit_test(setmetadata_is_read),
		cmocka_unit_test(notify_is_read),
		cmocka_unit_test(notify_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
