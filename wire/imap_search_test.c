/* SEARCH and its kin with what their extensions add: RFC 4731, 5032, 5182, 5256, 5267, 5957, 6203, 7162, 7377, 8474, 8514, 9394. */
#include "wire/test.h"

#include "wire/imap_search.h"

typedef bool take_fn(struct imap_parser *p, struct imap_search *out);

struct text_case {
	const char *in;
	bool is_ok;
};

static void check(take_fn *take, const struct text_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = {.rest = span_cstr(cases[i].in), .arena = &a};
		struct imap_search search;
		if (take(&p, &search) != cases[i].is_ok)
			fail_msg("%s: %s", cases[i].in, p.why.text);
	}
}

#define CHECK(take, cases) check(take, cases, sizeof(cases) / sizeof(cases[0]))

static void keys_of_extensions_are_read(void **state)
{
	static const struct text_case cases[] = {
	    {"$", true}, {"UID $ SMALLER 4096", true}, {"(OR $ 1,3000:3021) TEXT x", true}, {"$,1", false}, {"1,$", false},
	    {"OLDER 1 YOUNGER 4294967295", true}, {"OLDER 0", false}, {"YOUNGER", false}, {"OLDER 4294967296", false},
	    {"MODSEQ 620162338", true}, {"MODSEQ \"/flags/\\\\draft\" all 620162338", true}, {"MODSEQ \"/flags/x\" priv 0", true},
	    {"MODSEQ 9223372036854775808", false}, {"MODSEQ \"/flags/x\" 5", false}, {"MODSEQ \"flags\" all 5", false}, {"MODSEQ -1", false},
	    {"SAVEDBEFORE 1-Jan-2026 SAVEDON 1-Jan-2026 SAVEDSINCE 1-Jan-2026 SAVEDATESUPPORTED", true}, {"SAVEDON x", false},
	    {"EMAILID M6d99ac3275bb4e", true}, {"EMAILID", false},
	    {"FUZZY (SUBJECT \"IMAP break\")", true}, {"FUZZY SUBJECT work FROM user@example.com", true}, {"FUZZY NOT FUZZY ALL", false}, {"FUZZY", false},
	    {"RETURN () ALL", true}, {"RETURN (MIN MAX ALL COUNT SAVE) ALL", true}, {"RETURN (PARTIAL -1:-100 UPDATE CONTEXT) CHARSET UTF-8 ALL", true},
	    {"RETURN (ALL)", false}, {"RETURN ALL", false}, {"RETURN (MIN,MAX) ALL", false}, {"RETURN (PARTIAL 1:2 ALL) ALL", false},
	    {"RETURN (PARTIAL 1:-2) ALL", false}, {"RETURN (RELEVANCY) ALL", false}, {"RETURN (RELEVANCY) FUZZY ALL", true}, {"CHARSET UTF-8 RETURN (ALL) ALL", false},
	};
	(void)state;
	CHECK(imap_take_search, cases);
}

static void orders_are_read(void **state)
{
	static const struct text_case sorts[] = {
	    /* RFC 5256 §3, RFC 5267 §3.3, RFC 5957, RFC 6203 §6 */
	    {"(SUBJECT) UTF-8 SINCE 1-Feb-1994", true}, {"(SUBJECT REVERSE DATE) UTF-8 ALL", true}, {"(SUBJECT) US-ASCII TEXT \"not in mailbox\"", true},
	    {"RETURN (MIN COUNT) (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk", true}, {"(DISPLAYFROM DISPLAYTO ARRIVAL CC FROM SIZE TO) UTF-8 ALL", true},
	    {"(RELEVANCY) UTF-8 FUZZY SUBJECT \"Helo\"", true}, {"(RELEVANCY) UTF-8 SUBJECT \"Helo\"", false}, {"() UTF-8 ALL", false}, {"(DATE)", false},
	    {"(DATE) UTF-8", false}, {"(REVERSE) UTF-8 ALL", false}, {"DATE UTF-8 ALL", false}, {"(DATE REVERSE REVERSE SIZE) UTF-8 ALL", false},
	    {"(DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE) UTF-8 ALL", false},
	};
	static const struct text_case threads[] = {
	    {"ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000", true}, {"REFERENCES US-ASCII TEXT \"gewp\"", true}, {"REFS UTF-8 ALL", true}, {"REFERENCESX UTF-8 ALL", false},
	    {"REFERENCES UTF-8", false}, {"REFERENCES", false}, {"UTF-8 ALL", false},
	};
	(void)state;
	CHECK(imap_take_sort, sorts);
	CHECK(imap_take_thread, threads);
}

static void sources_are_read(void **state)
{
	static const struct text_case cases[] = {
	    {"IN (mailboxes \"folder1\" subtree \"folder2\") unseen", true}, {"IN (mailboxes (a b \"c d\") subtree-one x selected) RETURN (COUNT) ALL", true},
	    {"IN (inboxes personal subscribed) CHARSET UTF-8 ALL", true}, {"ALL", true}, {"IN (mailboxes ()) ALL", false}, {"IN () ALL", false}, {"IN personal ALL", false},
	    {"IN (selected-delayed) ALL", false}, {"IN (mailboxes) ALL", false}, {"IN (personal)", false}, {"IN (personal", false},
	};
	BUF_AUTO many = {0};
	(void)state;
	CHECK(imap_take_esearch, cases);
	buf_add_cstr(&many, "IN (mailboxes (");
	repeat(&many, "a ", IMAP_SOURCES_MAX);
	buf_add_cstr(&many, "a)) ALL");
	const struct text_case too_many[] = {{buf_cstr(&many), false}};
	CHECK(imap_take_esearch, too_many);
}

static void options_are_what_was_asked_for(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = SPAN("RETURN (PARTIAL -100:-1 COUNT) (REVERSE DATE SUBJECT) UTF-8 MODSEQ 5"), .arena = &a};
	struct imap_search search;
	(void)state;
	assert_true(imap_take_sort(&p, &search));
	assert_int_equal(search.want, IMAP_RETURN_PARTIAL | IMAP_RETURN_COUNT);
	assert_true(search.partial.is_from_end && search.partial.first == 1 && search.partial.last == 100);
	assert_span(search.partial_label, "-100:-1");
	assert_true(search.sort_count == 2 && search.sort[0].sort == IMAP_SORT_DATE && search.sort[0].is_reverse);
	assert_true(search.sort[1].sort == IMAP_SORT_SUBJECT && !search.sort[1].is_reverse && search.has_modseq && search.is_extended);
}

static void fuzzy_texts_become_words(void **state)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = SPAN("FUZZY OR SUBJECT \"one two  three\" SEEN"), .arena = &a};
	struct imap_search search;
	(void)state;
	assert_true(imap_take_search(&p, &search));
	const struct imap_search_key *fuzzy = search.root->children, *exact = fuzzy->children, *loose = exact->next;
	assert_true(fuzzy->kind == IMAP_SEARCH_FUZZY && fuzzy->child_count == 2 && exact->kind == IMAP_SEARCH_OR && loose->kind == IMAP_SEARCH_OR && !loose->next);
	assert_span(exact->children->text, "one two  three");
	const struct imap_search_key *words = loose->children;
	assert_true(words->kind == IMAP_SEARCH_AND && words->child_count == 3 && words->next->kind == IMAP_SEARCH_FLAG);
	assert_span(words->children->text, "one");
	assert_span(words->children->next->next->text, "three");
}

/* Nobody makes a search of 64 texts into one of 1,000. */
static void fuzzy_is_bounded(void **state)
{
	BUF_AUTO text = {0};
	ARENA_AUTO a = {0};
	struct imap_search search;
	(void)state;
	buf_add_cstr(&text, "FUZZY (");
	repeat(&text, "TEXT \"a b c d e f g h i j k l\" ", 40);
	buf_add_cstr(&text, "ALL)");
	struct imap_parser p = {.rest = buf_span(&text), .arena = &a};
	assert_false(imap_take_search(&p, &search));
	assert_contains(span_cstr(p.why.text), "Too much text");
}

static void tags_are_read(void **state)
{
	ARENA_AUTO a = {0};
	struct span tags[2];
	size_t count;
	struct imap_parser p = {.rest = SPAN(" \"A1\" \"B 2\""), .arena = &a}, bad = {.rest = SPAN(" A1"), .arena = &a},
	                   many = {.rest = SPAN(" \"1\" \"2\" \"3\""), .arena = &a};
	(void)state;
	assert_true(imap_take_tags(&p, tags, 2, &count));
	assert_int_equal(count, 2);
	assert_span(tags[1], "B 2");
	assert_false(imap_take_tags(&bad, tags, 2, &count));
	assert_false(imap_take_tags(&many, tags, 2, &count));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_of_extensions_are_read),   cmocka_unit_test(orders_are_read),          cmocka_unit_test(sources_are_read),
	    cmocka_unit_test(options_are_what_was_asked_for), cmocka_unit_test(fuzzy_texts_become_words), cmocka_unit_test(fuzzy_is_bounded),
	    cmocka_unit_test(tags_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
