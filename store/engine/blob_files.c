/* The records of a folder's blob files: see blob_files.h. */
#include "store/engine/blob_files.h"

#include "base/die.h"
#include "store/engine/blob_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { WINDOW_BYTES = 64 * 1024, PAGE_BYTES = 4096 };

struct file {
	uint64_t number; /* of its name */
	enum blob_compression compression;
};

struct place {
	struct blob_record record;
	uint32_t file;
	uint64_t offset; /* of the value */
};

struct blob_files {
	char *folder;
	struct buf files;  /* struct file */
	struct buf places; /* struct place; by key, and of one key the newest file first */
	int fd;            /* of the file that was read last */
	uint64_t fd_number;
};

static const struct file *file_at(const struct blob_files *f, uint32_t i)
{
	return (const struct file *)(const void *)f->files.ptr + i;
}

static const struct place *places(const struct blob_files *f, size_t *count)
{
	*count = f->places.len / sizeof(struct place);
	return (const struct place *)(const void *)f->places.ptr;
}

/* Opens the file, unless it is the one that is open. -1 with errno. */
static int file_open(struct blob_files *f, uint64_t number)
{
	BUF_AUTO path = {0};
	if (f->fd >= 0 && f->fd_number == number)
		return 0;
	if (f->fd >= 0)
		close(f->fd);
	buf_printf(&path, "%s/%06llu.blob", f->folder, (unsigned long long)number);
	f->fd = open(buf_cstr(&path), O_RDONLY | O_CLOEXEC);
	f->fd_number = number;
	return f->fd < 0 ? -1 : 0;
}

/* As many bytes as there are, at most `room`. A page that the disk does not give is zeros: checksums tell, and what stands behind it is still to be had. */
static struct span read_at(const struct blob_files *f, uint64_t offset, char *memory, size_t room)
{
	size_t have = 0;
	while (have < room && offset <= INT64_MAX - room) {
		ssize_t n = pread(f->fd, memory + have, room - have, (off_t)(offset + have));
		if (n < 0 && errno == EIO) {
			size_t page = PAGE_BYTES - (offset + have) % PAGE_BYTES;
			n = (ssize_t)(page < room - have ? page : room - have);
			memset(memory + have, 0, (size_t)n);
		}
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		have += n < 0 ? 0 : (size_t)n;
	}
	return span_of(memory, have);
}

/* The offset of the next record at or behind `at`, whatever stands between; -1 if there is none. */
static int64_t find_record(const struct blob_files *f, uint64_t at)
{
	char memory[WINDOW_BYTES];
	for (;;) {
		struct span window = read_at(f, at, memory, sizeof memory);
		ssize_t found = blob_file_find(window);
		if (found >= 0)
			return (int64_t)at + found;
		if (window.len < sizeof memory)
			return -1;
		at += sizeof memory - BLOB_FILE_RECORD_BYTES + 1; /* one may begin at the window's end */
	}
}

static void read_records(struct blob_files *f, uint32_t file)
{
	char memory[BLOB_FILE_RECORD_BYTES];
	struct place p = {.file = file};
	for (uint64_t at = BLOB_FILE_HEADER_BYTES;;) {
		if (blob_file_record(read_at(f, at, memory, sizeof memory), &p.record)) {
			int64_t next = find_record(f, at);
			if (next < 0)
				return;
			at = (uint64_t)next;
			continue;
		}
		p.offset = at + BLOB_FILE_RECORD_BYTES;
		buf_add(&f->places, span_of(&p, sizeof p));
		at = p.offset + p.record.value_bytes;
	}
}

/* -1 if there is nothing in it. */
static int read_file(struct blob_files *f, struct span digits)
{
	struct file file = {.compression = BLOB_COMPRESSION_LZ4}; /* as we write; what a file says whose header is whole counts more */
	char memory[BLOB_FILE_HEADER_BYTES];
	size_t before = f->places.len;
	if (span_to_u64(digits, UINT64_MAX, &file.number) || file_open(f, file.number))
		return -1;
	blob_file_header(read_at(f, 0, memory, sizeof memory), &file.compression, NULL);
	buf_add(&f->files, span_of(&file, sizeof file));
	read_records(f, (uint32_t)(f->files.len / sizeof file) - 1);
	return f->places.len > before ? 0 : -1;
}

static int compare_places(const void *a, const void *b, void *context)
{
	const struct place *x = a, *y = b;
	const struct blob_files *f = context;
	int order = memcmp(x->record.key, y->record.key, sizeof x->record.key);
	uint64_t n = file_at(f, x->file)->number, m = file_at(f, y->file)->number;
	return order ? order : n != m ? (n > m ? -1 : 1) : (x->offset < y->offset) - (x->offset > y->offset);
}

struct blob_files *blob_files_open(const char *path, struct buf *skipped, struct error *why)
{
	DIR *folder = opendir(path);
	if (!folder) {
		error_set(why, errno, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	struct blob_files *f = xcalloc(1, sizeof *f);
	f->folder = xstrdup(path);
	f->fd = -1;
	for (struct dirent *entry; (entry = readdir(folder));) {
		struct span name = span_cstr(entry->d_name);
		if (span_ends_with(name, SPAN(".blob")) && read_file(f, span_slice(name, 0, name.len - strlen(".blob"))))
			buf_printf(skipped, "%s%s", skipped->len ? " " : "", entry->d_name);
	}
	closedir(folder);
	if (f->places.len)
		qsort_r(f->places.ptr, f->places.len / sizeof(struct place), sizeof(struct place), compare_places, f);
	return f;
}

void blob_files_close(struct blob_files *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->folder);
	buf_free(&f->files);
	buf_free(&f->places);
	free(f);
}

/* The first place whose key is greater than `key`, or as great (or_equal). */
static size_t find_place(const struct blob_files *f, struct span key, bool or_equal)
{
	size_t first = 0, end;
	const struct place *all = places(f, &end);
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		int order = span_compare(span_of(all[middle].record.key, sizeof all[middle].record.key), key);
		if (order > 0 || (or_equal && order == 0))
			end = middle;
		else
			first = middle + 1;
	}
	return first;
}

int blob_files_get(struct blob_files *f, struct span key, struct buf *value, struct error *why)
{
	size_t count;
	const struct place *all = places(f, &count);
	int result = 0;
	for (size_t i = find_place(f, key, true); i < count && span_equal(span_of(all[i].record.key, sizeof all[i].record.key), key); i++) {
		BUF_AUTO bytes = {0};
		const struct file *file = file_at(f, all[i].file);
		result = -1;
		if (file_open(f, file->number)) {
			error_set(why, errno, "cannot read %s/%06llu.blob: %s", f->folder, (unsigned long long)file->number, strerror(errno));
			continue;
		}
		struct span stored = read_at(f, all[i].offset, buf_reserve(&bytes, all[i].record.value_bytes), all[i].record.value_bytes);
		if (blob_file_value(&all[i].record, file->compression, stored, value, why) == 0)
			return 1;
	}
	return result;
}

struct span blob_files_next(const struct blob_files *f, struct span key)
{
	size_t count, i = find_place(f, key, false);
	const struct place *all = places(f, &count);
	return i < count ? span_of(all[i].record.key, sizeof all[i].record.key) : (struct span){0};
}
