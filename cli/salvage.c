/* `carteiro salvage`: every whole message out of a damaged store.
 *
 * The store is read through links, in a folder of their own: nothing of it is changed, and where the list of its files cannot be read, a new
 * one is made there. That names no blob files, so these are read as they are; and whole messages that no row names any more go to a folder of
 * their own. */
#include "cli/backup.h"
#include "cli/extract.h"
#include "cli/maildir_write.h"
#include "store/blob.h"
#include "store/directory/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char unowned[] = "lost+found";

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

static void read_blob_files(struct extraction *x, const char *store)
{
	BUF_AUTO skipped = {0};
	struct error why = {0};
	if (engine_read_blob_files(x->store.engine, store, &skipped, &why))
		buf_add_cstr(&skipped, why.text);
	x->faults += skipped.len != 0;
	if (skipped.len)
		fprintf(stderr, "carteiro: nothing can be read of these files: %s\n", buf_cstr(&skipped));
}

static int open_damaged(struct extraction *x, const struct extract_links *links, const char *store)
{
	struct error why = {0};
	x->store.engine = engine_open_rocksdb_to_read(links->path, true, &why);
	if (x->store.engine)
		return 0;
	x->faults_of_rows = ++x->faults;
	fprintf(stderr, "carteiro: %s; the list of its files is made anew, in a copy\n", why.text);
	if (engine_repair_rocksdb(links->path, &why) == 0)
		x->store.engine = engine_open_rocksdb_to_read(links->path, true, &why);
	if (!x->store.engine) {
		fprintf(stderr, "carteiro: nothing can be read: %s\n", why.text);
		return EXIT_BACKUP_IO;
	}
	read_blob_files(x, store);
	return 0;
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

static void on_blob(void *context, struct blob_id id)
{
	buf_add(context, span_of(id.bytes, sizeof id.bytes));
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct id128));
}

static size_t sort_ids(struct buf *ids)
{
	size_t count = ids->len / sizeof(struct id128);
	if (count)
		qsort(ids->ptr, count, sizeof(struct id128), compare_ids);
	return count;
}

/* Writes the message, if it is one and whole; most of what is asked for is not. False if it cannot be written. */
static bool take_unowned(struct extraction *x, const char *path, struct id128 blob)
{
	struct error why = {0};
	char id[ID128_TEXT_BYTES + 1];
	BUF_AUTO bytes = {0};
	uint64_t size;
	if (blob_verify(x->store.engine, blob, &size, NULL) <= 0 || blob_read(x->store.engine, blob, 0, UINT64_MAX, &bytes, NULL) <= 0 || bytes.len != size)
		return true;
	struct maildir_message message = {.bytes = buf_span(&bytes), .internaldate_ms = (uint64_t)id128_made_ms(blob), .uid = (uint32_t)x->messages + 1};
	if ((!x->folder.len && maildir_make(path, SPAN("INBOX"), 0, &x->folder, &why)) || maildir_write(buf_cstr(&x->folder), &message, &why)) {
		fprintf(stderr, "carteiro: %s\n", why.text);
		return false;
	}
	fprintf(stderr, "%s: no mailbox names message %.*s, which came at %llu and has %zu bytes\n", unowned, SPAN_ARG(id128_text(blob, id)),
	        (unsigned long long)message.internaldate_ms / 1000, bytes.len);
	x->messages++;
	x->bytes += bytes.len;
	return true;
}

/* Every whole message that no row names: its row is lost, or it waited in the queue, or it was deleted not long ago. */
static void salvage_unowned(struct extraction *x, const char *to)
{
	BUF_AUTO ids = {0}, path = {0};
	engine_walk_blobs(x->store.engine, on_blob, &ids);
	size_t count = sort_ids(&ids), found = sort_ids(&x->found);
	buf_printf(&path, "%s/%s", to, unowned);
	buf_clear(&x->folder);
	for (size_t i = 0; i < count && !x->is_stopped; i++) {
		struct id128 blob;
		memcpy(&blob, ids.ptr + i * sizeof blob, sizeof blob);
		if (i && memcmp(blob.bytes, ids.ptr + (i - 1) * sizeof blob, sizeof blob) == 0)
			continue;
		if (!found || !bsearch(&blob, x->found.ptr, found, sizeof blob, compare_ids))
			x->is_stopped = !take_unowned(x, buf_cstr(&path), blob);
	}
}

static int salvage_all(struct extraction *x, const char *to, const char *store)
{
	struct error why = {0};
	uint64_t next = 0;
	size_t accounts = 0, missing = 0;
	bool is_known = true;
	if (directory_next_account(&x->store, &next, &why) || next <= 1) {
		if (why.text[0])
			fprintf(stderr, "carteiro: the directory: %s\n", why.text);
		x->faults += why.text[0] != 0;
		x->faults_of_rows += why.text[0] != 0;
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
	if (x->faults_of_rows && !x->is_stopped) {
		read_blob_files(x, store);
		salvage_unowned(x, to);
	}
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
	code = code ? code : open_damaged(&x, &links, buf_cstr(&store));
	code = code ? code : salvage_all(&x, to, buf_cstr(&store));
	if (x.store.engine)
		extract_end(&x);
	extract_links_remove(&links);
	return code;
}
