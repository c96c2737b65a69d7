/* `carteiro salvage`: every whole message out of a damaged store.
 *
 * The store is read through links, in a folder of their own: nothing of it is changed, and where the list of its files cannot be read, a new
 * one is made there. */
#include "cli/backup.h"
#include "cli/extract.h"
#include "store/directory/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where it is not known how many accounts there have been. */
enum { ACCOUNTS_LOOKED_FOR = 100000, ACCOUNTS_MISSING_MOST = 32 /* in a row; then there are no more */ };

static int link_files(const char *store, const struct extract_links *links)
{
	int code = 0;
	DIR *folder = opendir(store);
	if (!folder) {
		fprintf(stderr, "carteiro: cannot read %s: %s\n", store, strerror(errno));
		return EXIT_BACKUP_IO;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		BUF_AUTO path = {0};
		struct span name = span_cstr(entry->d_name);
		if (name.ptr[0] == '.' || span_starts_with(name, SPAN("LOG")) || span_equal(name, SPAN("LOCK")))
			continue; /* what the library writes itself */
		buf_printf(&path, "%s/%s", store, entry->d_name);
		code |= extract_links_add(links, entry->d_name, buf_cstr(&path)) ? EXIT_BACKUP_IO : 0;
	}
	closedir(folder);
	return code;
}

static struct engine *open_damaged(const struct extract_links *links, size_t *faults)
{
	struct error why = {0};
	struct engine *e = engine_open_rocksdb_to_read(links->path, true, &why);
	if (e)
		return e;
	++*faults;
	fprintf(stderr, "carteiro: %s; the list of its files is made anew, in a copy\n", why.text);
	if (engine_repair_rocksdb(links->path, &why) == 0)
		e = engine_open_rocksdb_to_read(links->path, true, &why);
	if (!e)
		fprintf(stderr, "carteiro: nothing can be read: %s\n", why.text);
	return e;
}

/* A folder of the user's address, which may have what no name of a file has. */
static void add_folder(struct buf *path, const char *to, struct span name)
{
	buf_printf(path, "%s/", to);
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '/' || (name.ptr[i] == '.' && i == 0))
			buf_printf(path, "%%%02X", name.ptr[i]);
		else
			buf_add_char(path, name.ptr[i]);
	}
}

static bool salvage_account(struct extraction *x, uint64_t account, const char *to)
{
	BUF_AUTO name = {0}, path = {0};
	struct error why = {0};
	int found = directory_account_name(&x->store, account, &name, &why);
	if (found <= 0 || !name.len) {
		buf_clear(&name);
		buf_printf(&name, "account-%llu", (unsigned long long)account);
	}
	add_folder(&path, to, buf_span(&name));
	bool is_there = extract_account(x, account, buf_cstr(&name), buf_cstr(&path)) > 0;
	if (found < 0 && is_there) {
		x->faults++;
		fprintf(stderr, "%s: its address cannot be read: %s\n", buf_cstr(&name), why.text);
	}
	return is_there || found > 0;
}

static int salvage_all(struct extraction *x, const char *to)
{
	struct error why = {0};
	uint64_t next = 0;
	size_t accounts = 0, missing = 0;
	bool is_known = true;
	if (directory_next_account(&x->store, &next, &why) || next <= 1) {
		if (why.text[0])
			fprintf(stderr, "carteiro: the directory: %s\n", why.text);
		x->faults += why.text[0] != 0;
		next = ACCOUNTS_LOOKED_FOR;
		is_known = false;
	}
	for (uint64_t account = 1; account < next && !x->is_stopped && (is_known || missing < ACCOUNTS_MISSING_MOST); account++) {
		backup_progress("account", account, is_known ? next - 1 : account);
		bool is_there = salvage_account(x, account, to);
		accounts += is_there;
		missing = is_there ? 0 : missing + 1;
	}
	backup_progress("", 0, 0);
	printf("%zu account%s, %zu message%s, %llu bytes: %zu fault%s\n", accounts, accounts == 1 ? "" : "s", x->messages, x->messages == 1 ? "" : "s",
	       (unsigned long long)x->bytes, x->faults, x->faults == 1 ? "" : "s");
	return x->is_stopped ? EXIT_BACKUP_IO : x->faults ? EXIT_BACKUP_FAILED : 0;
}

/* As the server does (master/master.c): it does not run, and does not start meanwhile. The lock goes with the process. */
static int lock_data(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	fprintf(stderr, "carteiro: %s: %s\n", path, fd < 0 ? strerror(errno) : "a server works on it: `carteiro stop` first");
	return -1;
}

int cli_salvage(const struct cli *c)
{
	BUF_AUTO store = {0};
	struct extract_links links = {0};
	struct extraction x = {.is_damaged = true};
	if (c->count != 3) {
		fprintf(stderr, "carteiro salvage DATA_DIR TO\n");
		return EXIT_BACKUP_USAGE;
	}
	const char *to = c->words[2];
	buf_printf(&store, "%s/store", c->words[1]);
	if (lock_data(c->words[1]))
		return EXIT_BACKUP_IO;
	if (mkdir(to, 0700) && errno != EEXIST) {
		fprintf(stderr, "carteiro: cannot make %s: %s\n", to, strerror(errno));
		return EXIT_BACKUP_IO;
	}
	if (extract_links_make(&links))
		return EXIT_BACKUP_IO;
	int code = link_files(buf_cstr(&store), &links);
	x.store.engine = code ? NULL : open_damaged(&links, &x.faults);
	code = x.store.engine ? salvage_all(&x, to) : EXIT_BACKUP_IO;
	if (x.store.engine)
		extract_end(&x);
	extract_links_remove(&links);
	return code;
}
