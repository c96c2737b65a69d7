/* A table in PostgreSQL: pgsql_table(5), by libpq. What a stranger wrote is a parameter of the query, and no part of it. */
#include "resolve/database.h"

#include "base/clock.h"
#include "base/die.h"
#include "wire/table_query.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

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

static bool is_uri(struct span word)
{
	return span_starts_with(word, SPAN("postgresql://")) || span_starts_with(word, SPAN("postgres://"));
}

/* host, host:port, inet:host:port, unix:/folder, unix:/folder:port, or a whole URI. */
static void add_host(struct keywords *k, struct span word, struct arena *a)
{
	static const struct span inet = SPAN("inet:"), local = SPAN("unix:");
	if (is_uri(word)) {
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

static int seconds_of(const struct table_settings *s)
{
	return s->timeout_s && s->timeout_s < DATABASE_SECONDS_MOST ? (int)s->timeout_s : DATABASE_SECONDS_MOST;
}

static PGconn *connect_to(const struct table_settings *s, struct span host, struct error *why)
{
	ARENA_AUTO a = {0};
	struct keywords k = {0};
	char seconds[16], options[64], milliseconds[16];
	snprintf(seconds, sizeof seconds, "%d", seconds_of(s));
	snprintf(milliseconds, sizeof milliseconds, "%d", seconds_of(s) * 1000);
	snprintf(options, sizeof options, "-c statement_timeout=%d", seconds_of(s) * 1000);
	if (!is_uri(host))
		add(&k, "dbname", s->values[TABLE_DBNAME], &a); /* of two, only the first could be a URI */
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
	if (c && PQstatus(c) == CONNECTION_OK && PQsetnonblocking(c, 1) == 0)
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
				error_set(why, 0, "%.*s: more results than expansion_limit", SPAN_ARG(span_slice(key, 0, 100)));
				return DATABASE_LATER;
			}
			if (results->len)
				buf_add_char(results, ',');
			buf_add(results, buf_span(&one));
		}
	return results->len ? DATABASE_FOUND : DATABASE_NONE;
}

/* Until the connection can be read, or written to as well; -1 if the time is over. */
static int wait_for(PGconn *c, bool is_writing, int64_t end_ms)
{
	struct pollfd p = {.fd = PQsocket(c), .events = (short)(POLLIN | (is_writing ? POLLOUT : 0))};
	for (;;) {
		int64_t left = end_ms - clock_monotonic_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (ready > 0)
			return 0;
		if (!ready || errno != EINTR)
			return -1;
	}
}

/* A result of the query, NULL behind the last. -1 with *why: there is none, and the connection is of no more use. */
static int take_result(PGconn *c, int64_t end_ms, PGresult **out, struct error *why)
{
	int is_writing;
	while ((is_writing = PQflush(c)) > 0 || (is_writing == 0 && PQisBusy(c))) {
		if (wait_for(c, is_writing, end_ms))
			return error_set(why, ETIMEDOUT, "no answer in time: the connection is given up");
		if (!PQconsumeInput(c))
			break;
	}
	if (is_writing < 0 || PQstatus(c) != CONNECTION_OK || PQisBusy(c)) {
		set_why(c, why);
		return -1;
	}
	*out = PQgetResult(c);
	return 0;
}

/* What the server says of itself, and not of the query: connection exceptions, insufficient resources, operator intervention (PostgreSQL,
 * appendix A); 57014 is statement_timeout. */
static bool is_of_server(const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	return !state || strncmp(state, "08", 2) == 0 || strncmp(state, "53", 2) == 0 || strncmp(state, "57", 2) == 0;
}

static enum database_outcome read_result(PGconn *c, const PGresult *r, const struct table_settings *s, struct span key, struct buf *results, struct error *why)
{
	switch (PQresultStatus(r)) {
	case PGRES_TUPLES_OK: return read_results(r, s, key, results, why);
	case PGRES_COMMAND_OK: case PGRES_EMPTY_QUERY: error_set(why, 0, "the query is none that gives rows"); return DATABASE_LATER;
	case PGRES_FATAL_ERROR: set_why(c, why); return is_of_server(r) ? DATABASE_DOWN : DATABASE_LATER;
	default: error_set(why, 0, "the query copies, which it must not"); return DATABASE_DOWN; /* the connection is in the midst of that */
	}
}

/* statement_timeout needs a server that is alive, and TCP's own time-outs one that does not acknowledge: so the time is ours. */
static enum database_outcome ask(void *connection, const struct table_settings *s, struct span key, struct buf *results, struct error *why)
{
	ARENA_AUTO a = {0};
	BUF_AUTO sql = {0};
	PGconn *c = connection;
	struct span parameters[TABLE_PARAMETERS_MOST];
	const char *values[TABLE_PARAMETERS_MOST];
	size_t count;
	int64_t end_ms = clock_monotonic_ms() + seconds_of(s) * 1000;
	int is_asked = table_sql(s->values[TABLE_QUERY], key, &a, &sql, parameters, &count, why);
	if (is_asked <= 0)
		return is_asked ? DATABASE_LATER : DATABASE_NONE;
	for (size_t i = 0; i < count; i++)
		values[i] = parameters[i].ptr; /* ends with a NUL, and has none: names are canonical */
	if (!PQsendQueryParams(c, buf_cstr(&sql), (int)count, NULL, values, NULL, NULL, 0)) {
		set_why(c, why);
		return DATABASE_DOWN;
	}
	enum database_outcome outcome = DATABASE_DOWN;
	PGresult *r, *none = NULL;
	if (take_result(c, end_ms, &r, why))
		return DATABASE_DOWN;
	if (r)
		outcome = read_result(c, r, s, key, results, why);
	else
		error_set(why, 0, "the query has no result");
	PQclear(r);
	if (outcome != DATABASE_DOWN && (take_result(c, end_ms, &none, why) || none || PQstatus(c) != CONNECTION_OK))
		outcome = DATABASE_DOWN; /* not as the protocol has it */
	PQclear(none);
	return outcome;
}

static void close_one(void *connection)
{
	PQfinish(connection);
}

/* Those that URIs name. */
static void list_files(const struct table_settings *s, const char *authorities, char *files[DATABASE_FILES_MOST])
{
	static const char *const names[] = {"sslrootcert", "sslcert", "sslkey", "sslcrl"};
	struct span rest = s->values[TABLE_HOSTS], word;
	size_t count = 0;
	(void)authorities;
	while ((word = span_next_word(&rest)).len) {
		char *uri = span_strdup(span_slice(word, 0, word.len - span_ends_with(word, SPAN(","))));
		PQconninfoOption *options = is_uri(word) ? PQconninfoParse(uri, NULL) : NULL;
		for (PQconninfoOption *o = options; o && o->keyword; o++)
			for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
				if (strcmp(o->keyword, names[i]) == 0 && o->val && o->val[0] == '/' && count < DATABASE_FILES_MOST)
					files[count++] = xstrdup(o->val);
		PQconninfoFree(options);
		free(uri);
	}
}

const struct database_driver database_pgsql = {open_any, ask, close_one, list_files};
