#include "resolve/tables.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "ipc/channel.h"
#include "resolve/table_question.h"
#include "wire/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 500, FILE_BYTES_MOST = 256 * 1024 * 1024 };

/* ---- one file ---- */

static int read_file(const char *path, struct buf *out, struct error *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : 0;
	while (fd >= 0 && out->len <= FILE_BYTES_MOST && (n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
		out->len += (size_t)n;
	int code = n < 0 ? errno : out->len > FILE_BYTES_MOST ? EFBIG : 0;
	if (fd >= 0)
		close(fd);
	return code ? error_set(why, code, "cannot be read: %s", strerror(code)) : 0;
}

int table_content_read(enum table_kind kind, enum table_source source, const char *name, const char *path, const char *authorities, const char *pipes,
                       struct table_content *out, table_fault_fn *fault, void *context)
{
	BUF_AUTO file = {0};
	struct error why = {0};
	unsigned line = 0;
	*out = (struct table_content){0};
	if (read_file(path, &file, &why)) {
		fault(context, 0, why.text);
		return -1;
	}
	if (source == TABLE_TEXT)
		return table_text_read(kind, pipes, buf_span(&file), &out->text, fault, context);
	out->database = database_new(source, name, buf_span(&file), authorities, &line, &why);
	if (!out->database)
		fault(context, line, why.text);
	return out->database ? 0 : -1;
}

void table_content_free(struct table_content *c)
{
	table_text_free(&c->text);
	database_release(c->database);
	c->database = NULL;
}

static void log_fault(void *context, unsigned line, const char *why)
{
	struct table *t = context;
	BUF_AUTO where = {0};
	buf_add_cstr(&where, t->path);
	if (line)
		buf_printf(&where, ":%u", line);
	log_event(LOG_LEVEL_ERROR, "table-fault", log_s("at", buf_span(&where)), log_c("why", why));
}

/* A file that the database needs and the sandbox does not have; or NULL. */
static const char *find_out_of_reach(const struct database *d)
{
	const char *const *file = database_files(d);
	while (*file && sandbox_reaches(*file))
		file++;
	return *file;
}

/* True if there is other content now. */
static bool load(struct tables *all, struct table *t)
{
	struct table_content content;
	if (table_content_read(t->kind, t->source, t->name, t->path, all->authorities, all->pipes, &content, log_fault, t)) {
		log_event(LOG_LEVEL_ERROR, "table-not-read", log_c("table", t->name),
		          log_c("then", t->is_read ? "what was read before is used" : "what would be looked up there is put off"));
		return false;
	}
	table_content_free(&t->content);
	t->content = content;
	t->is_read = true;
	log_event(LOG_LEVEL_INFO, "table-read", log_c("table", t->name), log_n("rows", (int64_t)content.text.count));
	const char *file = content.database ? find_out_of_reach(content.database) : NULL;
	if (file)
		log_event(LOG_LEVEL_WARNING, "table-needs-reload", log_c("table", t->name), log_c("file", file), log_c("why", "the sandbox does not have it before the next `carteiro reload`"));
	return true;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads the file if it has changed, and did not change since the last look: half a file would be one with rows missing. */
static bool look(struct tables *all, struct table *t)
{
	struct stat now;
	if (stat(t->path, &now)) {
		if (!t->is_missed)
			log_event(LOG_LEVEL_ERROR, "table-missing", log_c("table", t->name), log_c("why", strerror(errno)),
			          log_c("then", t->is_read ? "what was read before is used" : "what would be looked up there is put off"));
		t->is_missed = true;
		return false;
	}
	t->is_missed = false;
	bool is_at_rest = is_same(&now, &t->last);
	t->last = now;
	if (!is_at_rest || is_same(&now, &t->tried))
		return false;
	t->tried = now;
	return load(all, t);
}

static void on_timer(void *context)
{
	struct tables *all = context;
	bool has_changed = false;
	for (size_t i = 0; i < all->count; i++)
		has_changed |= look(all, &all->list[i]);
	if (has_changed && all->store)
		channel_send(all->store, tables_changed);
	timer_set(all->timer, LOOK_MS);
}

/* ---- all of them ---- */

static void add_table(struct tables *all, const struct table_name *name, struct span word)
{
	struct table *t = &all->list[all->count++];
	*t = (struct table){.kind = name->kind, .source = name->source, .name = span_strdup(word), .path = span_strdup(name->path)};
	if (stat(t->path, &t->last)) {
		look(all, t); /* which says so */
		return;
	}
	t->tried = t->last;
	load(all, t);
}

void tables_open(struct tables *t, struct loop *l, const struct config *config)
{
	struct span rest = span_cstr(config->tables), word;
	struct table_name name;
	BUF_AUTO origin = {0};
	*t = (struct tables){.loop = l, .setting = xstrdup(config->tables), .delimiters = xstrdup(config->recipient_delimiter),
	                     .authorities = xstrdup(config->tls_authorities), .pipes = xstrdup(config->pipes)};
	if (domain_canonical(span_cstr(config->origin), &origin, NULL))
		buf_add_cstr(&origin, config->origin);
	t->origin = span_strdup(buf_span(&origin));
	if (rest.len)
		database_library_start();
	while (table_name_next(&rest, &name, &word, NULL) > 0)
		add_table(t, &name, word);
	if (!t->count)
		return;
	t->timer = timer_new(l, on_timer, t);
	timer_set(t->timer, LOOK_MS);
}

bool tables_are_others(const struct tables *t, const struct config *config)
{
	BUF_AUTO origin = {0};
	if (domain_canonical(span_cstr(config->origin), &origin, NULL))
		buf_add_cstr(&origin, config->origin);
	return strcmp(t->setting, config->tables) != 0 ||
	       (t->count && (strcmp(t->pipes, config->pipes) != 0 || strcmp(t->delimiters, config->recipient_delimiter) != 0 || !span_equal(span_cstr(t->origin), buf_span(&origin))));
}

void tables_add_paths(struct tables *t, const char **paths, size_t room)
{
	size_t count = 0;
	while (paths[count])
		count++;
	for (size_t i = 0; i < t->count && count + DATABASE_FILES_MOST + 1 < room; i++) {
		const struct database *d = t->list[i].content.database;
		const char *slash = strrchr(t->list[i].path, '/');
		size_t len = slash == t->list[i].path ? 1 : (size_t)(slash - t->list[i].path);
		paths[count++] = span_strdup(span_of(t->list[i].path, len));
		for (const char *const *file = d ? database_files(d) : NULL; file && *file; file++)
			paths[count++] = *file;
	}
	paths[count] = NULL;
}

bool tables_are_within_reach(const struct tables *t)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].content.database && find_out_of_reach(t->list[i].content.database))
			return false;
	return true;
}

size_t tables_unread(const struct tables *t)
{
	size_t count = 0;
	for (size_t i = 0; i < t->count; i++)
		count += !t->list[i].is_read;
	return count;
}

void tables_attach(struct tables *t, struct channel *store)
{
	t->store = NULL;
	table_questions_end(t);
	t->store = store;
}

void tables_ask(struct tables *t, const struct msg_table_ask *m)
{
	table_question_start(t, m);
}
