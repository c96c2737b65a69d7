/* Any bytes as a table: its file, the settings of a database, a query, a name that is looked up. The first byte says which. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "resolve/table_text.h"
#include "wire/table_query.h"
#include "wire/table_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *context, unsigned line, const char *why)
{
	(void)context;
	if (!line || !why[0])
		die("a fault without its line or reason");
}

static void read_table(enum table_kind kind, struct span text)
{
	struct table_text t;
	if (table_text_read(kind, "/bin/a", text, &t, ignore, NULL) == 0)
		table_text_free(&t);
	else if (t.count)
		die("a broken table has rows");
}

static void read_settings(enum table_source source, struct span text)
{
	ARENA_AUTO a = {0};
	struct table_settings s;
	unsigned line;
	if (table_settings_read(source, text, &a, &s, &line, NULL) == 0)
		table_settings_want(&s, SPAN("u@example.org"));
}

/* Query and key, with a NUL between them: the key is no part of what is asked. */
static void ask(struct span text)
{
	ARENA_AUTO a = {0};
	BUF_AUTO sql = {0}, other = {0}, filter = {0};
	ssize_t end = span_chr(text, '\0');
	struct span query = span_slice(text, 0, end < 0 ? text.len : (size_t)end), key = end < 0 ? SPAN("") : span_skip(text, (size_t)end + 1);
	struct span parameters[TABLE_PARAMETERS_MOST];
	size_t count;
	if (table_sql(query, key, &a, &sql, parameters, &count, NULL) == 1 && table_sql(query, SPAN("u@9.8.7.6.5.4.3.2.1"), &a, &other, parameters, &count, NULL) == 1 &&
	    !span_equal(buf_span(&sql), buf_span(&other)))
		die("a query depends on what is looked up");
	table_escape_filter(key, &filter);
	for (size_t i = 0; i < filter.len; i++)
		if (strchr("*()", filter.ptr[i]))
			die("a filter is left open");
}

static void look_up(enum table_about about, struct span name)
{
	ARENA_AUTO a = {0};
	BUF_AUTO key = {0};
	struct table_key keys[TABLE_KEYS_MOST];
	table_key_canonical(name, &key);
	for (enum table_kind kind = 0; kind < TABLE_KINDS; kind++)
		if (table_keys(kind, about, name, "+-", SPAN("example.org"), &a, keys) > TABLE_KEYS_MOST)
			die("too many keys");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size), word;
	struct table_name name;
	if (!size)
		return 0;
	unsigned which = data[0] % 14;
	text = span_skip(text, 1);
	if (which < TABLE_KINDS)
		read_table(which, text);
	else if (which < 9)
		read_settings(which == 7 ? TABLE_LDAP : TABLE_PGSQL, text);
	else if (which < 10)
		ask(text);
	else if (which < 13)
		look_up(which - 10, text);
	else
		while (table_name_next(&text, &name, &word, NULL))
			;
	return 0;
}
