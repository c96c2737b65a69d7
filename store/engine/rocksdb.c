/* The engine on RocksDB: rows in the column family "default", blob pieces in "blobs", whose values stand in blob files.
 *
 * Must stay true: the log is read in the mode "tolerate corrupted tail". The library's own default (point in time) drops
 * every synced write behind a flipped bit in silence; this mode refuses to open. */
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "store/engine/ballast.h"
#include "store/engine/blob_files.h"
#include "store/engine/engine_impl.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	WRITE_BUFFER_BYTES = 64 * 1024 * 1024,
	ROWS_BUFFER_BYTES = 16 * 1024 * 1024, /* rows are small: more of them are a list that falls out of the processor's cache */
	WRITE_BUFFERS_MOST = 3,
	BLOCK_CACHE_BYTES = 64 * 1024 * 1024,
	CACHE_SHARD_BITS = 2,               /* by itself it makes shards of 1 MB, into which hardly more than an index goes */
	INDEX_BLOCK_BYTES = 16 * 1024,
	LOG_BYTES_MOST = 256 * 1024 * 1024, /* of the write-ahead log: bounds the time that opening takes after a crash */
	BLOB_BYTES_LEAST = 1024,            /* smaller values stand beside their keys */
	BLOB_FILE_BYTES = 256 * 1024 * 1024,
	INFO_LOG_BYTES = 1024 * 1024,
	FILES_OPEN_MOST = 512,
	BLOOM_BITS = 10,
	INFO_LOG_WARN = 2,     /* InfoLogLevel::WARN_LEVEL */
	COMPACT_FORCE = 2,     /* BottommostLevelCompaction::kForce */
	ROOM_KNOWN_MS = 1000,  /* the disk is asked as often as that */
	ROOM_BYTES_LEAST = WRITE_BUFFER_BYTES, /* free beside the ballast; with less, no mail is taken */
	GARBAGE_PERCENT_LEAST = 20, /* of the blob files, or of the rows, before engine_compact rewrites them */
	ROWS_OF_A_RANGE = 1000,     /* nobody counts them */
};

struct rocks_engine {
	struct engine engine;
	char *path;
	rocksdb_t *db;
	rocksdb_column_family_handle_t *families[ENGINE_FAMILIES];
	rocksdb_options_t *options[ENGINE_FAMILIES];
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write, *write_synced;
	pthread_mutex_t room_lock; /* for the next ones */
	bool has_ballast, has_room;
	int64_t room_asked_ms;
	atomic_bool has_deleted;   /* since the last engine_compact */
	atomic_ullong deleted_rows; /* since rows were last compacted */
	struct blob_files *blob_files; /* engine_read_blob_files: for what the library does not find */
};

struct rocks_scan {
	struct engine_scan scan;
	struct buf to; /* the iterator points into it */
	rocksdb_readoptions_t *read;
	rocksdb_iterator_t *iterator;
	bool is_started; /* the iterator stands on what was given last */
};

struct rocks_batch {
	struct engine_batch batch;
	rocksdb_writebatch_t *writes;
	uint64_t deleted_rows; /* a range counts as many */
};

/* Takes the library's text over into *why. */
static int rocks_fail(struct error *why, const char *what, const char *path, char *fault)
{
	int code = EIO;
	if (strstr(fault, "No space left on device"))
		code = ENOSPC;
	else if (strncmp(fault, "Corruption", strlen("Corruption")) == 0)
		code = EBADMSG;
	else if (strstr(fault, "lock hold by current process") || strstr(fault, "While lock file"))
		code = EBUSY;

	if (code == EBUSY)
		error_set(why, code, "%s is open in another process: only one may have it open", path);
	else if (code == EBADMSG)
		error_set(why, code, "%s %s: its files are damaged: %s", what, path, fault);
	else
		error_set(why, code, "%s %s: %s", what, path, fault);
	rocksdb_free(fault);
	return -1;
}

static struct rocks_engine *rocks_of(struct engine *e)
{
	return (struct rocks_engine *)e;
}

static rocksdb_options_t *rocks_options(struct rocks_engine *r)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_wal_recovery_mode(o, rocksdb_tolerate_corrupted_tail_records_recovery);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_write_buffer_size(o, WRITE_BUFFER_BYTES);
	rocksdb_options_set_max_write_buffer_number(o, WRITE_BUFFERS_MOST);
	rocksdb_options_set_max_total_wal_size(o, LOG_BYTES_MOST);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_allow_concurrent_memtable_write(o, 0); /* there is one committer */
	rocksdb_options_set_max_open_files(o, FILES_OPEN_MOST);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_info_log_level(o, INFO_LOG_WARN);
	rocksdb_options_set_max_log_file_size(o, INFO_LOG_BYTES);
	rocksdb_options_set_keep_log_file_num(o, 2);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);

	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
	rocksdb_block_based_options_set_block_cache(table, r->cache);
	/* Index and filter of a large file in pieces: as one block of a megabyte each does not stay in the cache, and is read and unpacked again for each row. */
	rocksdb_block_based_options_set_index_type(table, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(table, 1);
	rocksdb_block_based_options_set_metadata_block_size(table, INDEX_BLOCK_BYTES);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
	rocksdb_block_based_options_set_format_version(table, 5);
	rocksdb_options_set_block_based_table_factory(o, table);
	rocksdb_block_based_options_destroy(table);
	return o;
}

static void rocks_configure(struct rocks_engine *r)
{
	rocksdb_lru_cache_options_t *cache = rocksdb_lru_cache_options_create();
	rocksdb_lru_cache_options_set_capacity(cache, BLOCK_CACHE_BYTES);
	rocksdb_lru_cache_options_set_num_shard_bits(cache, CACHE_SHARD_BITS);
	r->cache = rocksdb_cache_create_lru_opts(cache);
	rocksdb_lru_cache_options_destroy(cache);
	r->options[ENGINE_ROWS] = rocks_options(r);
	rocksdb_options_set_compression(r->options[ENGINE_ROWS], rocksdb_lz4_compression);
	rocksdb_options_set_write_buffer_size(r->options[ENGINE_ROWS], ROWS_BUFFER_BYTES);
	rocksdb_options_set_bottommost_compression(r->options[ENGINE_ROWS], rocksdb_zstd_compression);

	rocksdb_options_t *blobs = r->options[ENGINE_BLOBS] = rocks_options(r);
	rocksdb_options_set_compression(blobs, rocksdb_lz4_compression);
	rocksdb_options_set_enable_blob_files(blobs, 1);
	rocksdb_options_set_min_blob_size(blobs, BLOB_BYTES_LEAST);
	rocksdb_options_set_blob_file_size(blobs, BLOB_FILE_BYTES);
	/* zstd took a sixth of store's time at full load, for a fifth of the bytes of text mail and none of attachments' */
	rocksdb_options_set_blob_compression_type(blobs, rocksdb_lz4_compression);
	rocksdb_options_set_enable_blob_gc(blobs, 1);
	rocksdb_options_set_blob_gc_age_cutoff(blobs, 0.25);
	rocksdb_options_set_blob_gc_force_threshold(blobs, 0.5);

	r->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(r->read, 1);
	r->write = rocksdb_writeoptions_create();
	r->write_synced = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write_synced, 1);
}

static void rocks_close(struct engine *e)
{
	struct rocks_engine *r = rocks_of(e);
	for (size_t i = 0; i < ENGINE_FAMILIES; i++) {
		if (r->families[i])
			rocksdb_column_family_handle_destroy(r->families[i]);
	}
	if (r->db)
		rocksdb_close(r->db);
	for (size_t i = 0; i < ENGINE_FAMILIES; i++)
		rocksdb_options_destroy(r->options[i]);
	rocksdb_cache_destroy(r->cache);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_writeoptions_destroy(r->write);
	rocksdb_writeoptions_destroy(r->write_synced);
	blob_files_close(r->blob_files);
	free(r->path);
	free(r);
}

static int rocks_get(struct engine *e, enum engine_family family, struct span key, struct buf *value, struct error *why)
{
	struct rocks_engine *r = rocks_of(e);
	char *fault = NULL;
	rocksdb_pinnableslice_t *found =
		rocksdb_get_pinned_cf(r->db, r->read, r->families[family], key.ptr, key.len, &fault);
	if (!found && r->blob_files && family == ENGINE_BLOBS && blob_files_get(r->blob_files, key, value, NULL) > 0) {
		rocksdb_free(fault);
		return 1;
	}
	if (fault)
		return rocks_fail(why, "reading", r->path, fault);
	if (!found)
		return 0;
	struct span bytes;
	bytes.ptr = rocksdb_pinnableslice_value(found, &bytes.len);
	buf_add(value, bytes);
	rocksdb_pinnableslice_destroy(found);
	return 1;
}

static void rocks_scan_seek(struct engine_scan *scan, struct span from)
{
	struct rocks_scan *s = (struct rocks_scan *)scan;
	rocksdb_iter_seek(s->iterator, from.ptr, from.len);
	s->is_started = false;
}

static struct engine_scan *rocks_scan_open(struct engine *e, struct span from, struct span to)
{
	struct rocks_engine *r = rocks_of(e);
	struct rocks_scan *s = xcalloc(1, sizeof *s);
	s->scan.engine = e;
	buf_add(&s->to, to);
	s->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(s->read, 1);
	if (to.len)
		rocksdb_readoptions_set_iterate_upper_bound(s->read, s->to.ptr, s->to.len);
	s->iterator = rocksdb_create_iterator_cf(r->db, s->read, r->families[ENGINE_ROWS]);
	rocks_scan_seek(&s->scan, from);
	return &s->scan;
}

static int rocks_scan_next(struct engine_scan *scan, struct span *key, struct span *value, struct error *why)
{
	struct rocks_scan *s = (struct rocks_scan *)scan;
	if (s->is_started && rocksdb_iter_valid(s->iterator))
		rocksdb_iter_next(s->iterator);
	s->is_started = true;
	if (!rocksdb_iter_valid(s->iterator)) {
		char *fault = NULL;
		rocksdb_iter_get_error(s->iterator, &fault);
		return fault ? rocks_fail(why, "reading", rocks_of(scan->engine)->path, fault) : 0;
	}
	key->ptr = rocksdb_iter_key(s->iterator, &key->len);
	value->ptr = rocksdb_iter_value(s->iterator, &value->len);
	return 1;
}

static void rocks_scan_close(struct engine_scan *scan)
{
	struct rocks_scan *s = (struct rocks_scan *)scan;
	rocksdb_iter_destroy(s->iterator);
	rocksdb_readoptions_destroy(s->read);
	buf_free(&s->to);
	free(s);
}

static struct engine_batch *rocks_batch_new(struct engine *e)
{
	struct rocks_batch *b = xcalloc(1, sizeof *b);
	b->batch.engine = e;
	b->writes = rocksdb_writebatch_create();
	return &b->batch;
}

static void rocks_batch_free(struct engine_batch *batch)
{
	struct rocks_batch *b = (struct rocks_batch *)batch;
	rocksdb_writebatch_destroy(b->writes);
	free(b);
}

static void rocks_batch_clear(struct engine_batch *batch)
{
	struct rocks_batch *b = (struct rocks_batch *)batch;
	rocksdb_writebatch_clear(b->writes);
	b->deleted_rows = 0;
}

static void rocks_batch_put(struct engine_batch *batch, enum engine_family family, struct span key, struct span value)
{
	rocksdb_writebatch_put_cf(((struct rocks_batch *)batch)->writes, rocks_of(batch->engine)->families[family],
	                          key.ptr, key.len, value.ptr, value.len);
}

static void rocks_batch_delete(struct engine_batch *batch, enum engine_family family, struct span key)
{
	struct rocks_batch *b = (struct rocks_batch *)batch;
	rocksdb_writebatch_delete_cf(b->writes, rocks_of(batch->engine)->families[family], key.ptr, key.len);
	b->deleted_rows += family == ENGINE_ROWS;
}

static void rocks_batch_delete_range(struct engine_batch *batch, struct span from, struct span to)
{
	struct rocks_batch *b = (struct rocks_batch *)batch;
	rocksdb_writebatch_delete_range_cf(b->writes, rocks_of(batch->engine)->families[ENGINE_ROWS], from.ptr, from.len, to.ptr, to.len);
	b->deleted_rows += ROWS_OF_A_RANGE;
}

/* Looks how things are on the disk, making the ballast again when there is room for it. */
static void rocks_ask_room(struct rocks_engine *r)
{
	int64_t now_ms = clock_monotonic_ms();
	bool had_room = r->has_room;
	if (r->room_asked_ms && now_ms - r->room_asked_ms < ROOM_KNOWN_MS)
		return;
	r->room_asked_ms = now_ms;
	r->has_ballast = r->has_ballast || ballast_make(r->path);
	r->has_room = r->has_ballast && disk_has(r->path, ROOM_BYTES_LEAST);
	if (had_room && !r->has_room)
		log_event(LOG_LEVEL_ERROR, "disk-full", log_c("path", r->path),
		          log_c("do", "give it room: until then mail is refused for the time being, and can be read and deleted"));
	else if (!had_room && r->has_room)
		log_event(LOG_LEVEL_INFO, "disk-has-room", log_c("path", r->path));
}

static bool rocks_has_room(struct engine *e)
{
	struct rocks_engine *r = rocks_of(e);
	pthread_mutex_lock(&r->room_lock);
	rocks_ask_room(r);
	bool has_room = r->has_room;
	pthread_mutex_unlock(&r->room_lock);
	return has_room;
}

static bool rocks_has_ballast(struct rocks_engine *r)
{
	pthread_mutex_lock(&r->room_lock);
	rocks_ask_room(r);
	bool has_ballast = r->has_ballast;
	pthread_mutex_unlock(&r->room_lock);
	return has_ballast;
}

static void rocks_drop_ballast(struct rocks_engine *r)
{
	pthread_mutex_lock(&r->room_lock);
	if (r->has_ballast)
		ballast_drop(r->path);
	r->has_ballast = r->has_room = false;
	pthread_mutex_unlock(&r->room_lock);
}

static int rocks_commit(struct engine *e, struct engine_batch *batch, bool is_durable, struct error *why)
{
	struct rocks_engine *r = rocks_of(e);
	if (!rocks_has_ballast(r) && batch->has_blobs)
		return error_set(why, ENOSPC, "the disk that holds %s is full: delete mail or give it room", r->path);

	char *fault = NULL;
	rocksdb_write(r->db, is_durable ? r->write_synced : r->write, ((struct rocks_batch *)batch)->writes, &fault);
	if (batch->gives_back)
		atomic_store(&r->has_deleted, true);
	atomic_fetch_add(&r->deleted_rows, ((struct rocks_batch *)batch)->deleted_rows);
	if (!fault)
		return 0;
	struct error cause;
	rocks_fail(&cause, "writing", r->path, fault);
	if (cause.code == ENOSPC)
		rocks_drop_ballast(r);
	return error_set(why, cause.code, "%s", cause.text);
}

static void rocks_compact_family(struct rocks_engine *r, enum engine_family family)
{
	rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();
	rocksdb_compactoptions_set_exclusive_manual_compaction(o, 0);
	rocksdb_compactoptions_set_bottommost_level_compaction(o, COMPACT_FORCE);
	rocksdb_compact_range_cf_opt(r->db, r->families[family], o, NULL, 0, NULL, 0);
	rocksdb_compactoptions_destroy(o);
}

static int rocks_set_blob_cutoff(struct rocks_engine *r, const char *share, struct error *why)
{
	const char *const names[] = {"blob_garbage_collection_age_cutoff"};
	const char *const values[] = {share};
	char *fault = NULL;
	rocksdb_set_options_cf(r->db, r->families[ENGINE_BLOBS], 1, names, values, &fault);
	return fault ? rocks_fail(why, "setting up", r->path, fault) : 0;
}

static bool rocks_blobs_have_garbage(struct rocks_engine *r)
{
	uint64_t all = 0, garbage = 0;
	rocksdb_property_int_cf(r->db, r->families[ENGINE_BLOBS], "rocksdb.live-blob-file-size", &all);
	rocksdb_property_int_cf(r->db, r->families[ENGINE_BLOBS], "rocksdb.live-blob-file-garbage-size", &garbage);
	return all > 0 && garbage / (all / 100 + 1) >= GARBAGE_PERCENT_LEAST;
}

/* Rows are a small part of the bytes, and are all written anew: only where many of them are gone is it worth that. */
static bool rocks_rows_have_garbage(struct rocks_engine *r)
{
	uint64_t all = 0;
	rocksdb_property_int_cf(r->db, r->families[ENGINE_ROWS], "rocksdb.estimate-num-keys", &all);
	return atomic_load(&r->deleted_rows) >= all / 100 * GARBAGE_PERCENT_LEAST;
}

/* The first pass over the blobs' keys is cheap and tells how much of the blob files is garbage; only where that is worth
 * it are the files themselves rewritten. */
static int rocks_compact(struct engine *e, struct error *why)
{
	struct rocks_engine *r = rocks_of(e);
	char *fault = NULL;
	if (!atomic_exchange(&r->has_deleted, false))
		return 0; /* all that is written would be written again, for nothing */
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(o, 1);
	for (size_t i = 0; i < ENGINE_FAMILIES && !fault; i++)
		rocksdb_flush_cf(r->db, o, r->families[i], &fault);
	rocksdb_flushoptions_destroy(o);
	if (fault)
		return rocks_fail(why, "flushing", r->path, fault);

	if (rocks_rows_have_garbage(r)) {
		atomic_store(&r->deleted_rows, 0);
		rocks_compact_family(r, ENGINE_ROWS);
	}
	rocks_compact_family(r, ENGINE_BLOBS);
	if (!rocks_blobs_have_garbage(r))
		return 0;
	if (rocks_set_blob_cutoff(r, "1.0", why) != 0)
		return -1;
	rocks_compact_family(r, ENGINE_BLOBS);
	return rocks_set_blob_cutoff(r, "0.25", why);
}

/* The library flushes what is in memory, links the files that never change, and copies the start of those that grow. */
static int rocks_checkpoint(struct engine *e, const char *path, struct error *why)
{
	struct rocks_engine *r = rocks_of(e);
	char *fault = NULL;
	rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(r->db, &fault);
	if (fault)
		return rocks_fail(why, "making a checkpoint of", r->path, fault);
	rocksdb_checkpoint_create(checkpoint, path, 0, &fault);
	rocksdb_checkpoint_object_destroy(checkpoint);
	return fault ? rocks_fail(why, "making", path, fault) : 0;
}

static const struct engine_calls rocks_calls = {
	.close = rocks_close,
	.get = rocks_get,
	.scan_open = rocks_scan_open,
	.scan_seek = rocks_scan_seek,
	.scan_next = rocks_scan_next,
	.scan_close = rocks_scan_close,
	.batch_new = rocks_batch_new,
	.batch_free = rocks_batch_free,
	.batch_clear = rocks_batch_clear,
	.batch_put = rocks_batch_put,
	.batch_delete = rocks_batch_delete,
	.batch_delete_range = rocks_batch_delete_range,
	.commit = rocks_commit,
	.compact = rocks_compact,
	.checkpoint = rocks_checkpoint,
	.has_room = rocks_has_room,
};

enum opening { OPEN_TO_WRITE, OPEN_TO_READ };

static int rocks_open_db(struct rocks_engine *r, enum opening how, struct error *why)
{
	static const char *const names[ENGINE_FAMILIES] = {"default", "blobs"};
	const rocksdb_options_t *options[ENGINE_FAMILIES] = {r->options[ENGINE_ROWS], r->options[ENGINE_BLOBS]};
	char *fault = NULL;
	if (how == OPEN_TO_WRITE)
		r->db = rocksdb_open_column_families(r->options[ENGINE_ROWS], r->path, ENGINE_FAMILIES, names, options, r->families, &fault);
	else
		r->db = rocksdb_open_for_read_only_column_families(r->options[ENGINE_ROWS], r->path, ENGINE_FAMILIES, names, options, r->families, 0,
		                                                   &fault);
	if (!fault)
		return 0;
	r->db = NULL;
	memset(r->families, 0, sizeof r->families);
	return rocks_fail(why, "opening", r->path, fault);
}

static struct rocks_engine *rocks_new(const char *path)
{
	struct rocks_engine *r = xcalloc(1, sizeof *r);
	r->engine.calls = &rocks_calls;
	r->path = xstrdup(path);
	pthread_mutex_init(&r->room_lock, NULL);
	rocks_configure(r);
	atomic_init(&r->has_deleted, true); /* nobody knows what was before */
	return r;
}

/* -1 with *why if there is a file of rows that the list does not name. A list that has lost its end opens in silence, with what there was once. */
static int rocks_check_list(struct rocks_engine *r, struct error *why)
{
	const rocksdb_livefiles_t *live = rocksdb_livefiles(r->db);
	DIR *folder = opendir(r->path);
	int result = 0;
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		bool is_known = !span_ends_with(span_cstr(entry->d_name), SPAN(".sst"));
		for (int i = 0; !is_known && i < rocksdb_livefiles_count(live); i++)
			is_known = span_ends_with(span_cstr(rocksdb_livefiles_name(live, i)), span_cstr(entry->d_name));
		if (!is_known)
			result = error_set(why, EBADMSG, "the list of the files of %s does not name %s", r->path, entry->d_name);
	}
	if (folder)
		closedir(folder);
	rocksdb_livefiles_destroy(live);
	return result;
}

struct engine *engine_open_rocksdb_to_read(const char *path, bool is_damaged, struct error *why)
{
	struct rocks_engine *r = rocks_new(path);
	for (size_t i = 0; i < ENGINE_FAMILIES && is_damaged; i++) {
		rocksdb_options_set_paranoid_checks(r->options[i], 0);
		rocksdb_options_set_wal_recovery_mode(r->options[i], rocksdb_skip_any_corrupted_records_recovery);
	}
	if (rocks_open_db(r, OPEN_TO_READ, why) == 0 && (!is_damaged || rocks_check_list(r, why) == 0))
		return &r->engine;
	rocks_close(&r->engine);
	return NULL;
}

int engine_read_blob_files(struct engine *e, const char *folder, struct buf *skipped, struct error *why)
{
	struct rocks_engine *r = rocks_of(e);
	if (!r->blob_files)
		r->blob_files = blob_files_open(folder, skipped, why);
	return r->blob_files ? 0 : -1;
}

static struct blob_id rocks_blob_of(struct span key)
{
	struct blob_id id = {{0}};
	memcpy(id.bytes, key.ptr, key.len < sizeof id.bytes ? key.len : sizeof id.bytes); /* behind it is the piece's number: store/engine/engine.c */
	return id;
}

/* From `at` on as far as the library goes: it stops where the value stands in a file that it does not know. Leaves in *at where it stopped. */
static bool rocks_walk_blobs(rocksdb_iterator_t *iterator, struct buf *at, void (*each)(void *context, struct blob_id id), void *context)
{
	char *fault = NULL;
	for (rocksdb_iter_seek(iterator, at->ptr, at->len); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		struct span key;
		key.ptr = rocksdb_iter_key(iterator, &key.len);
		each(context, rocks_blob_of(key));
		buf_clear(at);
		buf_add(at, key);
	}
	rocksdb_iter_get_error(iterator, &fault);
	rocksdb_free(fault);
	return fault == NULL;
}

/* Where it stops the key is one that the files have, if it is anywhere: behind that it goes on. */
void engine_walk_blobs(struct engine *e, void (*each)(void *context, struct blob_id id), void *context)
{
	struct rocks_engine *r = rocks_of(e);
	BUF_AUTO at = {0};
	rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(r->db, r->read, r->families[ENGINE_BLOBS]);
	struct span next = {0};
	while (!rocks_walk_blobs(iterator, &at, each, context) && r->blob_files && (next = blob_files_next(r->blob_files, buf_span(&at))).len) {
		buf_clear(&at);
		buf_add(&at, next);
		buf_add_char(&at, 0);
	}
	rocksdb_iter_destroy(iterator);
	for (next = (struct span){0}; r->blob_files && (next = blob_files_next(r->blob_files, next)).len;)
		each(context, rocks_blob_of(next));
}

int engine_repair_rocksdb(const char *path, struct error *why)
{
	struct rocks_engine *r = rocks_new(path);
	char *fault = NULL;
	rocksdb_repair_db(r->options[ENGINE_BLOBS], path, &fault);
	int result = fault ? rocks_fail(why, "repairing", path, fault) : 0;
	if (result == 0 && rocks_open_db(r, OPEN_TO_READ, NULL))
		result = rocks_open_db(r, OPEN_TO_WRITE, why); /* makes a family again that had no files, and so was forgotten */
	rocks_close(&r->engine);
	return result;
}

struct engine *engine_open_rocksdb(const char *path, struct error *why)
{
	struct rocks_engine *r = rocks_new(path);
	struct error cause = {0};
	int result = rocks_open_db(r, OPEN_TO_WRITE, &cause);
	if (result != 0 && cause.code == ENOSPC) {
		ballast_drop(path); /* the log of a crash on a full disk must be written to files before it can go */
		result = rocks_open_db(r, OPEN_TO_WRITE, &cause);
	}
	if (result != 0) {
		error_set(why, cause.code, "%s", cause.text);
		rocks_close(&r->engine);
		return NULL;
	}
	r->has_room = true; /* a full disk is worth a line at the start too */
	rocks_has_room(&r->engine);
	return &r->engine;
}
