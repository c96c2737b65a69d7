/* The patterns by which Postfix asks databases and writes their results: %s, %u, %d and so on (ldap_table(5), pgsql_table(5)). What takes
 * their places was written by strangers: in a filter and a name of LDAP it is escaped (RFC 4515 §3, RFC 4514 §2.4), and of SQL it becomes
 * no part at all: it travels beside the query, as a parameter. Pure. */
#ifndef WIRE_TABLE_QUERY_H
#define WIRE_TABLE_QUERY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { TABLE_PARAMETERS_MOST = 16 };

typedef void table_escape_fn(struct span text, struct buf *out);

/* Of `value`: %s all of it, %u its local part, %d its domain. Of `key`: %S, %U, %D, and %1 to %9, the labels of its domain from the right.
 * Of a query both are the key. escape: NULL: as it is. False if the pattern has no answer for them: it names what they do not have. */
bool table_format_expand(struct span format, struct span key, struct span value, table_escape_fn *escape, struct buf *out);
int table_format_check(struct span format, struct error *why);

void table_escape_filter(struct span text, struct buf *out);
void table_escape_name(struct span text, struct buf *out);

/* The query with $1, $2 in place of each literal that has a pattern in it, and the literals' values in the arena. 1; 0 as above; -1 with
 * *why if a pattern stands where no parameter can. */
int table_sql(struct span query, struct span key, struct arena *a, struct buf *sql, struct span parameters[TABLE_PARAMETERS_MOST], size_t *count,
              struct error *why);
int table_sql_check(struct span query, struct error *why);

#endif
