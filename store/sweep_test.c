/* The sweep deletes what nobody names, and nothing else; old trace records go and young ones stay. */
#include "store/sweep.h"

#include "base/pack.h"
#include "base/clock.h"
#include "store/blob.h"
#include "store/queue/message.h"
#include "store/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/batch_test.h"

static void say_nothing(void *context, struct parcel_list *said)
{
	(void)context, (void)said;
}

static void open_store(struct store *s)
{
	*s = (struct store){.engine = engine_open_memory()};
	s->committer = committer_new(s->engine, say_nothing, NULL);
	sweep_prepare(s);
}

/* After everything that was submitted has been written. */
static void end_committer(struct store *s)
{
	committer_free(s->committer);
	s->committer = NULL;
}

/* An id as it was made so long ago. */
static struct id128 made(int64_t ago_ms, char last)
{
	struct id128 id = {0};
	uint64_t ms = (uint64_t)(clock_wall_ms() - ago_ms);
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
	id.bytes[15] = (unsigned char)last;
	return id;
}

/* A blob that was written for several accounts. */
static void share(struct store *s, struct id128 blob)
{
	struct batch b = {0};
	BUF_AUTO key = {0}, value = {0};
	struct blob_head head = {.received = 70000};
	batch_blob_put(&b, blob, 1, SPAN("first"));
	batch_blob_put(&b, blob, 2, SPAN("second"));
	blob_head_put(&b, blob, &head);
	queue_key(&key, 's', blob);
	pack_u64(&value, head.received);
	batch_put(&b, QUEUE_PARTITION, buf_span(&key), buf_span(&value));
	write_batch(s->engine, &b);
}

static void name_in_account(struct store *s, const char *partition, struct id128 blob)
{
	struct batch b = {0};
	BUF_AUTO key = {0};
	queue_key(&key, 'b', blob);
	batch_put(&b, span_cstr(partition), buf_span(&key), SPAN("count"));
	write_batch(s->engine, &b);
}

static bool is_there(struct store *s, struct id128 blob)
{
	BUF_AUTO bytes = {0};
	struct blob_id id;
	bool is_first = true;
	memcpy(id.bytes, blob.bytes, sizeof id.bytes);
	for (uint32_t piece = 0; piece < 3; piece++) {
		bool found = engine_blob_get(s->engine, id, piece, &bytes, NULL) > 0;
		if (piece == 0)
			is_first = found;
		assert_true(found == is_first); /* all of its pieces, or none */
	}
	return is_first;
}

static void shared_blobs_go_when_nobody_names_them(void **state)
{
	(void)state;
	enum { DAY = 24 * 3600 * 1000 };
	struct store s;
	struct map in_use = {0};
	open_store(&s);
	struct id128 unnamed = made(DAY, 1), named = made(DAY, 2), on_its_way = made(DAY, 3), young = made(1000, 4), single = made(DAY, 5), moving = made(DAY, 6);
	share(&s, unnamed);
	share(&s, named);
	share(&s, on_its_way);
	share(&s, young);
	share(&s, moving);
	sweep_spare(&s, moving); /* from one account to another */
	struct batch b = {0};
	batch_blob_put(&b, single, 0, SPAN("of one account"));
	write_batch(s.engine, &b);
	name_in_account(&s, "a0000000000000007", named);
	map_put(&in_use, id128_hash(on_its_way), &s);
	sweep_blobs(&s, &in_use);
	end_committer(&s);
	assert_false(is_there(&s, unnamed));
	assert_true(is_there(&s, named));
	assert_true(is_there(&s, on_its_way));
	assert_true(is_there(&s, young));
	assert_true(is_there(&s, moving));
	BUF_AUTO bytes = {0};
	struct blob_id id;
	memcpy(id.bytes, single.bytes, sizeof id.bytes);
	assert_int_equal(engine_blob_get(s.engine, id, 0, &bytes, NULL), 1);
	map_free(&in_use);
	sweep_end(&s);
	engine_close(s.engine);
}

/* What such a record names is not known: nothing goes. */
static void with_a_damaged_record_in_the_queue_all_blobs_stay(void **state)
{
	(void)state;
	enum { DAY = 24 * 3600 * 1000 };
	struct store s;
	struct map in_use = {0};
	struct batch b = {0};
	BUF_AUTO key = {0};
	open_store(&s);
	struct id128 unnamed = made(DAY, 1);
	share(&s, unnamed);
	queue_key(&key, 'r', made(DAY, 2));
	batch_put(&b, QUEUE_PARTITION, buf_span(&key), SPAN("no record"));
	write_batch(s.engine, &b);
	sweep_blobs(&s, &in_use);
	end_committer(&s);
	assert_true(is_there(&s, unnamed));
	map_free(&in_use);
	sweep_end(&s);
	engine_close(s.engine);
}

static void put_trace(struct store *s, const char *partition, struct id128 id)
{
	struct batch b = {0};
	BUF_AUTO key = {0};
	queue_key(&key, 'd', id);
	batch_put(&b, span_cstr(partition), buf_span(&key), SPAN("record"));
	trace_event(&b, span_cstr(partition), id, SPAN("deferred"));
	write_batch(s->engine, &b);
}

static int count_keys(struct store *s, const char *partition)
{
	struct engine_scan *scan = engine_scan_open(s->engine, span_cstr(partition), SPAN(""), SPAN(""));
	struct span key, value;
	int count = 0;
	while (engine_scan_next(scan, &key, &value, NULL) > 0)
		count++;
	engine_scan_close(scan);
	return count;
}

static void traces_go_when_they_are_old(void **state)
{
	(void)state;
	struct store s;
	open_store(&s);
	put_trace(&s, "a0000000000000001", made(5000, 1));
	put_trace(&s, "a0000000000000001", made(1000, 2));
	put_trace(&s, "q0", made(5000, 3));
	put_trace(&s, "dir", made(5000, 4)); /* no partition that has traces: these are other rows */
	trace_sweep(&s, (uint64_t)clock_wall_ms() - 3000);
	end_committer(&s);
	assert_int_equal(count_keys(&s, "a0000000000000001"), 2);
	assert_int_equal(count_keys(&s, "q0"), 0);
	assert_int_equal(count_keys(&s, "dir"), 2);
	sweep_end(&s);
	engine_close(s.engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_blobs_go_when_nobody_names_them),
		cmocka_unit_test(with_a_damaged_record_in_the_queue_all_blobs_stay),
		cmocka_unit_test(traces_go_when_they_are_old),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
