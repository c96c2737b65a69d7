/* One suite for every engine: what engine.h promises, and for RocksDB what it promises about the disk. */
#include "store/engine/engine_test.h"

#include <errno.h>
#include <sys/stat.h>

/* The rest of the scan as "key=value;" text, and closes it. */
static void assert_scan_rest(struct engine_scan *s, struct span expected)
{
	BUF_AUTO found = {0};
	struct span key, value;
	struct error why = {0};
	int result;
	while ((result = engine_scan_next(s, &key, &value, &why)) == 1) {
		buf_add(&found, key);
		buf_add_char(&found, '=');
		buf_add(&found, value);
		buf_add_char(&found, ';');
	}
	assert_int_equal(result, 0);
	assert_int_equal(engine_scan_next(s, &key, &value, &why), 0);
	engine_scan_close(s);
	assert_int_equal(found.len, expected.len);
	assert_true(span_equal(buf_span(&found), expected));
}

static void assert_scan(struct engine *e, struct span partition, struct span from, struct span to, struct span expected)
{
	assert_scan_rest(engine_scan_open(e, partition, from, to), expected);
}

static void what_was_put_is_got_until_deleted(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	assert_missing(e, SPAN("a"), SPAN("k"));
	put(e, SPAN("a"), SPAN("k"), SPAN("one"));
	assert_value(e, SPAN("a"), SPAN("k"), SPAN("one"));
	put(e, SPAN("a"), SPAN("k"), SPAN("two"));
	assert_value(e, SPAN("a"), SPAN("k"), SPAN("two"));
	put(e, SPAN("a"), SPAN(""), SPAN(""));
	assert_value(e, SPAN("a"), SPAN(""), SPAN(""));

	struct engine_batch *b = engine_batch_new(e);
	engine_batch_delete(b, SPAN("a"), SPAN("k"));
	engine_batch_delete(b, SPAN("a"), SPAN("never there"));
	commit(e, b);
	assert_missing(e, SPAN("a"), SPAN("k"));
}

static void a_value_is_appended_to_the_buffer(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	put(e, SPAN("a"), SPAN("k"), SPAN("two"));
	BUF_AUTO found = {0};
	buf_add_cstr(&found, "one ");
	assert_int_equal(engine_get(e, SPAN("a"), SPAN("k"), &found, NULL), 1);
	assert_string_equal(buf_cstr(&found), "one two");
}

static void a_batch_shows_nothing_before_its_commit_and_applies_in_order(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	put(e, SPAN("a"), SPAN("1"), SPAN("old"));
	struct engine_batch *b = engine_batch_new(e);
	engine_batch_put(b, SPAN("a"), SPAN("lost"), SPAN("x"));
	engine_batch_clear(b);
	engine_batch_delete_range(b, SPAN("a"), SPAN(""), SPAN(""));
	engine_batch_put(b, SPAN("a"), SPAN("1"), SPAN("new"));
	engine_batch_put(b, SPAN("a"), SPAN("2"), SPAN("x"));
	engine_batch_delete(b, SPAN("a"), SPAN("2"));
	engine_batch_put(b, SPAN("b"), SPAN("3"), SPAN("c"));
	assert_value(e, SPAN("a"), SPAN("1"), SPAN("old"));
	assert_missing(e, SPAN("b"), SPAN("3"));
	commit(e, b);
	assert_scan(e, SPAN("a"), SPAN(""), SPAN(""), SPAN("1=new;"));
	assert_scan(e, SPAN("b"), SPAN(""), SPAN(""), SPAN("3=c;"));
}

static void scans_are_ordered_by_unsigned_bytes(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	static const char keys[] = {'\x80', 'a', '\xff', '\0', '\x7f'};
	for (size_t i = 0; i < sizeof keys; i++)
		put(e, SPAN("p"), span_of(keys + i, 1), SPAN("v"));
	put(e, SPAN("p"), SPAN("\0\0"), SPAN("v"));
	put(e, SPAN("p"), SPAN("\xff\xff"), SPAN("v"));
	put(e, SPAN("p"), SPAN(""), SPAN("v"));
	assert_scan(e, SPAN("p"), SPAN(""), SPAN(""),
	            SPAN("=v;\0=v;\0\0=v;a=v;\x7f=v;\x80=v;\xff=v;\xff\xff=v;"));
}

static void a_range_includes_its_start_and_not_its_end(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	static const char *const keys[] = {"a", "b", "bb", "c", "d"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		put(e, SPAN("p"), span_cstr(keys[i]), SPAN(""));
	assert_scan(e, SPAN("p"), SPAN("b"), SPAN("c"), SPAN("b=;bb=;"));
	assert_scan(e, SPAN("p"), SPAN("ba"), SPAN(""), SPAN("bb=;c=;d=;"));
	assert_scan(e, SPAN("p"), SPAN("c"), SPAN("c"), SPAN(""));
	assert_scan(e, SPAN("p"), SPAN("d"), SPAN("b"), SPAN(""));
	assert_scan(e, SPAN("q"), SPAN(""), SPAN(""), SPAN(""));

	struct engine_batch *b = engine_batch_new(e);
	engine_batch_delete_range(b, SPAN("p"), SPAN("b"), SPAN("c"));
	engine_batch_delete_range(b, SPAN("p"), SPAN("d"), SPAN("a"));
	engine_batch_delete_range(b, SPAN("p"), SPAN("d"), SPAN("d"));
	commit(e, b);
	assert_scan(e, SPAN("p"), SPAN(""), SPAN(""), SPAN("a=;c=;d=;"));
}

static void a_scan_sees_the_state_at_its_opening(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	put(e, SPAN("p"), SPAN("a"), SPAN("1"));
	put(e, SPAN("p"), SPAN("b"), SPAN("1"));
	struct engine_scan *s = engine_scan_open(e, SPAN("p"), SPAN(""), SPAN(""));
	struct engine_batch *b = engine_batch_new(e);
	engine_batch_put(b, SPAN("p"), SPAN("a"), SPAN("2"));
	engine_batch_delete(b, SPAN("p"), SPAN("b"));
	engine_batch_put(b, SPAN("p"), SPAN("c"), SPAN("2"));
	commit(e, b);
	assert_scan_rest(s, SPAN("a=1;b=1;"));
	assert_scan(e, SPAN("p"), SPAN(""), SPAN(""), SPAN("a=2;c=2;"));
}

static const struct span awkward_names[] = {
	{"", 0}, {"\0", 1}, {"\0\0", 2}, {"\0\1", 2}, {"\0\xff", 2}, {"a", 1}, {"a\0", 2}, {"a\0\1", 3}, {"a\0b", 3},
	{"a\1", 2}, {"aa", 2}, {"a\xff", 2}, {"\xff", 1}, {"\xff\0", 2}, {"\xff\xff", 2},
};
enum { AWKWARD_NAMES = sizeof awkward_names / sizeof *awkward_names };

static void fill_awkward(struct engine *e)
{
	for (size_t i = 0; i < AWKWARD_NAMES; i++) {
		put(e, awkward_names[i], SPAN("\0"), SPAN("low"));
		put(e, awkward_names[i], SPAN("\xff\xff"), SPAN("high"));
	}
	struct engine_batch *b = engine_batch_new(e);
	engine_batch_blob_put(b, (struct blob_id){{0}}, 0, SPAN("a blob is no partition"));
	commit(e, b);
}

static void partitions_do_not_bleed_into_one_another(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	fill_awkward(e);
	for (size_t i = 0; i < AWKWARD_NAMES; i++) {
		assert_scan(e, awkward_names[i], SPAN(""), SPAN(""), SPAN("\0=low;\xff\xff=high;"));
		assert_missing(e, awkward_names[i], SPAN(""));
	}
	for (size_t i = 0; i < AWKWARD_NAMES; i++) {
		struct engine_batch *b = engine_batch_new(e);
		engine_batch_delete_range(b, awkward_names[i], SPAN(""), SPAN(""));
		commit(e, b);
		for (size_t k = 0; k < AWKWARD_NAMES; k++)
			assert_scan(e, awkward_names[k], SPAN(""), SPAN(""),
			            k <= i ? SPAN("") : SPAN("\0=low;\xff\xff=high;"));
	}
}

struct listing {
	struct span names[32];
	struct buf bytes[32];
	size_t count, stop_after;
};

static int list_partition(void *context, struct span partition)
{
	struct listing *l = context;
	assert_true(l->count < 32);
	buf_add(&l->bytes[l->count++], partition);
	return l->stop_after && l->count == l->stop_after ? 42 : 0;
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < 32; i++)
		buf_free(&l->bytes[i]);
	*l = (struct listing){0};
}

static void partitions_are_listed_once_and_in_order(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	struct listing l = {0};
	assert_int_equal(engine_partitions(e, SPAN(""), list_partition, &l, NULL), 0);
	assert_int_equal(l.count, 0);
	fill_awkward(e);
	for (size_t p = 0; p < AWKWARD_NAMES; p++) {
		assert_int_equal(engine_partitions(e, awkward_names[p], list_partition, &l, NULL), 0);
		size_t expected = 0;
		for (size_t i = 0; i < AWKWARD_NAMES; i++)
			expected += span_starts_with(awkward_names[i], awkward_names[p]);
		assert_int_equal(l.count, expected);
		for (size_t i = 0; i < l.count; i++) {
			assert_true(span_starts_with(buf_span(&l.bytes[i]), awkward_names[p]));
			assert_true(i == 0 || span_compare(buf_span(&l.bytes[i - 1]), buf_span(&l.bytes[i])) < 0);
		}
		listing_free(&l);
	}
	l.stop_after = 3;
	assert_int_equal(engine_partitions(e, SPAN(""), list_partition, &l, NULL), 42);
	assert_int_equal(l.count, 3);
	listing_free(&l);
}

static void the_longest_names_and_keys_and_large_values_are_kept(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	static char name[PARTITION_NAME_BYTES_MOST], key[KEY_BYTES_MOST], value[5 * 1024 * 1024];
	memset(key, 0xff, sizeof key);
	for (size_t i = 0; i < sizeof value; i++)
		value[i] = (char)(i * 31 >> 3);
	put(e, span_of(name, sizeof name), span_of(key, sizeof key), span_of(value, sizeof value));
	assert_value(e, span_of(name, sizeof name), span_of(key, sizeof key), span_of(value, sizeof value));
	struct listing l = {0};
	assert_int_equal(engine_partitions(e, span_of(name, 7), list_partition, &l, NULL), 0);
	assert_int_equal(l.count, 1);
	assert_true(span_equal(buf_span(&l.bytes[0]), span_of(name, sizeof name)));
	listing_free(&l);
}

static struct blob_id id_of(unsigned char first, unsigned char last)
{
	struct blob_id id = {{0}};
	id.bytes[0] = first;
	id.bytes[15] = last;
	return id;
}

static void blobs_are_kept_by_piece(void **state)
{
	struct engine *e = ((struct fixture *)*state)->engine;
	static char piece[BLOB_PIECE_BYTES];
	memset(piece, 'x', sizeof piece);
	struct blob_id low = id_of(0, 0), middle = id_of(0x7f, 0xff), high = {{0}};
	memset(high.bytes, 0xff, sizeof high.bytes);

	struct engine_batch *b = engine_batch_new(e);
	engine_batch_blob_put(b, high, 0, SPAN("high"));
	engine_batch_blob_put(b, low, 0, span_of(piece, sizeof piece));
	engine_batch_blob_put(b, low, 1, SPAN("end"));
	engine_batch_blob_put(b, low, UINT32_MAX, SPAN("last"));
	engine_batch_blob_put(b, middle, 256, SPAN(""));
	commit(e, b);

	BUF_AUTO found = {0};
	assert_int_equal(engine_blob_get(e, low, 0, &found, NULL), 1);
	assert_int_equal(engine_blob_get(e, low, 1, &found, NULL), 1);
	assert_int_equal(found.len, sizeof piece + 3);
	assert_memory_equal(found.ptr + sizeof piece, "end", 3);
	assert_int_equal(engine_blob_get(e, low, 2, &found, NULL), 0);
	assert_int_equal(engine_blob_get(e, middle, 1, &found, NULL), 0);
	assert_int_equal(engine_blob_get(e, middle, 256, &found, NULL), 1);

	b = engine_batch_new(e);
	engine_batch_blob_delete(b, low, 0);
	engine_batch_blob_delete(b, low, 1);
	engine_batch_blob_delete(b, middle, 256);
	commit(e, b);
	assert_int_equal(engine_blob_get(e, low, 0, &found, NULL), 0);
}

static uint64_t folder_bytes(const char *folder)
{
	uint64_t sum = 0;
	char path[512];
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (strcmp(entry->d_name, "ballast") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	closedir(dir);
	return sum;
}

static void compaction_keeps_what_is_there_and_gives_back_the_rest(void **state)
{
	struct fixture *f = *state;
	static char piece[BLOB_PIECE_BYTES];
	uint32_t noise = 1;
	for (unsigned char i = 0; i < 200; i++) {
		for (size_t k = 0; k < sizeof piece; k++)
			piece[k] = (char)((noise = noise * 1664525 + 1013904223) >> 24);
		struct engine_batch *b = engine_batch_new(f->engine);
		engine_batch_blob_put(b, id_of(i, i), 0, span_of(piece, sizeof piece));
		commit(f->engine, b);
	}
	assert_int_equal(engine_compact(f->engine, NULL), 0);
	uint64_t full = folder_bytes(f->folder);
	struct engine_batch *b = engine_batch_new(f->engine);
	for (unsigned char i = 0; i < 199; i++)
		engine_batch_blob_delete(b, id_of(i, i), 0);
	commit(f->engine, b);
	assert_int_equal(engine_compact(f->engine, NULL), 0);
	fixture_reopen(f);
	if (f->is_memory)
		return;
	BUF_AUTO found = {0};
	assert_int_equal(engine_blob_get(f->engine, id_of(199, 199), 0, &found, NULL), 1);
	assert_memory_equal(found.ptr, piece, sizeof piece);
	assert_true(full > 12 * 1024 * 1024);
	assert_true(folder_bytes(f->folder) < 2 * 1024 * 1024);
}

static void what_was_committed_is_there_after_a_reopening(void **state)
{
	struct fixture *f = *state;
	put(f->engine, SPAN("p"), SPAN("k"), SPAN("v"));
	struct engine_batch *b = engine_batch_new(f->engine);
	engine_batch_blob_put(b, id_of(1, 2), 0, SPAN("blob"));
	commit(f->engine, b);
	fixture_reopen(f);
	assert_value(f->engine, SPAN("p"), SPAN("k"), SPAN("v"));
	BUF_AUTO blob = {0};
	assert_int_equal(engine_blob_get(f->engine, id_of(1, 2), 0, &blob, NULL), 1);
	assert_string_equal(buf_cstr(&blob), "blob");
}

static void a_folder_is_opened_only_once(void **state)
{
	struct fixture *f = *state;
	struct error why = {0};
	assert_null(engine_open_rocksdb(f->folder, &why));
	assert_int_equal(why.code, EBUSY);
	assert_non_null(strstr(why.text, f->folder));
	assert_non_null(strstr(why.text, "open in another process"));
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
	(void)state;
	struct error why = {0};
	assert_null(engine_open_rocksdb("/dev/null/store", &why));
	assert_non_null(strstr(why.text, "/dev/null/store"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_was_put_is_got_until_deleted),
		BOTH(a_value_is_appended_to_the_buffer),
		BOTH(a_batch_shows_nothing_before_its_commit_and_applies_in_order),
		BOTH(scans_are_ordered_by_unsigned_bytes),
		BOTH(a_range_includes_its_start_and_not_its_end),
		BOTH(a_scan_sees_the_state_at_its_opening),
		BOTH(partitions_do_not_bleed_into_one_another),
		BOTH(partitions_are_listed_once_and_in_order),
		BOTH(the_longest_names_and_keys_and_large_values_are_kept),
		BOTH(blobs_are_kept_by_piece),
		BOTH(compaction_keeps_what_is_there_and_gives_back_the_rest),
		ROCKSDB(what_was_committed_is_there_after_a_reopening),
		ROCKSDB(a_folder_is_opened_only_once),
		ROCKSDB(a_folder_that_cannot_be_made_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
