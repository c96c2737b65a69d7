/* `carteiro backup restore`: all of a backup, into an empty data_dir.
 *
 * The store is written beside its place and renamed when it is whole, so that no server ever starts on half of one; a restoration that was
 * ended is begun anew. */
#include "cli/backup.h"

#include "base/clock.h"
#include "cli/backup_set.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MOST = 4096 };

struct restoring {
	const struct config *config;
	const char *config_file;
	struct backup_set set;
	struct backup_file *files;
	ssize_t count;
	uid_t uid;
	gid_t gid;
	bool gives_away;     /* root works for the server's user */
	char store[NAME_MOST + 64], part[NAME_MOST + 64], keys[NAME_MOST + 64];
};

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "carteiro: cannot %s %s: %s\n", what, path, strerror(errno));
	return EXIT_BACKUP_IO;
}

static int own(const struct restoring *r, const char *path)
{
	return r->gives_away && chown(path, r->uid, r->gid) ? -1 : 0;
}

static int make_folder(const struct restoring *r, const char *path)
{
	return (mkdir(path, 0700) && errno != EEXIST) || own(r, path) ? fail("make", path) : 0;
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);
	if (fd >= 0)
		close(fd);
	return result;
}

/* True where there is nothing in it, or only what a restoration has left that was ended. */
static bool is_empty(const struct restoring *r)
{
	bool is_left = access(r->part, F_OK) == 0, is_good = true;
	DIR *folder = opendir(r->config->data_dir);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		const char *name = entry->d_name;
		bool is_ours = is_left && (strcmp(name, "store.part") == 0 || strcmp(name, "keys") == 0);
		is_good &= is_ours || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
	}
	if (folder)
		closedir(folder);
	return folder && is_good;
}

/* Locks data_dir as the server does (master/master.c): it does not run, and does not start meanwhile. The lock goes with the process. */
static int take_data_dir(const struct restoring *r)
{
	const char *path = r->config->data_dir;
	int code = make_folder(r, path);
	if (code)
		return code;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail("open", path);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		fprintf(stderr, "carteiro: a server works on %s: `carteiro stop` first\n", path);
		return EXIT_BACKUP_FAILED;
	}
	if (!is_empty(r)) {
		fprintf(stderr, "carteiro: %s is not empty: move what is there out of the way, or name another data_dir\n", path);
		return EXIT_BACKUP_FAILED;
	}
	return 0;
}

static int clear_part(const struct restoring *r)
{
	DIR *folder = opendir(r->part);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	return make_folder(r, r->part);
}

/* Where a file goes; empty: nowhere, it is there already or the configuration names no place. */
static void place_of(const struct restoring *r, struct span name, struct buf *path)
{
	const struct config *c = r->config;
	if (span_starts_with(name, SPAN("store/"))) {
		buf_printf(path, "%s/%.*s", r->part, SPAN_ARG(span_skip(name, strlen("store/"))));
		return;
	}
	if (span_starts_with(name, SPAN("keys/")))
		buf_printf(path, "%s/%.*s", r->keys, SPAN_ARG(span_skip(name, strlen("keys/"))));
	else if (span_equal(name, SPAN("tls.crt")) || span_equal(name, SPAN("tls.key")))
		buf_add_cstr(path, span_equal(name, SPAN("tls.crt")) ? c->tls_certificate : c->tls_key);
	if (path->len && access(buf_cstr(path), F_OK) == 0) {
		fprintf(stderr, "carteiro: %s is there already and stays as it is\n", buf_cstr(path));
		buf_clear(path);
	}
}

/* What makes clients forget the UIDs that they know: store/mailbox/account.c, renew_uidvalidities. */
static int write_mark(const struct restoring *r)
{
	BUF_AUTO path = {0};
	buf_printf(&path, "%s/" STORE_RESTORED, r->part);
	int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_bad = fd < 0 || dprintf(fd, "%lld\n", (long long)clock_wall_ms()) < 0 || fsync(fd);
	if (fd >= 0)
		close(fd);
	return is_bad || own(r, buf_cstr(&path)) ? fail("write", buf_cstr(&path)) : 0;
}

static int restore_files(const struct restoring *r)
{
	for (ssize_t i = 0; i < r->count; i++) {
		BUF_AUTO path = {0};
		struct error why = {0};
		place_of(r, r->files[i].name, &path);
		backup_progress("restoring file", (size_t)i + 1, (size_t)r->count);
		if (!path.len)
			continue;
		if (backup_set_take(&r->set, &r->files[i], buf_cstr(&path), &why)) {
			fprintf(stderr, "carteiro: nothing was restored: %s\n", why.text);
			if (!span_starts_with(r->files[i].name, SPAN("store/")))
				unlink(buf_cstr(&path));
			return EXIT_BACKUP_IO;
		}
		if (own(r, buf_cstr(&path)))
			return fail("give to its user", buf_cstr(&path));
	}
	backup_progress("", 0, 0);
	return 0;
}

static int restore_all(struct restoring *r)
{
	const struct config *c = r->config;
	snprintf(r->store, sizeof r->store, "%s/store", c->data_dir);
	snprintf(r->part, sizeof r->part, "%s/store.part", c->data_dir);
	snprintf(r->keys, sizeof r->keys, "%s/keys", c->data_dir);
	struct passwd *user = geteuid() == 0 && c->user[0] ? getpwnam(c->user) : NULL;
	if (user) {
		r->gives_away = true;
		r->uid = user->pw_uid;
		r->gid = user->pw_gid;
	}
	int code = take_data_dir(r);
	if (!code)
		code = clear_part(r);
	if (!code)
		code = make_folder(r, r->keys);
	if (!code)
		code = restore_files(r);
	if (!code)
		code = write_mark(r);
	if (!code && (sync_folder(r->part) || sync_folder(r->keys) || rename(r->part, r->store) || sync_folder(c->data_dir)))
		code = fail("write", r->store);
	return code;
}

/* A configuration that is not there comes out of the backup first: it says where all else goes. */
static int restore_config(const struct restoring *r)
{
	struct error why = {0};
	for (ssize_t i = 0; i < r->count && access(r->config_file, F_OK); i++)
		if (span_equal(r->files[i].name, SPAN("carteiro.conf")) && backup_set_take(&r->set, &r->files[i], r->config_file, &why)) {
			fprintf(stderr, "carteiro: %s\n", why.text);
			unlink(r->config_file);
			return EXIT_BACKUP_IO;
		}
	return 0;
}

int backup_restore(const struct cli *c)
{
	ARENA_AUTO a = {0};
	const char *at = "", *words[4];
	int count;
	struct span time;
	struct config config;
	struct error why = {0};
	struct restoring r = {.config = &config, .config_file = c->config_file};
	if (c->count > 5 || !backup_option(c, "--at", 2, &at, words, &count) || count != 1) {
		fprintf(stderr, "carteiro backup restore DIR [--at TIME]\n");
		return EXIT_BACKUP_USAGE;
	}
	if (backup_set_open(&r.set, words[0], false, false))
		return EXIT_BACKUP_IO;
	int code = EXIT_BACKUP_IO;
	if (backup_set_find(&r.set, span_cstr(at), &a, &time) == 0) {
		r.count = backup_set_read(&r.set, time, &a, &r.files, &why);
		if (r.count < 0)
			fprintf(stderr, "carteiro: %s: `--at` names an earlier one\n", why.text);
		else
			code = restore_config(&r);
	}
	if (!code && cli_read_config(c->config_file, &config))
		code = 78;
	else if (!code) {
		code = restore_all(&r);
		config_free(&config);
	}
	backup_set_close(&r.set);
	if (!code)
		printf("%.*s is restored: `carteiro run`\n", SPAN_ARG(time));
	return code;
}
