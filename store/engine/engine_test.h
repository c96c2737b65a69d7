/* A folder with an engine, or one in memory, for the tests of engine.h. */
#ifndef STORE_ENGINE_ENGINE_TEST_H
#define STORE_ENGINE_ENGINE_TEST_H

#include "store/engine/engine.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	bool is_memory;
	char folder[64];
	struct engine *engine;
};

static inline void folder_remove(const char *folder)
{
	char path[512];
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		assert_int_equal(unlink(path), 0);
	}
	closedir(dir);
	assert_int_equal(rmdir(folder), 0);
}

static inline void fixture_open(struct fixture *f)
{
	struct error why = {0};
	f->engine = f->is_memory ? engine_open_memory() : engine_open_rocksdb(f->folder, &why);
	if (!f->engine)
		fail_msg("%s", why.text);
}

static inline void fixture_reopen(struct fixture *f)
{
	engine_close(f->engine);
	fixture_open(f);
}

static inline int setup(void **state, bool is_memory)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->is_memory = is_memory;
	snprintf(f->folder, sizeof f->folder, "/tmp/engine-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	fixture_open(f);
	*state = f;
	return 0;
}

static inline int setup_memory(void **state)
{
	return setup(state, true);
}

static inline int setup_rocksdb(void **state)
{
	return setup(state, false);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	engine_close(f->engine);
	folder_remove(f->folder);
	free(f);
	return 0;
}

static inline void commit(struct engine *e, struct engine_batch *b)
{
	struct error why = {0};
	if (engine_commit(e, b, true, &why) != 0)
		fail_msg("%s", why.text);
	engine_batch_free(b);
}

static inline void put(struct engine *e, struct span partition, struct span key, struct span value)
{
	struct engine_batch *b = engine_batch_new(e);
	engine_batch_put(b, partition, key, value);
	commit(e, b);
}

static inline void assert_value(struct engine *e, struct span partition, struct span key, struct span value)
{
	BUF_AUTO found = {0};
	struct error why = {0};
	assert_int_equal(engine_get(e, partition, key, &found, &why), 1);
	assert_true(span_equal(buf_span(&found), value));
}

static inline void assert_missing(struct engine *e, struct span partition, struct span key)
{
	BUF_AUTO found = {0};
	struct error why = {0};
	assert_int_equal(engine_get(e, partition, key, &found, &why), 0);
	assert_int_equal(found.len, 0);
}

#define BOTH(test) \
	{"memory: " #test, test, setup_memory, teardown, NULL}, {"rocksdb: " #test, test, setup_rocksdb, teardown, NULL}
#define ROCKSDB(test) {"rocksdb: " #test, test, setup_rocksdb, teardown, NULL}

#endif
