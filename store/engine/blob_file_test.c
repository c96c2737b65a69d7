/* Blob files as the library writes them, whole and damaged, and bytes that are none. */
#include "store/engine/engine_test.h"

#include "base/pack.h"
#include "store/engine/blob_file.h"
#include "store/engine/blob_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { BLOBS = 40, BLOB_BYTES = 5000, SMALL_BYTES = 100 };

static struct blob_id id_of(int n)
{
	struct blob_id id = {{0}};
	memset(id.bytes, 'a' + n, sizeof id.bytes);
	return id;
}

/* Odd ones are of the same letter, and so are compressed to next to nothing; every seventh is too small for a blob file. */
static struct span value_of(int n, char memory[BLOB_BYTES])
{
	uint32_t noise = (uint32_t)n + 1;
	for (size_t i = 0; i < BLOB_BYTES; i++) {
		noise = noise * 1664525 + 1013904223;
		memory[i] = n % 2 ? 'x' : (char)(noise >> 24);
	}
	return span_of(memory, n % 7 ? BLOB_BYTES : SMALL_BYTES);
}

/* A copy of an engine with BLOBS of two pieces, all of it in files. */
static void make_copy(struct fixture *f, char *path, size_t room)
{
	struct engine_batch *b = engine_batch_new(f->engine);
	struct error why = {0};
	char memory[BLOB_BYTES];
	for (int n = 0; n < BLOBS; n++) {
		engine_batch_blob_put(b, id_of(n), 0, value_of(n, memory));
		engine_batch_blob_put(b, id_of(n), 1, SPAN("second"));
	}
	assert_int_equal(engine_commit(f->engine, b, true, &why), 0);
	engine_batch_free(b);
	snprintf(path, room, "%s-checkpoint", f->folder);
	assert_int_equal(engine_checkpoint(f->engine, path, &why), 0);
}

/* The only file of the folder whose name has such an end. */
static void find_file(const char *folder, const char *end, char *path, size_t room)
{
	DIR *dir = opendir(folder);
	*path = 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strstr(entry->d_name, end)) {
			assert_int_equal(*path, 0);
			snprintf(path, room, "%s/%s", folder, entry->d_name);
		}
	closedir(dir);
	assert_int_not_equal(*path, 0);
}

static struct span key_of(int n, char key[BLOB_FILE_KEY_BYTES])
{
	struct blob_id id = id_of(n);
	memset(key, 0, BLOB_FILE_KEY_BYTES);
	memcpy(key, id.bytes, sizeof id.bytes);
	return span_of(key, BLOB_FILE_KEY_BYTES);
}

/* How many are read; each that is has the right bytes. *refused: how many are there, but damaged. */
static int count_whole(const char *path, int *refused)
{
	BUF_AUTO skipped = {0};
	struct error why = {0};
	struct blob_files *files = blob_files_open(path, &skipped, &why);
	int whole = 0;
	assert_non_null(files);
	*refused = 0;
	for (int n = 0; n < BLOBS; n++) {
		BUF_AUTO value = {0};
		char memory[BLOB_BYTES], key[BLOB_FILE_KEY_BYTES];
		int found = blob_files_get(files, key_of(n, key), &value, &why);
		*refused += found < 0;
		whole += found > 0;
		if (found > 0)
			assert_true(span_equal(buf_span(&value), value_of(n, memory)));
		else
			assert_int_equal(value.len, 0);
	}
	blob_files_close(files);
	return whole;
}

enum { IN_FILES = BLOBS - (BLOBS + 6) / 7 };

static void files_are_read_as_they_were_written(void **state)
{
	char path[128];
	int refused;
	make_copy(*state, path, sizeof path);
	assert_int_equal(count_whole(path, &refused), IN_FILES);
	assert_int_equal(refused, 0);

	BUF_AUTO skipped = {0};
	struct blob_files *files = blob_files_open(path, &skipped, NULL);
	struct span key = {0};
	int count = 0;
	for (; (key = blob_files_next(files, key)).len; count++)
		assert_int_equal(key.len, BLOB_FILE_KEY_BYTES);
	assert_int_equal(count, IN_FILES);
	blob_files_close(files);
	folder_remove(path);
	assert_null(blob_files_open(path, &skipped, NULL));
}

static void write_at(const char *path, size_t at, struct span bytes)
{
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, bytes.ptr, bytes.len, (off_t)at), bytes.len);
	close(fd);
}

static void damage_costs_what_stands_there(void **state)
{
	char path[128], file[512], front[BLOB_FILE_HEADER_BYTES + BLOB_FILE_RECORD_BYTES];
	struct blob_record first;
	int refused;
	make_copy(*state, path, sizeof path);
	find_file(path, ".blob", file, sizeof file);
	int fd = open(file, O_RDONLY);
	assert_int_equal(pread(fd, front, sizeof front, 0), sizeof front);
	close(fd);
	assert_int_equal(blob_file_record(span_skip(span_of(front, sizeof front), BLOB_FILE_HEADER_BYTES), &first), 0);

	write_at(file, 0, SPAN("xxxx")); /* the header: what we write is presumed */
	assert_int_equal(count_whole(path, &refused), IN_FILES);
	write_at(file, sizeof front + 5, SPAN("\x7e\x81")); /* a value */
	assert_int_equal(count_whole(path, &refused), IN_FILES - 1);
	assert_int_equal(refused, 1);
	write_at(file, BLOB_FILE_HEADER_BYTES, SPAN("\x99")); /* the length of a key: the next record must be found */
	assert_int_equal(count_whole(path, &refused), IN_FILES - 1);
	assert_int_equal(refused, 0);
	write_at(file, sizeof front + first.value_bytes + 8, SPAN("\xff\xff\xff\x7f")); /* the length of the second value */
	assert_int_equal(count_whole(path, &refused), IN_FILES - 2);
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(truncate(file, st.st_size / 2), 0);
	int left = count_whole(path, &refused);
	assert_in_range(left, IN_FILES / 2 - 4, IN_FILES / 2 + 2);
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(count_whole(path, &refused), 0);
	folder_remove(path);
}

static void count_blob(void *context, struct blob_id id)
{
	int *seen = context;
	assert_in_range(id.bytes[0], 'a', 'a' + BLOBS - 1);
	seen[id.bytes[0] - 'a']++;
}

static void an_engine_without_its_list_finds_its_blobs(void **state)
{
	struct fixture *f = *state;
	char path[128], list[512], lost[160], memory[BLOB_BYTES];
	int seen[BLOBS] = {0};
	struct error why = {0};
	BUF_AUTO skipped = {0};
	char original[140], command[300];
	make_copy(f, path, sizeof path);
	snprintf(original, sizeof original, "%s-original", f->folder);
	snprintf(command, sizeof command, "cp -r %s %s", path, original);
	assert_int_equal(system(command), 0);
	find_file(path, "MANIFEST", list, sizeof list);
	assert_int_equal(unlink(list), 0);
	assert_null(engine_open_rocksdb_to_read(path, true, &why));
	assert_int_equal(engine_repair_rocksdb(path, &why), 0);
	struct engine *e = engine_open_rocksdb_to_read(path, true, &why);
	assert_non_null(e);
	BUF_AUTO none = {0};
	assert_int_equal(engine_blob_get(e, id_of(1), 0, &none, &why), -1);
	assert_int_equal(engine_read_blob_files(e, original, &skipped, &why), 0);
	assert_int_equal(skipped.len, 0);
	for (int n = 0; n < BLOBS; n++) {
		BUF_AUTO value = {0};
		assert_int_equal(engine_blob_get(e, id_of(n), 0, &value, &why), 1);
		assert_true(span_equal(buf_span(&value), value_of(n, memory)));
	}
	engine_walk_blobs(e, count_blob, seen);
	for (int n = 0; n < BLOBS; n++)
		assert_true(seen[n] >= 2); /* both pieces */
	engine_close(e);
	snprintf(lost, sizeof lost, "%s/lost", path);
	if (access(lost, F_OK) == 0)
		folder_remove(lost);
	folder_remove(path);
	folder_remove(original);
}

/* A list that has lost its end names less than there is. */
static void a_list_that_lacks_a_file_is_refused(void **state)
{
	char path[128], file[512], other[512];
	struct error why = {0};
	make_copy(*state, path, sizeof path);
	struct engine *e = engine_open_rocksdb_to_read(path, true, &why);
	assert_non_null(e);
	engine_close(e);
	find_file(path, ".sst", file, sizeof file);
	snprintf(other, sizeof other, "%s/987654.sst", path);
	assert_int_equal(link(file, other), 0);
	assert_null(engine_open_rocksdb_to_read(path, true, &why));
	assert_int_equal(why.code, EBADMSG);
	assert_non_null(strstr(why.text, "987654.sst"));
	folder_remove(path);
}

static void what_is_no_record_is_refused(void **state)
{
	/* The key of 20 times "k", the value "hello", made by another program. */
	static const char whole[] = "\x14\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "\x57\x9a\x38\xff" "\x21\x87\xf9\x3f" "kkkkkkkkkkkkkkkkkkkkhello";
	struct span in = span_of(whole, sizeof whole - 1);
	struct blob_record r;
	struct error why = {0};
	BUF_AUTO out = {0};
	(void)state;
	assert_int_equal(blob_file_record(in, &r), 0);
	assert_int_equal(r.value_bytes, 5);
	struct span value = span_skip(in, BLOB_FILE_RECORD_BYTES);
	assert_int_equal(blob_file_value(&r, BLOB_COMPRESSION_NONE, value, &out, &why), 0);
	assert_true(span_equal(buf_span(&out), SPAN("hello")));
	buf_clear(&out);
	assert_int_equal(blob_file_value(&r, BLOB_COMPRESSION_LZ4, value, &out, &why), -1); /* its checksum is right, but it is not compressed */
	assert_int_equal(blob_file_value(&r, BLOB_COMPRESSION_NONE, span_slice(value, 0, 4), &out, &why), -1);
	assert_int_equal(blob_file_value(&r, BLOB_COMPRESSION_NONE, SPAN("hellp"), &out, &why), -1);
	assert_int_equal(out.len, 0);
	for (size_t cut = 0; cut < BLOB_FILE_RECORD_BYTES; cut++) {
		assert_int_equal(blob_file_record(span_slice(in, 0, cut), &r), -1);
		assert_int_equal(blob_file_find(span_slice(in, 0, cut)), -1);
	}
	for (size_t i = 0; i < 28; i++) {
		char bad[sizeof whole];
		memcpy(bad, whole, sizeof bad);
		bad[i] ^= 0x10;
		assert_int_equal(blob_file_record(span_of(bad, in.len), &r), -1);
	}
	BUF_AUTO behind = {0};
	buf_add(&behind, SPAN("\x14\0\0\0\0\0\0\0\x14\0\0\0"));
	buf_add(&behind, in);
	assert_int_equal(blob_file_find(buf_span(&behind)), 12);
}

static void headers_are_held_against_what_we_write(void **state)
{
	static const struct { struct span in; int result; enum blob_compression compression; } cases[] = {
		{SPAN("\x37\x8f\x24\0\1\0\0\0\1\0\0\0\0\4" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), 0, BLOB_COMPRESSION_LZ4},
		{SPAN("\x37\x8f\x24\0\1\0\0\0\1\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), 0, BLOB_COMPRESSION_NONE},
		{SPAN("\x37\x8f\x24\0\1\0\0\0\1\0\0\0\0\7" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), -1, 0}, /* zstd */
		{SPAN("\x37\x8f\x24\0\2\0\0\0\1\0\0\0\0\4" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), -1, 0}, /* a later version */
		{SPAN("\x37\x8f\x24\0\1\0\0\0\1\0\0\0\1\4" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), -1, 0}, /* records that expire */
		{SPAN("\x36\x8f\x24\0\1\0\0\0\1\0\0\0\0\4" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0"), -1, 0},
		{SPAN("\x37\x8f\x24\0\1\0\0\0\1\0\0\0\0\4" "\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0"), -1, 0},
		{SPAN(""), -1, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum blob_compression compression = 99;
		assert_int_equal(blob_file_header(cases[i].in, &compression, NULL), cases[i].result);
		if (cases[i].result == 0)
			assert_int_equal(compression, cases[i].compression);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKSDB(files_are_read_as_they_were_written),
		ROCKSDB(damage_costs_what_stands_there),
		ROCKSDB(an_engine_without_its_list_finds_its_blobs),
		ROCKSDB(a_list_that_lacks_a_file_is_refused),
		cmocka_unit_test(what_is_no_record_is_refused),
		cmocka_unit_test(headers_are_held_against_what_we_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
