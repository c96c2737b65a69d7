/* A Maildir of Dovecot or Courier as a source: Maildir++ (".Work.2024" beside cur and new) and Dovecot's LAYOUT=fs (folders in folders).
 * It is only read, and may be in use meanwhile: a file whose flags change while it is looked for is looked for again by its unique part. */
#include "cli/import.h"
#include "wire/imap_command.h"
#include "wire/maildir.h"

#include "base/die.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { LIST_BYTES_MOST = 1 << 30, FOLDERS_MOST = 10000, DEPTH_MOST = 50, READ_BYTES = 64 * 1024 };

struct folder {
	char *path;  /* below the root; "." is the root */
	char *name;  /* UTF-8, "/" between levels */
};

struct maildir {
	struct import *import;
	int root;
	struct folder *folders;
	size_t folder_count;
	int code;
};

struct mail_file {
	struct span name, base;
	bool is_new;
	uint32_t uid;
	struct span unique_id;
	int64_t mtime_s; /* of one without a UID */
};

/* What Courier keeps about a file. */
struct courier_line {
	struct span base, rest;
};

/* One folder at a time. */
struct content {
	struct maildir *maildir;
	int fd;
	struct arena memory;
	struct mail_file *files;
	size_t count, room;
	struct buf uidlist_text, sizes_text;
	struct maildir_uidlist_head head;
	struct maildir_uid *uids; /* by base */
	size_t uid_count;
	struct span keywords[MAILDIR_KEYWORDS_MOST];
	/* courierimapkeywords/:list */
	struct buf courier_text;
	struct span courier_keywords[MAILDIR_KEYWORDS_MOST];
	unsigned courier_keyword_count;
	struct courier_line *courier_lines; /* by file */
	size_t courier_count;
	bool is_dovecots;
};

/* ---- folders ---- */

static bool has_cur(int root, const char *path)
{
	struct stat status;
	char cur[PATH_MAX];
	int n = snprintf(cur, sizeof cur, "%s/cur", path);
	return n > 0 && (size_t)n < sizeof cur && fstatat(root, cur, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static void add_folder(struct maildir *m, const char *path, struct span name)
{
	if (m->folder_count == FOLDERS_MOST) {
		import_failed(m->import, name, "there are too many folders");
		return;
	}
	m->folders = xrealloc_array(m->folders, m->folder_count + 1, sizeof *m->folders);
	m->folders[m->folder_count++] = (struct folder){span_strdup(span_cstr(path)), span_strdup(name)};
}

static void look_at(struct maildir *m, const char *path, struct span disk_name, char separator)
{
	BUF_AUTO name = {0};
	if (maildir_folder_name(disk_name, separator, &name))
		import_failed(m->import, span_cstr(path), "its name is neither modified UTF-7 nor UTF-8");
	else
		add_folder(m, path, buf_span(&name));
}

static void walk(struct maildir *m, const char *path, unsigned depth)
{
	int fd = openat(m->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *one;
	if (!folder) {
		import_failed(m->import, span_cstr(path), strerror(errno));
		return;
	}
	while ((one = readdir(folder))) {
		char below[PATH_MAX];
		struct stat status;
		const char *name = one->d_name;
		bool is_plus = name[0] == '.';
		int n = depth ? snprintf(below, sizeof below, "%s/%s", path, name) : snprintf(below, sizeof below, "%s", name);
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || n < 0 || (size_t)n >= sizeof below || strcmp(name, "cur") == 0 ||
		    strcmp(name, "new") == 0 || strcmp(name, "tmp") == 0 || (is_plus && depth) || fstatat(m->root, below, &status, 0) || !S_ISDIR(status.st_mode))
			continue;
		if (is_plus && has_cur(m->root, below))
			look_at(m, below, span_cstr(name + 1), '.');
		if (!is_plus && has_cur(m->root, below))
			look_at(m, below, span_cstr(below), '/');
		if (!is_plus && depth < DEPTH_MOST)
			walk(m, below, depth + 1);
	}
	closedir(folder);
}

static int by_name(const void *a, const void *b)
{
	const struct folder *one = a, *other = b;
	bool is_inbox = strcmp(one->name, "INBOX") == 0, is_other_inbox = strcmp(other->name, "INBOX") == 0;
	return is_inbox != is_other_inbox ? (is_inbox ? -1 : 1) : strcmp(one->name, other->name);
}

/* ---- what stands beside the messages ---- */

static int read_at(int folder, const char *name, struct buf *out)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	while (fd >= 0 && out->len < LIST_BYTES_MOST && (n = read(fd, buf_reserve(out, READ_BYTES), READ_BYTES)) > 0)
		out->len += (size_t)n;
	if (fd >= 0)
		close(fd);
	return n == 0 ? 0 : -1;
}

static int by_base(const void *a, const void *b)
{
	const struct maildir_uid *one = a, *other = b;
	return span_compare(one->base, other->base);
}

static void read_uids(struct content *c)
{
	struct span text, line;
	size_t room = 0;
	c->is_dovecots = read_at(c->fd, "dovecot-uidlist", &c->uidlist_text) == 0;
	if (!c->is_dovecots && read_at(c->fd, "courierimapuiddb", &c->uidlist_text))
		return;
	text = buf_span(&c->uidlist_text);
	if (!maildir_next_line(&text, &line) || !maildir_uidlist_head_parse(line, &c->head)) {
		import_say(c->maildir->import, "its list of UIDs cannot be read: messages get new ones\n");
		return;
	}
	while (maildir_next_line(&text, &line)) {
		struct maildir_uid one;
		if (!maildir_uid_parse(&c->head, line, &one))
			continue;
		if (c->uid_count == room) {
			room = room ? room * 2 : 256;
			c->uids = xrealloc_array(c->uids, room, sizeof *c->uids);
		}
		c->uids[c->uid_count++] = one;
		if (one.uid >= c->head.uidnext)
			c->head.uidnext = one.uid + 1;
	}
	if (c->uid_count)
		qsort(c->uids, c->uid_count, sizeof *c->uids, by_base);
}

static void read_keywords(struct content *c)
{
	struct buf file = {0};
	struct span text, line;
	if (read_at(c->fd, "dovecot-keywords", &file) == 0) {
		text = arena_dup(&c->memory, buf_span(&file));
		while (maildir_next_line(&text, &line)) {
			unsigned number;
			struct span keyword;
			if (maildir_keyword_parse(line, &number, &keyword))
				c->keywords[number] = keyword;
		}
	}
	buf_free(&file);
}

/* By UID; behind them those that no server has seen yet, as they came. */
static int by_arrival(const void *a, const void *b)
{
	const struct mail_file *one = a, *other = b;
	uint32_t first = one->uid ? one->uid : UINT32_MAX, second = other->uid ? other->uid : UINT32_MAX;
	if (first != second)
		return first < second ? -1 : 1;
	if (one->mtime_s != other->mtime_s)
		return one->mtime_s < other->mtime_s ? -1 : 1;
	return span_compare(one->base, other->base);
}

static int by_unique_part(const void *a, const void *b)
{
	const struct mail_file *one = a, *other = b;
	return span_compare(one->base, other->base);
}

/* Of INBOX: the ids by which POP3's clients know what they have. Dovecot's default form (pop3_uidl_format) where it kept none. */
static void find_unique_ids(struct content *c)
{
	struct span text, line;
	for (size_t n = 0; c->is_dovecots && n < c->count; n++) {
		struct mail_file *f = &c->files[n];
		BUF_AUTO id = {0};
		if (f->unique_id.len || !f->uid)
			continue;
		buf_printf(&id, "%08x%08x", f->uid, c->head.uidvalidity);
		f->unique_id = arena_dup(&c->memory, buf_span(&id));
	}
	if (read_at(c->fd, "courierpop3dsizelist", &c->sizes_text))
		return;
	text = buf_span(&c->sizes_text);
	qsort(c->files, c->count, sizeof *c->files, by_unique_part);
	while (maildir_next_line(&text, &line)) {
		BUF_AUTO id = {0};
		struct mail_file wanted = {0};
		struct mail_file *f = maildir_courier_unique_id_parse(line, &wanted.base, &id) ?
		                      bsearch(&wanted, c->files, c->count, sizeof *c->files, by_unique_part) : NULL;
		if (f)
			f->unique_id = arena_dup(&c->memory, buf_span(&id));
	}
	qsort(c->files, c->count, sizeof *c->files, by_arrival);
}

/* ---- messages ---- */

static void add_file(struct content *c, const char *name, bool is_new, int fd)
{
	struct maildir_name parsed;
	struct stat status;
	struct span own = arena_dup(&c->memory, span_cstr(name));
	if (!maildir_name_parse(own, &parsed))
		return;
	if (c->count == c->room) {
		c->room = c->room ? c->room * 2 : 256;
		c->files = xrealloc_array(c->files, c->room, sizeof *c->files);
	}
	struct mail_file *f = &c->files[c->count++];
	*f = (struct mail_file){.name = own, .base = parsed.base, .is_new = is_new};
	struct maildir_uid wanted = {.base = parsed.base};
	const struct maildir_uid *uid = c->uid_count ? bsearch(&wanted, c->uids, c->uid_count, sizeof *c->uids, by_base) : NULL;
	if (uid) {
		f->uid = uid->uid;
		f->unique_id = uid->unique_id;
	} else if (fstatat(fd, name, &status, 0) == 0) {
		f->mtime_s = status.st_mtime;
	}
}

static int list_files(struct content *c, const char *name)
{
	int fd = openat(c->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *one;
	if (!folder)
		return errno == ENOENT ? 0 : -1;
	while ((one = readdir(folder)))
		add_file(c, one->d_name, name[0] == 'n', dirfd(folder));
	closedir(folder);
	return 0;
}

/* A file that was moved from new to cur while the folders were read is seen twice. */
static void drop_twins(struct content *c)
{
	size_t kept = 0;
	for (size_t n = 0; n < c->count; n++)
		if (!kept || !span_equal(c->files[n].base, c->files[kept - 1].base))
			c->files[kept++] = c->files[n];
	c->count = kept;
}

static int open_file(struct content *c, struct mail_file *f)
{
	char path[NAME_MAX + 8];
	snprintf(path, sizeof path, "%s/%.*s", f->is_new ? "new" : "cur", SPAN_ARG(f->name));
	int fd = openat(c->fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	/* its flags have changed, or it is not new any more */
	int cur = openat(c->fd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = cur < 0 ? NULL : fdopendir(cur);
	struct dirent *one;
	while (folder && fd < 0 && (one = readdir(folder))) {
		struct maildir_name parsed;
		if (!maildir_name_parse(span_cstr(one->d_name), &parsed) || !span_equal(parsed.base, f->base))
			continue;
		f->name = arena_dup(&c->memory, span_cstr(one->d_name));
		f->base = span_slice(f->name, 0, f->base.len);
		f->is_new = false;
		fd = openat(cur, one->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (folder)
		closedir(folder);
	if (fd < 0)
		errno = ENOENT;
	return fd;
}

/* By what else Dovecot's zlib plugin compresses: zstd, bzip2, xz, lz4. gzip is read as it comes. */
static bool is_compressed(struct span bytes)
{
	static const struct span magics[] = {{"\x28\xb5\x2f\xfd", 4}, {"\xfd" "7zXZ", 5}, {"Dovecot-LZ4", 11}};
	for (size_t n = 0; n < sizeof magics / sizeof magics[0]; n++)
		if (span_starts_with(bytes, magics[n]))
			return true;
	return span_starts_with(bytes, SPAN("BZh")) && span_starts_with(span_skip(bytes, 4), SPAN("1AY&SY"));
}

static int read_message(const struct import_message *m, import_sink_fn *sink, void *context, struct error *why)
{
	struct content *c = m->of;
	struct import_lines lines = {.sink = sink, .context = context};
	char bytes[READ_BYTES];
	int n, fd = open_file(c, &c->files[m->offset]), stopped = 0, fault = Z_OK;
	gzFile file = fd < 0 ? NULL : gzdopen(fd, "rb");
	if (!file)
		return error_set(why, errno, "%s", errno == ENOENT ? "it has gone meanwhile" : strerror(errno));
	bool is_first = true;
	while (!stopped && (n = gzread(file, bytes, sizeof bytes)) > 0) {
		struct span read = span_of(bytes, (size_t)n);
		if (is_first && is_compressed(read)) {
			gzclose_r(file);
			return error_set(why, 0, "it is compressed, and not by gzip");
		}
		is_first = false;
		stopped = import_lines_write(&lines, read);
	}
	gzerror(file, &fault);
	gzclose_r(file);
	if (stopped)
		return -1;
	return fault != Z_OK && fault != Z_STREAM_END ? error_set(why, 0, "it cannot be read to its end") : 0;
}

static int by_file(const void *a, const void *b)
{
	const struct courier_line *one = a, *other = b;
	return span_compare(one->base, other->base);
}

/* "name:0 2" behind an empty line, which the keywords stand before. */
static void read_courier_keywords(struct content *c)
{
	struct span text, line;
	size_t room = 0;
	if (read_at(c->fd, "courierimapkeywords/:list", &c->courier_text))
		return;
	text = buf_span(&c->courier_text);
	while (maildir_next_line(&text, &line) && line.len)
		if (c->courier_keyword_count < MAILDIR_KEYWORDS_MOST)
			c->courier_keywords[c->courier_keyword_count++] = line;
	while (maildir_next_line(&text, &line)) {
		ssize_t colon = span_chr(line, ':');
		if (colon <= 0)
			continue;
		if (c->courier_count == room) {
			room = room ? room * 2 : 256;
			c->courier_lines = xrealloc_array(c->courier_lines, room, sizeof *c->courier_lines);
		}
		c->courier_lines[c->courier_count++] = (struct courier_line){span_slice(line, 0, (size_t)colon), span_skip(line, (size_t)colon + 1)};
	}
	if (c->courier_count)
		qsort(c->courier_lines, c->courier_count, sizeof *c->courier_lines, by_file);
}

static void add_courier_keywords(const struct content *c, struct span base, struct buf *out)
{
	struct courier_line wanted = {.base = base};
	const struct courier_line *line = c->courier_count ? bsearch(&wanted, c->courier_lines, c->courier_count, sizeof *c->courier_lines, by_file) : NULL;
	struct span numbers = line ? line->rest : SPAN(""), word;
	uint64_t number;
	while ((word = span_next_word(&numbers)).len)
		if (span_to_u64(word, MAILDIR_KEYWORDS_MOST, &number) == 0 && number < c->courier_keyword_count)
			buf_printf(out, " %.*s", SPAN_ARG(c->courier_keywords[number]));
}

static void add_message(struct content *c, size_t n, const unsigned char *source)
{
	struct mail_file *f = &c->files[n];
	struct maildir_name parsed;
	struct stat status = {0};
	BUF_AUTO keywords = {0};
	int fd = open_file(c, f);
	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		import_failed(c->maildir->import, f->name, fd < 0 ? "it has gone meanwhile, or may not be read" : "it is no file");
		if (fd >= 0)
			close(fd);
		return;
	}
	close(fd);
	maildir_name_parse(f->name, &parsed);
	if (parsed.is_forwarded)
		buf_add_cstr(&keywords, " $Forwarded");
	for (unsigned k = 0; k < MAILDIR_LETTERS; k++)
		if ((parsed.keywords >> k & 1) && c->keywords[k].len)
			buf_printf(&keywords, " %.*s", SPAN_ARG(c->keywords[k]));
	add_courier_keywords(c, f->base, &keywords);
	struct import_message m = {.uid = f->uid, .unique_id = f->unique_id, .flags = parsed.flags, .keywords = buf_span(&keywords),
	                           .date_s = status.st_mtime, .label = f->name, .read = read_message, .of = c, .offset = n};
	memcpy(m.source, source, sizeof m.source);
	import_add(c->maildir->import, &m);
}

static void bring(struct content *c, const struct folder *folder)
{
	struct import *i = c->maildir->import;
	unsigned char sources[IMPORT_ASK_MOST][IMPORT_SOURCE_BYTES];
	bool known[IMPORT_ASK_MOST];
	for (size_t from = 0; from < c->count; from += IMPORT_ASK_MOST) {
		size_t count = c->count - from < IMPORT_ASK_MOST ? c->count - from : IMPORT_ASK_MOST;
		for (size_t n = 0; n < count; n++)
			import_source("maildir", span_cstr(folder->name), c->files[from + n].base, sources[n]);
		if (import_known(i, sources, count, known))
			return;
		for (size_t n = 0; n < count && !i->is_broken; n++)
			if (!known[n])
				add_message(c, from + n, sources[n]);
	}
}

static void give_uids(struct content *c)
{
	for (size_t n = 0; c->head.uidvalidity && n < c->count; n++)
		if (!c->files[n].uid && c->head.uidnext < UINT32_MAX - 1)
			c->files[n].uid = c->head.uidnext++;
}

static void take_folder(struct maildir *m, const struct folder *folder)
{
	struct content c = {.maildir = m, .fd = openat(m->root, folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	bool is_inbox = strcmp(folder->name, "INBOX") == 0;
	if (c.fd >= 0) {
		read_uids(&c);
		read_keywords(&c);
		read_courier_keywords(&c);
	}
	if (c.fd < 0 || list_files(&c, "new") || list_files(&c, "cur"))
		import_failed(m->import, span_cstr(folder->path), strerror(errno));
	if (c.count)
		qsort(c.files, c.count, sizeof *c.files, by_arrival);
	drop_twins(&c);
	if (is_inbox && c.count)
		find_unique_ids(&c);
	give_uids(&c);
	if (import_mailbox(m->import, span_cstr(folder->name), NULL, c.head.uidvalidity, c.count) == 0) {
		bring(&c, folder);
		import_mailbox_end(m->import, c.head.uidnext);
	}
	if (c.fd >= 0)
		close(c.fd);
	free(c.files);
	free(c.uids);
	free(c.courier_lines);
	struct buf *bufs[] = {&c.uidlist_text, &c.sizes_text, &c.courier_text};
	for (size_t n = 0; n < sizeof bufs / sizeof bufs[0]; n++)
		buf_free(bufs[n]);
	arena_free(&c.memory);
}

/* ---- subscriptions ---- */

/* "V 2" of Dovecot has a tab between levels; Courier's file has INBOX in front of all. */
static void subscribe(struct maildir *m, const char *file, bool is_fs)
{
	BUF_AUTO text = {0};
	if (read_at(m->root, file, &text))
		return;
	struct span rest = buf_span(&text), line;
	char separator = is_fs ? '/' : '.';
	while (maildir_next_line(&rest, &line)) {
		BUF_AUTO name = {0};
		if (span_equal(line, SPAN("V\t2"))) {
			separator = '\t';
			continue;
		}
		if (span_starts_with(line, SPAN("INBOX.")))
			line = span_skip(line, 6);
		if (line.len && maildir_folder_name(line, separator, &name) == 0)
			import_subscribe(m->import, buf_span(&name));
	}
}

int import_maildir(struct import *i, const char *path)
{
	struct maildir m = {.import = i, .root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	bool is_fs = false;
	if (m.root < 0 || !has_cur(m.root, ".")) {
		fprintf(stderr, "carteiro: %s is no Maildir: %s\n", path, m.root < 0 ? strerror(errno) : "it has no cur");
		if (m.root >= 0)
			close(m.root);
		return EXIT_NO_INPUT;
	}
	add_folder(&m, ".", SPAN("INBOX"));
	walk(&m, ".", 0);
	qsort(m.folders, m.folder_count, sizeof *m.folders, by_name);
	for (size_t n = 0; n < m.folder_count; n++) {
		is_fs |= m.folders[n].path[0] != '.';
		if (!i->is_broken)
			take_folder(&m, &m.folders[n]);
		free(m.folders[n].path);
		free(m.folders[n].name);
	}
	subscribe(&m, "subscriptions", is_fs);
	subscribe(&m, "courierimapsubscribed", false);
	free(m.folders);
	close(m.root);
	return 0;
}
