/* Tables in LDAP and PostgreSQL. Their libraries block, so that they are asked in threads of their own; a database that does not answer
 * is left alone for a moment, and what would be asked of it meanwhile is answered with "later". What goes wrong with one key is "later" for
 * that key alone: keys are written by strangers. */
#ifndef RESOLVE_DATABASE_H
#define RESOLVE_DATABASE_H

#include "base/loop.h"
#include "wire/table_settings.h"

enum {
	DATABASE_CONNECTIONS = 4,   /* of one database, and threads for each: so that one that hangs does not hold up the others */
	DATABASE_SECONDS_MOST = 10, /* for connecting, and for each answer */
	DATABASE_FILES_MOST = 8,
};

enum database_outcome {
	DATABASE_NONE, DATABASE_FOUND,
	DATABASE_LATER, /* this key cannot be looked up */
	DATABASE_DOWN,  /* between driver and database.c alone: no key can, by this connection at least */
};

/* What one library does. `connection` is its own. */
struct database_driver {
	void *(*open)(const struct table_settings *s, const char *authorities, struct error *why); /* NULL with *why */
	/* The results, by result_format, are appended with commas between them. With *why: DATABASE_LATER, and the connection is as good as before;
	 * DATABASE_DOWN: it is of no more use, and code ETIMEDOUT if it is because the time was over. */
	enum database_outcome (*ask)(void *connection, const struct table_settings *s, struct span key, struct buf *results, struct error *why);
	void (*close)(void *connection);
	/* Puts absolute paths of what it reads when it connects into the list, which is empty; the caller frees them. */
	void (*files)(const struct table_settings *s, const char *authorities, char *files[DATABASE_FILES_MOST]);
};

extern const struct database_driver database_ldap, database_pgsql;

/* Reads what a library would read late: before the sandbox closes. */
void database_library_start(void);

struct database;

/* name: for the log. text: of the file with its settings. authorities: a file with certificates, where the settings name none. NULL with
 * *why and *line (0: all of them): what is wrong with them. */
struct database *database_new(enum table_source source, const char *name, struct span text, const char *authorities, unsigned *line, struct error *why);
/* What its TLS reads when it connects: paths up to a NULL, as long as the database is there. */
const char *const *database_files(const struct database *d);
/* False if it is not to be asked for that key, by its parameter `domain`. */
bool database_wants(const struct database *d, struct span key);
/* It goes with the last question that is under way. */
void database_release(struct database *d);
/* Asks, blocking, in place of a thread. DATABASE_LATER with *why. */
enum database_outcome database_ask(struct database *d, struct span key, struct buf *results, struct error *why);

struct database_pool;
struct database_job;

/* results: valid during the call. */
typedef void database_done_fn(void *context, enum database_outcome outcome, struct span results);

/* Starts threads for so many databases: after the sandbox has closed, which only they inherit that begin later. */
struct database_pool *database_pool_new(struct loop *l, size_t databases);
/* Calls done later, in the loop's thread. NULL if too many wait for that database already. */
struct database_job *database_post(struct database_pool *p, struct database *d, struct span key, database_done_fn *done, void *context);
/* done is not called any more, and what waits still is not asked. */
void database_cancel(struct database_job *j);

#endif
