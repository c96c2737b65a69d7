/* `carteiro backup`: a copy of everything that the server keeps, made while it runs. */
#include "cli/backup.h"

#include "base/clock.h"
#include "base/die.h"
#include "cli/backup_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { FILES_MOST = 1000000, EXIT_UNAVAILABLE = 69 };

/* One backup under way. */
struct making {
	const struct config *config;
	const char *config_file;
	struct backup_set set;
	struct arena arena;
	struct backup_file *files;
	const char **paths; /* of each */
	size_t count, room;
	uint64_t bytes, copied;
};

void backup_progress(const char *what, size_t done, size_t count)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (count)
		fprintf(stderr, "\r%s %zu/%zu", what, done, count);
	else
		fprintf(stderr, "\n");
}

bool backup_option(const struct cli *c, const char *name, int first, const char **value, const char **words, int *count)
{
	*count = 0;
	for (int i = first; i < c->count; i++) {
		if (strcmp(c->words[i], name) != 0)
			words[(*count)++] = c->words[i];
		else if (++i < c->count)
			*value = c->words[i];
		else
			return false;
	}
	return true;
}

static void add_path(struct making *m, const char *name, const char *path)
{
	if (m->count == m->room) {
		m->room = m->room ? m->room * 2 : 64;
		m->files = xrealloc_array(m->files, m->room, sizeof *m->files);
		m->paths = xrealloc_array(m->paths, m->room, sizeof *m->paths);
	}
	m->paths[m->count] = arena_dup(&m->arena, span_of(path, strlen(path) + 1)).ptr;
	m->files[m->count++] = (struct backup_file){.name = arena_dup(&m->arena, span_cstr(name))};
}

/* All files of a folder, as `prefix` and their name. 0 too where is_optional and there is none. */
static int add_folder(struct making *m, const char *prefix, const char *path, bool is_optional, struct error *why)
{
	DIR *folder = opendir(path);
	if (!folder)
		return is_optional && errno == ENOENT ? 0 : error_set(why, errno, "cannot read %s: %s", path, strerror(errno));
	for (struct dirent *entry; (entry = readdir(folder)) && m->count < FILES_MOST;) {
		BUF_AUTO name = {0}, whole = {0};
		if (entry->d_name[0] == '.')
			continue;
		buf_printf(&name, "%s%s", prefix, entry->d_name);
		buf_printf(&whole, "%s/%s", path, entry->d_name);
		add_path(m, buf_cstr(&name), buf_cstr(&whole));
	}
	closedir(folder);
	return 0;
}

/* What lies outside of data_dir has a name of its own. */
static void add_outside(struct making *m, const char *name, const char *path)
{
	BUF_AUTO keys = {0};
	buf_printf(&keys, "%s/keys/", m->config->data_dir);
	if (!span_starts_with(span_cstr(path), buf_span(&keys)) && access(path, F_OK) == 0)
		add_path(m, name, path);
}

static int copy_all(struct making *m, struct span *time, struct error *why)
{
	BUF_AUTO checkpoint = {0}, keys = {0};
	buf_printf(&checkpoint, "%s/backup/checkpoint", m->config->data_dir);
	buf_printf(&keys, "%s/keys", m->config->data_dir);
	if (add_folder(m, "store/", buf_cstr(&checkpoint), false, why) || add_folder(m, "keys/", buf_cstr(&keys), true, why))
		return -1;
	add_path(m, "carteiro.conf", m->config_file);
	add_outside(m, "tls.crt", m->config->tls_certificate);
	add_outside(m, "tls.key", m->config->tls_key);
	for (size_t i = 0; i < m->count; i++) {
		backup_progress("copying file", i + 1, m->count);
		if (backup_set_add(&m->set, m->paths[i], &m->files[i], &m->arena, &m->copied, why))
			return -1;
		m->bytes += m->files[i].size;
	}
	backup_progress("", 0, 0);
	return backup_set_finish(&m->set, m->files, m->count, &m->arena, time, why);
}

/* One backup at a time: a second one would take the checkpoint of the first away. The folder of the socket by which the server was reached is
 * there; that of the checkpoint need not be yet, where the server has just been started. The lock goes with the process. */
static int lock_checkpoint(const struct config *config)
{
	int fd = open(config->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "carteiro: cannot open %s: %s\n", config->run_dir, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB)) {
		fprintf(stderr, "carteiro: another backup of this server is being made\n");
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Between begin and end of the store's checkpoint, which has its end whatever happens. */
static int make_with(struct making *m, struct server *server)
{
	const struct span begin[] = {SPAN("backup"), SPAN("begin")}, end[] = {SPAN("backup"), SPAN("end")};
	struct error why = {0};
	struct span time;
	int64_t began_ms = clock_monotonic_ms();
	int code = server_command(server, begin, 2);
	if (code)
		return code;
	bool is_bad = copy_all(m, &time, &why);
	code = server_command(server, end, 2);
	if (is_bad) {
		fprintf(stderr, "carteiro: no backup was made: %s\n", why.text);
		return EXIT_BACKUP_IO;
	}
	printf("%.*s: %zu files, %llu bytes, of which %llu copied, in %.1f s\n", SPAN_ARG(time), m->count, (unsigned long long)m->bytes,
	       (unsigned long long)m->copied, (double)(clock_monotonic_ms() - began_ms) / 1000);
	if (code)
		fprintf(stderr, "carteiro: the backup is good, but the store keeps its checkpoint until the next one\n");
	return code;
}

static int make(const struct cli *c)
{
	struct config config;
	struct making m = {.config = &config, .config_file = c->config_file};
	int code = EXIT_BACKUP_IO, lock = -1;
	if (cli_read_config(c->config_file, &config))
		return 78;
	struct server *server = server_connect(c->config_file, true);
	if (server && backup_set_open(&m.set, c->words[1], true, true) == 0) {
		lock = lock_checkpoint(&config);
		if (lock >= 0) {
			code = make_with(&m, server);
			close(lock);
		}
		backup_set_close(&m.set);
	}
	code = server ? code : EXIT_UNAVAILABLE;
	if (server)
		server_close(server);
	arena_free(&m.arena);
	free(m.files);
	free(m.paths);
	config_free(&config);
	return code;
}

static int usage(void)
{
	fprintf(stderr, "carteiro backup DIR | list DIR | verify DIR | prune DIR --keep N | restore DIR | extract DIR ADDRESS TO: `carteiro help`\n");
	return EXIT_BACKUP_USAGE;
}

static int list(const struct cli *c)
{
	ARENA_AUTO a = {0};
	struct backup_set set;
	struct span *times;
	int code = 0;
	if (c->count != 3)
		return usage();
	if (backup_set_open(&set, c->words[2], false, false))
		return EXIT_BACKUP_IO;
	ssize_t count = backup_set_list(&set, &a, &times);
	for (ssize_t i = 0; i < count; i++) {
		ARENA_AUTO of_one = {0};
		struct backup_file *files;
		struct error why = {0};
		uint64_t bytes = 0;
		ssize_t n = backup_set_read(&set, times[i], &of_one, &files, &why);
		for (ssize_t k = 0; k < n; k++)
			bytes += files[k].size;
		if (n < 0)
			code = EXIT_BACKUP_FAILED;
		if (n < 0)
			printf("%.*s  %s\n", SPAN_ARG(times[i]), why.text);
		else
			printf("%.*s  %zd files, %llu bytes\n", SPAN_ARG(times[i]), n, (unsigned long long)bytes);
	}
	backup_set_close(&set);
	return count < 0 ? EXIT_BACKUP_IO : code;
}

static int by_object(const void *a, const void *b)
{
	return span_compare(((const struct backup_file *)a)->object, ((const struct backup_file *)b)->object);
}

/* The files of the backups times[from ... count - 1], each object once, by object; the caller frees them. Damaged manifests are told on
 * stderr and counted. */
static struct backup_file *read_all(const struct backup_set *set, const struct span *times, size_t from, size_t count, struct arena *a,
                                    size_t *file_count, size_t *faults)
{
	struct backup_file *all = NULL;
	size_t n = 0, kept = 0;
	for (size_t i = from; i < count; i++) {
		struct backup_file *files;
		struct error why = {0};
		ssize_t more = backup_set_read(set, times[i], a, &files, &why);
		if (more < 0) {
			fprintf(stderr, "carteiro: %s\n", why.text);
			++*faults;
			continue;
		}
		all = xrealloc_array(all, n + (size_t)more + 1, sizeof *all);
		memcpy(all + n, files, (size_t)more * sizeof *all);
		n += (size_t)more;
	}
	if (n)
		qsort(all, n, sizeof *all, by_object);
	for (size_t i = 0; i < n; i++)
		if (!kept || !span_equal(all[kept - 1].object, all[i].object))
			all[kept++] = all[i];
	*file_count = kept;
	return all;
}

static int verify(const struct cli *c)
{
	ARENA_AUTO a = {0};
	struct backup_set set;
	struct span *times;
	size_t count = 0, faults = 0;
	uint64_t bytes = 0;
	if (c->count != 3)
		return usage();
	if (backup_set_open(&set, c->words[2], false, false))
		return EXIT_BACKUP_IO;
	ssize_t backups = backup_set_list(&set, &a, &times);
	struct backup_file *files = backups < 0 ? NULL : read_all(&set, times, 0, (size_t)backups, &a, &count, &faults);
	for (size_t i = 0; i < count; i++) {
		struct error why = {0};
		backup_progress("reading object", i + 1, count);
		bytes += files[i].size;
		if (backup_set_check(&set, &files[i], &why) == 0)
			continue;
		faults++;
		fprintf(stderr, "carteiro: %s (%.*s): remove it, and the next backup copies it anew if the server still has it\n", why.text,
		        SPAN_ARG(files[i].name));
	}
	if (count)
		backup_progress("", 0, 0);
	if (backups >= 0)
		printf("%zd backup%s, %zu objects, %llu bytes: %zu fault%s\n", backups, backups == 1 ? "" : "s", count, (unsigned long long)bytes, faults,
		       faults == 1 ? "" : "s");
	free(files);
	backup_set_close(&set);
	return backups < 0 ? EXIT_BACKUP_IO : faults ? EXIT_BACKUP_FAILED : 0;
}

/* Removes the objects that none of the files names, and what a backup has left that was ended. */
static size_t remove_objects(const struct backup_set *set, const struct backup_file *files, size_t count)
{
	size_t removed = 0;
	int fd = openat(set->objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		struct backup_file one = {.object = span_cstr(entry->d_name)};
		if (one.object.len == BACKUP_HASH_CHARACTERS && (!count || !bsearch(&one, files, count, sizeof one, by_object)))
			removed += unlinkat(set->objects, entry->d_name, 0) == 0;
	}
	if (folder)
		closedir(folder);
	return removed;
}

/* First the manifests, then what only they name: whatever comes between, no manifest that is there misses an object. */
static int prune_set(const struct backup_set *set, size_t keep)
{
	ARENA_AUTO a = {0};
	struct span *times;
	size_t count = 0, faults = 0;
	ssize_t backups = backup_set_list(set, &a, &times);
	if (backups < 0)
		return EXIT_BACKUP_IO;
	size_t from = (size_t)backups > keep ? (size_t)backups - keep : 0;
	struct backup_file *files = read_all(set, times, from, (size_t)backups, &a, &count, &faults);
	if (faults) {
		fprintf(stderr, "carteiro: nothing is removed: it is not known what those name that are to stay\n");
		free(files);
		return EXIT_BACKUP_FAILED;
	}
	for (size_t i = 0; i < from; i++) {
		BUF_AUTO name = {0};
		buf_printf(&name, "%.*s.manifest", SPAN_ARG(times[i]));
		faults += unlinkat(set->backups, buf_cstr(&name), 0) != 0;
	}
	faults += fsync(set->backups) != 0;
	if (faults)
		fprintf(stderr, "carteiro: cannot remove from %s/backups: %s\n", set->path, strerror(errno));
	size_t removed = faults ? 0 : remove_objects(set, files, count);
	free(files);
	printf("%zu backup%s and %zu object%s removed\n", faults ? 0 : from, from == 1 ? "" : "s", removed, removed == 1 ? "" : "s");
	return faults ? EXIT_BACKUP_IO : 0;
}

static int prune(const struct cli *c)
{
	const char *keep_text = NULL, *words[3];
	int count;
	uint64_t keep;
	struct backup_set set;
	if (c->count > 5 || !backup_option(c, "--keep", 2, &keep_text, words, &count) || count != 1 || !keep_text ||
	    span_to_u64(span_cstr(keep_text), 1000000, &keep) || keep == 0) {
		fprintf(stderr, "carteiro backup prune DIR --keep N: N, at least 1, is how many of the newest backups stay\n");
		return EXIT_BACKUP_USAGE;
	}
	if (backup_set_open(&set, words[0], false, true))
		return EXIT_BACKUP_IO;
	int code = prune_set(&set, keep);
	backup_set_close(&set);
	return code;
}

int cli_backup(const struct cli *c)
{
	static const struct {
		const char *verb;
		int (*run)(const struct cli *c);
	} verbs[] = {{"list", list}, {"verify", verify}, {"prune", prune}, {"restore", backup_restore}, {"extract", backup_extract}};
	bool is_verb = false; /* a folder of such a name is ./list */
	for (size_t i = 0; c->count > 1 && i < sizeof verbs / sizeof verbs[0]; i++) {
		is_verb |= strcmp(c->words[1], verbs[i].verb) == 0;
		if (c->count > 2 && strcmp(c->words[1], verbs[i].verb) == 0)
			return verbs[i].run(c);
	}
	if (c->count == 2 && !is_verb)
		return make(c);
	return usage();
}
