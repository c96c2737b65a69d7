/* The tables of the setting: text files, which are read whole and again when they change, and databases. store asks them. */
#ifndef RESOLVE_TABLES_H
#define RESOLVE_TABLES_H

#include "config/config.h"
#include "resolve/database.h"
#include "resolve/table_text.h"

#include <sys/stat.h>

enum { TABLES_PATHS_MOST = (1 + DATABASE_FILES_MOST) * CONFIG_TABLES_MOST };

struct channel;
struct msg_table_ask;
struct table_question;

/* What a file came to when it was read: a text's rows, or a database. */
struct table_content {
	struct table_text text;
	struct database *database;
};

struct table {
	enum table_kind kind;
	enum table_source source;
	char *name, *path;            /* name: as in the setting */
	struct table_content content;
	bool is_read;
	struct stat last, tried;      /* the file when it was last looked at, and when it was last read, well or not */
	bool is_missed;               /* the log has that it cannot be read */
};

struct tables {
	struct loop *loop;
	struct channel *store;        /* NULL while there is none */
	struct table list[CONFIG_TABLES_MOST];
	size_t count;
	char *setting, *origin, *delimiters, *authorities, *pipes;
	struct timer *timer;          /* looks whether files have changed */
	struct database_pool *pool;   /* NULL until a database is asked: its threads are of the sandbox only if they begin behind its closing */
	struct table_question *questions;
	size_t question_count;
};

/* Reads all tables, before the sandbox closes. Faults are logged. */
void tables_open(struct tables *t, struct loop *l, const struct config *config);
/* True if other tables, or other domains, delimiters and programs, are configured than were opened. */
bool tables_are_others(const struct tables *t, const struct config *config);
/* Adds the folders of the files, and what databases need for TLS, to a list for sandbox_enclose that ends with NULL. They live for long enough
 * for that. */
void tables_add_paths(struct tables *t, const char **paths, size_t room);
/* False if settings that were read since name what the sandbox does not have. */
bool tables_are_within_reach(const struct tables *t);

/* How many cannot be asked, since their files were never read. */
size_t tables_unread(const struct tables *t);

/* From store. Answers once, perhaps before it returns. */
void tables_ask(struct tables *t, const struct msg_table_ask *m);
/* store has gone, or another one is there. */
void tables_attach(struct tables *t, struct channel *store);

/* Reads a table's file; pipes: the setting. 0, or -1 after faults. */
int table_content_read(enum table_kind kind, enum table_source source, const char *name, const char *path, const char *authorities, const char *pipes,
                       struct table_content *out, table_fault_fn *fault, void *context);
void table_content_free(struct table_content *c);

#endif
