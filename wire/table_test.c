/* Tables beside the directory: their lines, keys, patterns and settings. */
#include "wire/test.h"

#include "wire/logical_line.h"
#include "wire/table.h"
#include "wire/table_query.h"
#include "wire/table_settings.h"
#include "wire/transport_map.h"

static void lines_go_on_over_comments_and_empty_ones(void **state)
{
	static const struct { const char *text, *found; } cases[] = {
		{"", ""}, {"a b", "1 a b\n"}, {"# c\n\n  # c\na b\n", "4 a b\n"}, {"a\n b\n#c\n\n\tc\nd\n", "1 a b c\n6 d\n"}, {" a\nb\n", "1 !\n2 b\n"}, {"a\r\n b\r\n", "1 a b\n"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct line_reader r = {.rest = span_cstr(cases[i].text)};
		BUF_AUTO line = {0}, found = {0};
		for (int more; (more = logical_line_next(&r, &line, NULL));) {
			buf_printf(&found, "%u ", r.line);
			buf_add(&found, more > 0 ? buf_span(&line) : SPAN("!"));
			buf_add_char(&found, '\n');
		}
		assert_span(buf_span(&found), cases[i].found);
	}
}

static void the_setting_names_kind_source_and_file(void **state)
{
	struct span rest = SPAN("virtual:/a, transport:ldap:/b relay_domains:pgsql:/c,"), word;
	struct table_name name;
	(void)state;
	assert_int_equal(table_name_next(&rest, &name, &word, NULL), 1);
	assert_true(name.kind == TABLE_VIRTUAL && name.source == TABLE_TEXT);
	assert_span(name.path, "/a");
	assert_int_equal(table_name_next(&rest, &name, &word, NULL), 1);
	assert_true(name.kind == TABLE_TRANSPORT && name.source == TABLE_LDAP);
	assert_span(word, "transport:ldap:/b");
	assert_int_equal(table_name_next(&rest, &name, &word, NULL), 1);
	assert_true(name.kind == TABLE_RELAY_DOMAINS && name.source == TABLE_PGSQL);
	assert_int_equal(table_name_next(&rest, &name, &word, NULL), 0);
	static const char *const bad[] = {"/a", "virtual", "virtual:", "virtual:a", "other:/a", "virtual:mysql:/a", "virtual:hash:/a", ":/a"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct error why = {0};
		rest = span_cstr(bad[i]);
		assert_int_equal(table_name_next(&rest, &name, &word, &why), -1);
		assert_true(why.text[0]);
	}
}

static void names_are_looked_up_in_the_order_of_their_manuals(void **state)
{
	static const struct { enum table_kind kind; enum table_about about; const char *name, *keys; } cases[] = {
		/* virtual(5), TABLE SEARCH ORDER */
		{TABLE_VIRTUAL, TABLE_ADDRESS, "u+e@x.y", "u+e@x.y u@x.y @x.y "}, {TABLE_VIRTUAL, TABLE_ADDRESS, "u+e@o.t", "u+e@o.t u@o.t u+e u @o.t "},
		{TABLE_VIRTUAL, TABLE_DOMAIN, "x.y", "x.y "}, {TABLE_OWN_DOMAINS, TABLE_DOMAIN, "a.b.c", "a.b.c "}, {TABLE_ALIASES, TABLE_ADDRESS, "u@x.y", ""}, {TABLE_ALIASES, TABLE_ADDRESS, "u+e@o.t", "u+e u "},
		{TABLE_VIRTUSERTABLE, TABLE_ADDRESS, "u+e@x.y", "u+e@x.y u+*@x.y u@x.y @x.y "}, {TABLE_RELAY_DOMAINS, TABLE_DOMAIN, "a.b.c", "a.b.c b.c c "},
		/* transport(5), TABLE SEARCH ORDER */
		{TABLE_TRANSPORT, TABLE_ROUTE, "u+e@a.b.c", "u+e@a.b.c u@a.b.c a.b.c .b.c .c * "}, {TABLE_TRANSPORT, TABLE_DOMAIN, "a.b", "a.b .b "},
		{TABLE_MAILERTABLE, TABLE_ROUTE, "u@a.b.c", "a.b.c .b.c .c . "}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		BUF_AUTO found = {0};
		struct table_key keys[TABLE_KEYS_MOST];
		size_t count = table_keys(cases[i].kind, cases[i].about, span_cstr(cases[i].name), "+", SPAN("o.t"), &a, keys);
		for (size_t k = 0; k < count; k++)
			buf_printf(&found, "%.*s ", SPAN_ARG(keys[k].text));
		assert_span(buf_span(&found), cases[i].keys);
	}
}

static void keys_have_one_form(void **state)
{
	static const struct { const char *written, *key; } cases[] = {
		{"Ana@Example.ORG", "ana@example.org"}, {"@Example.org", "@example.org"}, {"ROOT", "root"}, {".Example.org", ".example.org"}, {"*", "*"}, {".", "."},
		{"b\xc3\xbc" "cher.example", "xn--bcher-kva.example"}, {"a b@x.y", "\"a b\"@x.y"}, {"\"a\"@x.y", "a@x.y"}, {"u+*@X.y", "u+*@x.y"}, {"", ""}, {"@", "@"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO key = {0};
		table_key_canonical(span_cstr(cases[i].written), &key);
		assert_span(buf_span(&key), cases[i].key);
	}
}

static void transports_are_next_hops_or_refused(void **state)
{
	static const struct { const char *value; bool is_mailertable; int found; const char *hop; } cases[] = {
		{"smtp:[h.x]:587", false, TRANSPORT_HOP, "[h.x]:587"}, {"relay:x.y", false, TRANSPORT_HOP, "x.y"}, {"smtp:", false, TRANSPORT_MX, ""}, {"smtp", false, TRANSPORT_MX, ""},
		{":", false, TRANSPORT_UNCHANGED, ""}, {":[h.x]", false, TRANSPORT_HOP, "[h.x]"}, {"lmtp:inet:10.0.0.1:24", false, TRANSPORT_HOP, "lmtp:10.0.0.1:24"},
		{"lmtp:inet:[h.x]:lmtp", false, TRANSPORT_HOP, "lmtp:[h.x]:24"}, {"smtp:[2001:db8::1]:25", false, TRANSPORT_HOP, "[IPv6:2001:db8::1]:25"},
		{"smtp:[h.x]:submission", false, TRANSPORT_HOP, "[h.x]:587"}, {"local:", false, TRANSPORT_HERE, ""}, {"virtual:", false, TRANSPORT_HERE, ""}, {"local:$myhostname", false, TRANSPORT_HERE, ""},
		{"error:5.1.2 no such domain", false, TRANSPORT_ERROR, ""}, {"esmtp:[h.x]", true, TRANSPORT_HOP, "[h.x]"}, {"error:nohost no", true, TRANSPORT_ERROR, ""},
		{"local:", true, TRANSPORT_HERE, ""}, {"discard:", false, -1, ""}, {"lmtp:unix:/run/x", false, -1, ""}, {"smtp:a.x, b.x", false, -1, ""}, {"maildrop:", false, -1, ""},
		{"esmtp:[h.x]", false, -1, ""}, {"local:ana", true, -1, ""}, {"procmail:/etc/x", true, -1, ""}, {"smtp:%1.x", true, -1, ""}, {"", false, -1, ""}, {"lmtp:", false, -1, ""}, {"smtp:[h.x", false, -1, ""}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO hop = {0};
		struct error why = {0};
		enum transport found = 0;
		int result = transport_parse(span_cstr(cases[i].value), cases[i].is_mailertable, &found, &hop, &why);
		assert_int_equal(result ? -1 : (int)found, cases[i].found);
		assert_true(!result || why.text[0]);
		assert_span(buf_span(&hop), cases[i].hop);
	}
}

static void patterns_are_filled_in_or_have_no_answer(void **state)
{
	static const struct { const char *format, *key, *value, *found; } cases[] = {
		{"%s", "u@d", "u@d", "u@d"}, {"%u at %d", "u@d", "u@d", "u at d"}, {"%u", "u", "u", "u"}, {"%d", "u", "u", NULL}, {"%u", "@d", "@d", NULL}, {"%s", "@d", "@d", "@d"},
		{"%1/%2/%3", "u@a.b.c", "u@a.b.c", "c/b/a"}, {"%4", "u@a.b.c", "u@a.b.c", NULL}, {"%%s", "u@d", "u@d", "%s"}, {"%U@%d", "u@d", "x@y", "u@y"}, {"%S", "u@d", "x", "u@d"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		bool is_found = table_format_expand(span_cstr(cases[i].format), span_cstr(cases[i].key), span_cstr(cases[i].value), NULL, &out);
		assert_int_equal(is_found, cases[i].found != NULL);
		if (is_found)
			assert_span(buf_span(&out), cases[i].found);
	}
	assert_int_equal(table_format_check(SPAN("%x"), NULL), -1);
	assert_int_equal(table_format_check(SPAN("x%"), NULL), -1);
	assert_int_equal(table_format_check(SPAN("100%% of %s"), NULL), 0);
}

static void what_strangers_write_is_no_part_of_a_filter(void **state)
{
	BUF_AUTO filter = {0}, name = {0};
	(void)state;
	assert_true(table_format_expand(SPAN("(mail=%s)"), SPAN("*)(uid=*\\@x"), SPAN("*)(uid=*\\@x"), table_escape_filter, &filter));
	assert_span(buf_span(&filter), "(mail=\\2a\\29\\28uid=\\2a\\5c@x)"); /* RFC 4515 §4 */
	table_escape_name(SPAN("a,dc=b+\"\\"), &name);
	assert_span(buf_span(&name), "a\\2cdc\\3db\\2b\\22\\5c");
}

static void what_strangers_write_is_no_part_of_a_query(void **state)
{
	static const struct { const char *query; int found; const char *sql, *parameters; } cases[] = {
		{"SELECT a FROM t WHERE b='%s'", 1, "SELECT a FROM t WHERE b=$1", "o'x@d.t;"}, {"SELECT '%%' || a FROM t WHERE b LIKE '%u%%' AND c = '%d'", 1,
		 "SELECT '%' || a FROM t WHERE b LIKE $1 AND c = $2", "o'x%;d.t;"}, {"SELECT 'it''s' WHERE b='it''s %s'", 1, "SELECT 'it''s' WHERE b=$1", "it's o'x@d.t;"},
		{"SELECT \"a'b\" FROM t WHERE b='%3'", 0, NULL, NULL}, {"SELECT a WHERE b=%s", -1, NULL, NULL}, {"SELECT a WHERE b=E'%s'", -1, NULL, NULL}, {"SELECT a WHERE b='%s", -1, NULL, NULL},
		{"SELECT \"%s\"", -1, NULL, NULL}, {"SELECT a -- '%s'", -1, NULL, NULL}, {"SELECT $$%s$$", -1, NULL, NULL}, {"SELECT '%x'", -1, NULL, NULL}, {"SELECT /* '%s' */ a", -1, NULL, NULL},
		/* behind %, where a literal has no pattern */
		{"SELECT a WHERE b LIKE 'x%%' AND c = 'y'", 1, "SELECT a WHERE b LIKE 'x%' AND c = 'y'", ""}, {"SELECT a WHERE b LIKE 'x%' AND c = 'y'", -1, NULL, NULL},
		{"SELECT a WHERE b LIKE 'x%'", -1, NULL, NULL}, {"SELECT a WHERE b LIKE '%''%s'", -1, NULL, NULL}, {"SELECT a WHERE b LIKE E'x%'", -1, NULL, NULL},
		{"SELECT a WHERE b = '%s' AND c LIKE 'x%'", -1, NULL, NULL}, {"SELECT a WHERE b LIKE '%%%'", -1, NULL, NULL}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		BUF_AUTO sql = {0}, all = {0};
		struct span parameters[TABLE_PARAMETERS_MOST];
		size_t count;
		struct error why = {0};
		int found = table_sql(span_cstr(cases[i].query), SPAN("o'x@d.t"), &a, &sql, parameters, &count, &why);
		assert_int_equal(found, cases[i].found);
		assert_true(found >= 0 || why.text[0]);
		for (size_t k = 0; k < count; k++)
			buf_printf(&all, "%.*s;", SPAN_ARG(parameters[k]));
		if (found > 0)
			assert_span(buf_span(&sql), cases[i].sql);
		if (found > 0)
			assert_span(buf_span(&all), cases[i].parameters);
	}
}

static void settings_that_would_change_the_answer_are_refused(void **state)
{
	static const char pgsql[] = "user = u\ndbname = d\nquery = SELECT a FROM t\n  WHERE b='%s'\n", ldap[] = "search_base = dc=x\n";
	static const struct { enum table_source source; const char *more; bool is_good; } cases[] = {
		{TABLE_PGSQL, "", true}, {TABLE_PGSQL, "domain = a.x, b.x", true}, {TABLE_PGSQL, "select_field = x", false}, {TABLE_PGSQL, "domain = hash:/x", false}, {TABLE_PGSQL, "query = SELECT %s", false},
		{TABLE_PGSQL, "result_format = %q", false}, {TABLE_PGSQL, "expansion_limit = x", false}, {TABLE_PGSQL, "search_base = x", false}, {TABLE_PGSQL, "words", false},
		{TABLE_LDAP, "", true}, {TABLE_LDAP, "version = 2", false}, {TABLE_LDAP, "version = 3", true}, {TABLE_LDAP, "special_result_attribute = m", false}, {TABLE_LDAP, "bind = sasl", false},
		{TABLE_LDAP, "scope = one", true}, {TABLE_LDAP, "scope = children", false}, {TABLE_LDAP, "timeout = 5", true}, {TABLE_LDAP, "chase_referrals = yes", false}, {TABLE_LDAP, "query_filter = (a=%x)", false}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		BUF_AUTO text = {0};
		struct table_settings s;
		struct error why = {0};
		buf_printf(&text, "%s%s\n", cases[i].source == TABLE_PGSQL ? pgsql : ldap, cases[i].more);
		unsigned line;
		bool is_good = table_settings_read(cases[i].source, buf_span(&text), &a, &s, &line, &why) == 0;
		assert_true(is_good == cases[i].is_good);
		assert_true(is_good || why.text[0]);
	}
	ARENA_AUTO a = {0};
	struct table_settings broken;
	struct error why = {0};
	unsigned line = 0;
	assert_int_equal(table_settings_read(TABLE_PGSQL, SPAN("user = u\ndbname = d\n# patterns\nquery = SELECT a FROM t\n  WHERE b LIKE 'x%'\nhosts = h\n"), &a, &broken, &line, &why), -1);
	assert_int_equal(line, 4);
	assert_true(strstr(why.text, "x%") && strstr(why.text, "or % for itself"));
	assert_int_equal(table_settings_read(TABLE_LDAP, SPAN("search_base = dc=x\ntimeout = soon\n"), &a, &broken, &line, &why), -1);
	assert_int_equal(line, 2);
	assert_int_equal(table_settings_read(TABLE_LDAP, SPAN("timeout = 5\n"), &a, &broken, &line, &why), -1);
	assert_int_equal(line, 0);
	struct table_settings s = {.values = {[TABLE_DOMAINS] = SPAN("a.x, b.x")}};
	assert_true(table_settings_want(&s, SPAN("u@B.x")));
	assert_false(table_settings_want(&s, SPAN("u@c.x")) || table_settings_want(&s, SPAN("@a.x")) || table_settings_want(&s, SPAN("a.x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_on_over_comments_and_empty_ones),
		cmocka_unit_test(the_setting_names_kind_source_and_file),
		cmocka_unit_test(names_are_looked_up_in_the_order_of_their_manuals),
		cmocka_unit_test(keys_have_one_form),
		cmocka_unit_test(transports_are_next_hops_or_refused),
		cmocka_unit_test(patterns_are_filled_in_or_have_no_answer),
		cmocka_unit_test(what_strangers_write_is_no_part_of_a_filter),
		cmocka_unit_test(what_strangers_write_is_no_part_of_a_query),
		cmocka_unit_test(settings_that_would_change_the_answer_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
