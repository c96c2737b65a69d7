/* A table in PostgreSQL: pgsql_table(5), by libpq. What a stranger wrote is a parameter of the query, and no part of it. */
#include "resolve/database.h"

#include "wire/table_query.h"

#include <libpq-fe.h>
#include <stdio.h>

enum { KEYWORDS_MOST = 12 };

struct keywords {
	const char *names[KEYWORDS_MOST + 1], *values[KEYWORDS_MOST + 1];
	size_t count;
};

static void add(struct keywords *k, const char *name, struct span value, struct arena *a)
{
	k->names[k->count] = name;
	k->values[k->count++] = arena_dup(a, value).ptr;
}

/* host, host:port, inet:host:port, unix:/folder, unix:/folder:port, or a whole URI. */
static void add_host(struct keywords *k, struct span word, struct arena *a)
{
	static const struct span inet = SPAN("inet:"), local = SPAN("unix:");
	if (span_starts_with(word, SPAN("postgresql://")) || span_starts_with(word, SPAN("postgres://"))) {
		add(k, "dbname", word, a); /* it is taken apart by libpq */
		return;
	}
	word = span_skip(word, span_starts_with(word, inet) ? inet.len : span_starts_with(word, local) ? local.len : 0);
	ssize_t colon = span_rchr(word, ':');
	add(k, "host", span_slice(word, 0, colon < 0 ? word.len : (size_t)colon), a);
	if (colon >= 0)
		add(k, "port", span_skip(word, (size_t)colon + 1), a);
}

/* libpq's texts have line ends. */
static void set_why(const PGconn *c, struct error *why)
{
	struct span text = span_trim(span_cstr(c ? PQerrorMessage(c) : "no memory"));
	BUF_AUTO line = {0};
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(&line, text.ptr[i] == '\n' || text.ptr[i] == '\t' ? ' ' : text.ptr[i]);
	error_set(why, 0, "%s", buf_cstr(&line));
}

static PGconn *connect_to(const struct table_settings *s, struct span host, struct error *why)
{
	ARENA_AUTO a = {0};
	struct keywords k = {0};
	char seconds[16], options[64], milliseconds[16];
	snprintf(seconds, sizeof seconds, "%d", DATABASE_SECONDS_MOST);
	snprintf(milliseconds, sizeof milliseconds, "%d", DATABASE_SECONDS_MOST * 1000);
	snprintf(options, sizeof options, "-c statement_timeout=%d", DATABASE_SECONDS_MOST * 1000);
	add(&k, "dbname", s->values[TABLE_DBNAME], &a);
	add(&k, "user", s->values[TABLE_USER], &a);
	if (s->values[TABLE_PASSWORD].len)
		add(&k, "password", s->values[TABLE_PASSWORD], &a);
	add(&k, "client_encoding", SPAN("UTF8"), &a);
	add(&k, "connect_timeout", span_cstr(seconds), &a);
	add(&k, "tcp_user_timeout", span_cstr(milliseconds), &a);
	add(&k, "options", span_cstr(options), &a);
	add(&k, "application_name", SPAN("carteiro"), &a);
	add_host(&k, host, &a);
	PGconn *c = PQconnectdbParams(k.names, k.values, 1);
	if (c && PQstatus(c) == CONNECTION_OK)
		return c;
	set_why(c, why);
	PQfinish(c);
	return NULL;
}

static void *open_any(const struct table_settings *s, const char *authorities, struct error *why)
{
	struct span rest = s->values[TABLE_HOSTS], word;
	PGconn *c = NULL;
	(void)authorities;
	error_set(why, 0, "no host is named");
	while (!c && (word = span_next_word(&rest)).len)
		c = connect_to(s, span_ends_with(word, SPAN(",")) ? span_slice(word, 0, word.len - 1) : word, why);
	return c;
}

static enum database_outcome read_results(const PGresult *r, const struct table_settings *s, struct span key, struct buf *results, struct error *why)
{
	unsigned count = 0;
	for (int row = 0; row < PQntuples(r); row++)
		for (int column = 0; column < PQnfields(r); column++) {
			BUF_AUTO one = {0};
			struct span value = span_of(PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
			if (!value.len || !table_format_expand(s->values[TABLE_RESULT_FORMAT], key, value, NULL, &one))
				continue;
			if (s->expansion_limit && ++count > s->expansion_limit) {
				error_set(why, 0, "more results than expansion_limit");
				return DATABASE_LATER;
			}
			if (results->len)
				buf_add_char(results, ',');
			buf_add(results, buf_span(&one));
		}
	return results->len ? DATABASE_FOUND : DATABASE_NONE;
}

static enum database_outcome ask(void *connection, const struct table_settings *s, struct span key, struct buf *results, struct error *why)
{
	ARENA_AUTO a = {0};
	BUF_AUTO sql = {0};
	struct span parameters[TABLE_PARAMETERS_MOST];
	const char *values[TABLE_PARAMETERS_MOST];
	size_t count;
	int is_asked = table_sql(s->values[TABLE_QUERY], key, &a, &sql, parameters, &count, why);
	if (is_asked <= 0)
		return is_asked ? DATABASE_LATER : DATABASE_NONE;
	for (size_t i = 0; i < count; i++)
		values[i] = parameters[i].ptr; /* ends with a NUL, and has none: names are canonical */
	PGresult *r = PQexecParams(connection, buf_cstr(&sql), (int)count, NULL, values, NULL, NULL, 0);
	enum database_outcome outcome = DATABASE_LATER;
	if (PQresultStatus(r) == PGRES_TUPLES_OK)
		outcome = read_results(r, s, key, results, why);
	else if (PQresultStatus(r) == PGRES_COMMAND_OK)
		error_set(why, 0, "the query is none that gives rows");
	else
		set_why(connection, why);
	PQclear(r);
	return outcome;
}

static void close_one(void *connection)
{
	PQfinish(connection);
}

const struct database_driver database_pgsql = {open_any, ask, close_one};
