/* The folder with backups: see backup_set.h. */
#include "cli/backup_set.h"

#include "base/die.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MANIFEST_BYTES_MOST = 256 * 1024 * 1024, PIECE_BYTES = 256 * 1024, TIME_CHARACTERS = 16, BACKUPS_MOST = 1000000 };

static const char incoming[] = ".incoming"; /* there is one writer: backup_set_open */
static const char suffix[] = ".manifest";

static int open_folder(int at, const char *name, bool may_make)
{
	if (may_make && mkdirat(at, name, 0700) && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int backup_set_open(struct backup_set *s, const char *path, bool may_make, bool is_alone)
{
	*s = (struct backup_set){.path = path, .objects = -1, .backups = -1};
	s->folder = open_folder(AT_FDCWD, path, may_make);
	if (s->folder >= 0)
		s->objects = open_folder(s->folder, "objects", may_make);
	if (s->objects >= 0)
		s->backups = open_folder(s->folder, "backups", may_make);
	if (s->backups < 0) {
		fprintf(stderr, "carteiro: %s is no folder with backups: %s\n", path, strerror(errno));
	} else if (flock(s->folder, (may_make || is_alone ? LOCK_EX : LOCK_SH) | LOCK_NB)) {
		fprintf(stderr, "carteiro: %s is in use by another `carteiro backup`: %s\n", path, strerror(errno));
	} else {
		return 0;
	}
	backup_set_close(s);
	return -1;
}

void backup_set_close(struct backup_set *s)
{
	const int folders[] = {s->backups, s->objects, s->folder};
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		if (folders[i] >= 0)
			close(folders[i]);
}

/* ---- which backups there are ---- */

static int by_bytes(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

ssize_t backup_set_list(const struct backup_set *s, struct arena *a, struct span **times)
{
	size_t count = 0, room = 0;
	int fd = openat(s->backups, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct span *found = NULL;
	if (!folder) {
		fprintf(stderr, "carteiro: cannot read %s/backups: %s\n", s->path, strerror(errno));
		return -1;
	}
	for (struct dirent *entry; (entry = readdir(folder)) && count < BACKUPS_MOST;) {
		struct span name = span_cstr(entry->d_name);
		if (name.len != TIME_CHARACTERS + strlen(suffix) || !span_ends_with(name, span_cstr(suffix)))
			continue;
		if (count == room) {
			room = room ? room * 2 : 64;
			found = xrealloc_array(found, room, sizeof *found);
		}
		found[count++] = arena_dup(a, span_slice(name, 0, TIME_CHARACTERS));
	}
	closedir(folder);
	if (count)
		qsort(found, count, sizeof *found, by_bytes);
	*times = arena_alloc_array(a, count + 1, sizeof **times);
	for (size_t i = 0; i < count; i++)
		(*times)[i] = found[i];
	free(found);
	return (ssize_t)count;
}

int backup_set_find(const struct backup_set *s, struct span at, struct arena *a, struct span *time)
{
	struct span *times;
	ssize_t count = backup_set_list(s, a, &times);
	bool is_found = false;
	for (ssize_t i = 0; i < count; i++)
		if (!at.len || span_starts_with(times[i], at) || span_compare(times[i], at) < 0) {
			*time = times[i];
			is_found = true;
		}
	if (count >= 0 && !is_found)
		fprintf(stderr, "carteiro: %s has no backup%s: `carteiro backup list %s` shows them\n", s->path, at.len ? " of that time" : "", s->path);
	return is_found ? 0 : -1;
}

/* ---- bytes ---- */

static struct span hex_of(const unsigned char digest[EVP_MAX_MD_SIZE], struct arena *a)
{
	char *text = arena_alloc(a, BACKUP_HASH_CHARACTERS + 1);
	for (size_t i = 0; i < BACKUP_HASH_CHARACTERS / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return span_of(text, BACKUP_HASH_CHARACTERS);
}

static bool is_hash(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.ptr[i] >= '0' && s.ptr[i] <= '9') && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'f'))
			return false;
	return s.len == BACKUP_HASH_CHARACTERS;
}

static struct span hash_of(struct span bytes, struct arena *a)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	if (EVP_Digest(bytes.ptr, bytes.len, digest, NULL, EVP_sha256(), NULL) != 1)
		die("backup: no SHA-256");
	return hex_of(digest, a);
}

static int write_all(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes = span_skip(bytes, (size_t)n);
	}
	return 0;
}

/* From one open file into another one (-1: nowhere): the SHA-256 and the size of what went. -1 with errno. */
static int pour(int from, int to, struct span *hash, uint64_t *size, struct arena *a)
{
	BUF_AUTO piece = {0};
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
	ssize_t n;
	if (!sha256 || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1)
		die("backup: no SHA-256");
	char *bytes = buf_reserve(&piece, PIECE_BYTES);
	*size = 0;
	while ((n = read(from, bytes, PIECE_BYTES)) > 0) {
		EVP_DigestUpdate(sha256, bytes, (size_t)n);
		*size += (uint64_t)n;
		if (to >= 0 && write_all(to, span_of(bytes, (size_t)n)))
			break;
	}
	EVP_DigestFinal_ex(sha256, digest, NULL);
	EVP_MD_CTX_free(sha256);
	*hash = hex_of(digest, a);
	return n == 0 ? 0 : -1;
}

static const char *cstr_of(struct span s, struct arena *a)
{
	char *text = arena_alloc(a, s.len + 1);
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	return text;
}

static bool has_object(const struct backup_set *s, const char *name, uint64_t size)
{
	struct stat status;
	return fstatat(s->objects, name, &status, 0) == 0 && S_ISREG(status.st_mode) && (uint64_t)status.st_size == size;
}

/* The source does not change: it is a checkpoint's, or else the second reading shows it. */
static int copy_in(const struct backup_set *s, int from, const char *path, const char *name, struct arena *a, struct error *why)
{
	struct span hash;
	uint64_t size;
	int to = openat(s->objects, incoming, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		return error_set(why, errno, "cannot write to %s/objects: %s", s->path, strerror(errno));
	bool is_bad = lseek(from, 0, SEEK_SET) < 0 || pour(from, to, &hash, &size, a) || fsync(to);
	int code = errno;
	is_bad |= close(to) != 0;
	if (is_bad) {
		unlinkat(s->objects, incoming, 0); /* a full disk gets its room back */
		return error_set(why, code, "cannot copy %s to %s/objects: %s", path, s->path, strerror(code));
	}
	if (!span_equal(hash, span_cstr(name)))
		return error_set(why, EAGAIN, "%s changed while it was copied: try again", path);
	if (renameat(s->objects, incoming, s->objects, name))
		return error_set(why, errno, "cannot write to %s/objects: %s", s->path, strerror(errno));
	return 0;
}

int backup_set_add(const struct backup_set *s, const char *path, struct backup_file *file, struct arena *a, uint64_t *copied, struct error *why)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), result = 0;
	if (from < 0 || pour(from, -1, &file->object, &file->size, a)) {
		error_set(why, errno, "cannot read %s: %s", path, strerror(errno));
		result = -1;
	} else if (!has_object(s, cstr_of(file->object, a), file->size)) {
		result = copy_in(s, from, path, cstr_of(file->object, a), a, why);
		*copied += result ? 0 : file->size;
	}
	if (from >= 0)
		close(from);
	return result;
}

static int pour_object(const struct backup_set *s, const struct backup_file *file, int to, struct error *why)
{
	ARENA_AUTO a = {0};
	struct span hash;
	uint64_t size;
	int from = openat(s->objects, cstr_of(file->object, &a), O_RDONLY | O_CLOEXEC), result = 0;
	if (from < 0)
		result = error_set(why, errno, "%s/objects/%.*s: %s", s->path, SPAN_ARG(file->object), strerror(errno));
	else if (pour(from, to, &hash, &size, &a))
		result = error_set(why, errno, "%s/objects/%.*s cannot be copied: %s", s->path, SPAN_ARG(file->object), strerror(errno));
	else if (size != file->size || !span_equal(hash, file->object))
		result = error_set(why, EBADMSG, "%s/objects/%.*s is damaged", s->path, SPAN_ARG(file->object));
	if (from >= 0)
		close(from);
	return result;
}

int backup_set_check(const struct backup_set *s, const struct backup_file *file, struct error *why)
{
	return pour_object(s, file, -1, why);
}

int backup_set_take(const struct backup_set *s, const struct backup_file *file, const char *path, struct error *why)
{
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return error_set(why, errno, "cannot write %s: %s", path, strerror(errno));
	int result = pour_object(s, file, to, why);
	bool is_synced = fsync(to) == 0;
	if ((close(to) || !is_synced) && result == 0)
		result = error_set(why, errno, "cannot write %s: %s", path, strerror(errno));
	return result;
}

/* ---- manifests ---- */

/* "../" and the like would lead a restoration elsewhere. */
static bool is_good_name(struct span name)
{
	return name.len && name.len < 300 && name.ptr[0] != '/' && name.ptr[0] != '.' && span_find(name, SPAN("..")) < 0 && span_chr(name, 0) < 0;
}

static int read_line(struct span line, struct backup_file *file)
{
	struct span size = span_next_word(&line);
	file->object = span_next_word(&line);
	file->name = span_trim(line);
	return span_to_u64(size, INT64_MAX, &file->size) || !is_hash(file->object) || !is_good_name(file->name) ? -1 : 0;
}

ssize_t backup_set_read(const struct backup_set *s, struct span time, struct arena *a, struct backup_file **files, struct error *why)
{
	BUF_AUTO path = {0}, text = {0};
	size_t count = 0, lines = 0;
	buf_printf(&path, "%s/backups/%.*s%s", s->path, SPAN_ARG(time), suffix);
	if (cli_read_file(buf_cstr(&path), &text, MANIFEST_BYTES_MOST))
		return error_set(why, errno, "cannot read %s: %s", buf_cstr(&path), strerror(errno));
	struct span all = arena_dup(a, buf_span(&text));
	for (size_t i = 0; i < all.len; i++)
		lines += all.ptr[i] == '\n';
	*files = arena_alloc_array(a, lines + 1, sizeof **files);
	for (struct span rest = all; rest.len;) {
		ssize_t end = span_chr(rest, '\n');
		struct span line = span_slice(rest, 0, end < 0 ? 0 : (size_t)end), body = span_slice(all, 0, (size_t)(rest.ptr - all.ptr));
		if (end > 0 && span_starts_with(line, SPAN("manifest ")) && (size_t)end + 1 == rest.len &&
		    span_equal(span_skip(line, strlen("manifest ")), hash_of(body, a)))
			return (ssize_t)count;
		if (end < 0 || read_line(line, &(*files)[count]))
			break;
		count++;
		rest = span_skip(rest, (size_t)end + 1);
	}
	return error_set(why, EBADMSG, "%s is damaged", buf_cstr(&path));
}

/* A name that no backup has: the time, or the first second after it. */
static struct span pick_time(const struct backup_set *s, struct arena *a)
{
	char *text = arena_alloc(a, TIME_CHARACTERS + sizeof suffix);
	time_t now = time(NULL);
	struct stat status;
	struct tm utc;
	do {
		gmtime_r(&now, &utc);
		strftime(text, TIME_CHARACTERS + 1, "%Y%m%dT%H%M%SZ", &utc);
		memcpy(text + TIME_CHARACTERS, suffix, sizeof suffix);
		now++;
	} while (fstatat(s->backups, text, &status, AT_SYMLINK_NOFOLLOW) == 0);
	return span_of(text, TIME_CHARACTERS);
}

int backup_set_finish(const struct backup_set *s, const struct backup_file *files, size_t count, struct arena *a, struct span *time, struct error *why)
{
	BUF_AUTO text = {0};
	for (size_t i = 0; i < count; i++)
		buf_printf(&text, "%llu %.*s %.*s\n", (unsigned long long)files[i].size, SPAN_ARG(files[i].object), SPAN_ARG(files[i].name));
	struct span hash = hash_of(buf_span(&text), a);
	buf_printf(&text, "manifest %.*s\n", SPAN_ARG(hash));
	*time = pick_time(s, a);
	int fd = openat(s->backups, incoming, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool is_bad = fd < 0 || fsync(s->objects) || write_all(fd, buf_span(&text)) || fsync(fd);
	int code = errno;
	if (fd >= 0)
		close(fd);
	if (!is_bad && (renameat(s->backups, incoming, s->backups, time->ptr) || fsync(s->backups))) {
		is_bad = true;
		code = errno;
	}
	return is_bad ? error_set(why, code, "cannot write to %s/backups: %s", s->path, strerror(code)) : 0;
}
