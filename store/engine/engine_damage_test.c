/* Copies of an engine, and engines whose folder is damaged: checkpoints, repair, logs without their end or with a wrong bit. */
#include "store/engine/engine_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void a_checkpoint_keeps_the_state_of_its_moment(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct error why = {0};
	snprintf(path, sizeof path, "%s-checkpoint", f->folder);
	put(f->engine, SPAN("p"), SPAN("k"), SPAN("before"));
	assert_int_equal(engine_checkpoint(f->engine, path, &why), 0);
	put(f->engine, SPAN("p"), SPAN("k"), SPAN("after"));
	assert_int_equal(engine_checkpoint(f->engine, path, &why), -1); /* it is there */
	for (int is_damaged = 0; is_damaged < 2; is_damaged++) {
		struct engine *e = engine_open_rocksdb_to_read(path, is_damaged, &why);
		assert_non_null(e);
		assert_value(e, SPAN("p"), SPAN("k"), SPAN("before"));
		engine_close(e);
	}
	assert_value(f->engine, SPAN("p"), SPAN("k"), SPAN("after"));
	folder_remove(path);
}

static void rows_are_there_after_a_repair(void **state)
{
	struct fixture *f = *state;
	char path[128], current[256];
	struct error why = {0};
	snprintf(path, sizeof path, "%s-checkpoint", f->folder);
	snprintf(current, sizeof current, "%s/CURRENT", path);
	put(f->engine, SPAN("p"), SPAN("k"), SPAN("v"));
	assert_int_equal(engine_checkpoint(f->engine, path, &why), 0);
	assert_int_equal(unlink(current), 0);
	assert_null(engine_open_rocksdb_to_read(path, true, &why));
	assert_int_equal(engine_repair_rocksdb(path, &why), 0);
	struct engine *e = engine_open_rocksdb_to_read(path, true, &why);
	assert_non_null(e);
	assert_value(e, SPAN("p"), SPAN("k"), SPAN("v"));
	engine_close(e);
	snprintf(current, sizeof current, "%s/lost", path);
	folder_remove(current); /* where the library puts the old list */
	folder_remove(path);
}

static void an_engine_in_memory_makes_no_checkpoint(void **state)
{
	struct fixture *f = *state;
	struct error why = {0};
	assert_int_equal(engine_checkpoint(f->engine, "/tmp/none", &why), -1);
	assert_int_equal(why.code, ENOTSUP);
}

enum { LOG_ROWS = 300 };

static void row_key(char key[8], int row)
{
	snprintf(key, 8, "%04d", row);
}

/* Writes rows, and copies the folder as a crash would leave it. The newest log's path goes to `log`. */
static void crash_after_rows(struct fixture *f, char *log, size_t log_room)
{
	char value[1000];
	memset(value, 'v', sizeof value);
	for (int i = 0; i < LOG_ROWS; i++) {
		char key[8];
		row_key(key, i);
		put(f->engine, SPAN("p"), span_cstr(key), span_of(value, sizeof value));
	}
	char copy[80], command[300];
	snprintf(copy, sizeof copy, "%s-crashed", f->folder);
	snprintf(command, sizeof command, "cp -r %s %s && rm %s/ballast", f->folder, copy, copy);
	assert_int_equal(system(command), 0);
	engine_close(f->engine);
	folder_remove(f->folder);
	assert_int_equal(rename(copy, f->folder), 0);
	f->engine = NULL;

	*log = 0;
	DIR *dir = opendir(f->folder);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (span_ends_with(span_cstr(entry->d_name), SPAN(".log")))
			snprintf(log, log_room, "%s/%s", f->folder, entry->d_name);
	}
	closedir(dir);
	struct stat st;
	assert_int_equal(stat(log, &st), 0);
	assert_true(st.st_size > LOG_ROWS * 1000);
}

static void a_log_with_its_tail_cut_off_opens(void **state)
{
	struct fixture *f = *state;
	char log[512], key[8];
	crash_after_rows(f, log, sizeof log);
	struct stat st;
	assert_int_equal(stat(log, &st), 0);
	assert_int_equal(truncate(log, st.st_size - 500), 0);
	fixture_open(f);
	row_key(key, LOG_ROWS - 1);
	assert_missing(f->engine, SPAN("p"), span_cstr(key));
	BUF_AUTO found = {0};
	row_key(key, LOG_ROWS - 2);
	assert_int_equal(engine_get(f->engine, SPAN("p"), span_cstr(key), &found, NULL), 1);
	put(f->engine, SPAN("p"), SPAN("after"), SPAN("x"));
	fixture_reopen(f);
	assert_value(f->engine, SPAN("p"), SPAN("after"), SPAN("x"));
}

static void a_flipped_bit_in_the_log_is_an_error(void **state)
{
	struct fixture *f = *state;
	char log[512];
	crash_after_rows(f, log, sizeof log);
	struct stat st;
	assert_int_equal(stat(log, &st), 0);
	int fd = open(log, O_RDWR);
	char byte;
	assert_int_equal(pread(fd, &byte, 1, st.st_size / 2), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2), 1);
	close(fd);

	struct error why = {0};
	assert_null(engine_open_rocksdb(f->folder, &why));
	assert_int_equal(why.code, EBADMSG);
	assert_non_null(strstr(why.text, "damaged"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROCKSDB(a_checkpoint_keeps_the_state_of_its_moment),
		ROCKSDB(rows_are_there_after_a_repair),
		{"memory: an_engine_in_memory_makes_no_checkpoint", an_engine_in_memory_makes_no_checkpoint, setup_memory, teardown, NULL},
		ROCKSDB(a_log_with_its_tail_cut_off_opens),
		ROCKSDB(a_flipped_bit_in_the_log_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
