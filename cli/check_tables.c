/* `carteiro check`: whether the tables beside the directory can be read and asked. */
#include "cli/cli.h"

#include "resolve/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct checked {
	const char *path;
	int faults;
};

static void print_fault(void *context, unsigned line, const char *why)
{
	struct checked *c = context;
	if (line)
		printf("tables: %s:%u: %s\n", c->path, line, why);
	else
		printf("tables: %s: %s\n", c->path, why);
	c->faults++;
}

/* Asked in a process of that user: root may read everything. */
static bool may_read(const struct config *config, const char *path)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam(config->user) : NULL;
	int status = 0;
	if (!user)
		return true;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
			_exit(0);
		_exit(open(path, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	}
	return child < 0 || waitpid(child, &status, 0) != child || status == 0;
}

/* Any name does: what counts is that there is an answer. */
static void ask(struct database *d, struct checked *c)
{
	BUF_AUTO results = {0};
	struct error why = {0};
	if (database_ask(d, SPAN("postmaster@example.invalid"), &results, &why) == DATABASE_LATER)
		print_fault(c, 0, why.text);
}

int cli_check_tables(const struct config *config)
{
	struct span rest = span_cstr(config->tables), word;
	struct table_name name;
	int faults = 0;
	if (rest.len)
		database_library_start();
	while (table_name_next(&rest, &name, &word, NULL) > 0) {
		char *path = span_strdup(name.path);
		struct checked c = {.path = path};
		struct table_content content;
		int read = table_content_read(name.kind, name.source, path, path, config->tls_authorities, config->pipes, &content, print_fault, &c);
		if (read == 0 && content.database)
			ask(content.database, &c);
		if (read == 0)
			table_content_free(&content);
		if (!may_read(config, path))
			print_fault(&c, 0, "the server's user may not read it: give it to a group that this user is in");
		faults += c.faults;
		free(path);
	}
	return faults;
}
