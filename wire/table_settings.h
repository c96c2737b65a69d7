/* The file with the settings of a table in LDAP or PostgreSQL, as Postfix has it: `name = value` lines (ldap_table(5), pgsql_table(5)).
 *
 * Pure. A parameter that is not known here, or has a value that would change the answers and is not done here, is refused. */
#ifndef WIRE_TABLE_SETTINGS_H
#define WIRE_TABLE_SETTINGS_H

#include "wire/logical_line.h"
#include "wire/table.h"

enum table_setting {
	TABLE_DOMAINS,         /* only addresses of these are looked up; empty: all */
	TABLE_TIMEOUT,         /* seconds for each answer; of PostgreSQL it is our own */
	TABLE_RESULT_FORMAT,
	TABLE_EXPANSION_LIMIT, /* of results; more are an error */
	/* PostgreSQL */
	TABLE_HOSTS, TABLE_USER, TABLE_PASSWORD, TABLE_DBNAME, TABLE_QUERY, TABLE_ENCODING,
	/* LDAP */
	TABLE_SERVER_HOST, TABLE_SERVER_PORT, TABLE_SEARCH_BASE, TABLE_QUERY_FILTER, TABLE_RESULT_ATTRIBUTE, TABLE_SCOPE, TABLE_BIND, TABLE_BIND_DN,
	TABLE_BIND_PW, TABLE_START_TLS, TABLE_TLS_CA_FILE, TABLE_TLS_REQUIRE_CERT,
	TABLE_SETTINGS,
};

struct table_settings {
	enum table_source source;
	struct span values[TABLE_SETTINGS]; /* with their defaults */
	unsigned lines[TABLE_SETTINGS];     /* 0: not in the file */
	unsigned expansion_limit, timeout_s; /* expansion_limit 0: none */
};

/* 0 with the spans in the arena; or -1 with *why and the line in *line, which is 0 where it is about the whole. */
int table_settings_read(enum table_source source, struct span text, struct arena *a, struct table_settings *out, unsigned *line, struct error *why);

/* True if the table is to be asked for that key at all (the parameter `domain`). */
bool table_settings_want(const struct table_settings *s, struct span key);

#endif
