/* The index on the disk is the index in memory, after whatever was done to it. */
#include "store/mailbox/index.h"

#include "base/random.h"
#include "ipc/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/batch_test.h"

enum { MAILBOX = 3 };
#define PARTITION SPAN("a1")

static void assert_same_on_disk(struct engine *e, const struct index *x)
{
	struct index y = {0};
	struct error why = {0};
	assert_int_equal(index_load(&y, e, PARTITION, MAILBOX, x->tail_first, &why), 0);
	assert_int_equal(y.count, x->count);
	for (size_t i = 0; i < x->count; i++) {
		const struct row *a = &x->rows[i], *b = &y.rows[i];
		assert_true(a->uid == b->uid && a->size == b->size && a->flags == b->flags && a->keywords == b->keywords &&
		            a->modseq == b->modseq && a->internaldate_ms == b->internaldate_ms && id128_equal(a->blob, b->blob));
	}
	index_free(&y);
}

static void append(struct index *x, struct batch *b, uint32_t uid)
{
	struct row r = {.uid = uid, .size = uid * 3, .internaldate_ms = uid * 1000ull, .modseq = uid, .blob = id128_new(), .flags = 0};
	index_append(x, &r, b, PARTITION, MAILBOX);
}

static void appended_rows_are_folded_and_found(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct index x = {.tail_first = 1};
	for (uint32_t uid = 1; uid <= 1000; uid++) {
		struct batch b = {0};
		append(&x, &b, uid);
		write_batch(e, &b);
		if (uid % 37 == 0)
			assert_same_on_disk(e, &x);
	}
	assert_true(x.count == 1000 && x.count - index_lower(&x, x.tail_first) <= TAIL_ROWS_MOST);
	for (uint32_t uid = 1; uid <= 1000; uid++)
		assert_int_equal(index_find(&x, uid)->uid, uid);
	assert_null(index_find(&x, 1001));
	index_free(&x);
	engine_close(e);
}

/* Random appends (with gaps), flag changes and removals; the disk is compared after each. */
static void any_history_leaves_disk_and_memory_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct engine *e = engine_open_memory();
		struct index x = {.tail_first = 1};
		uint32_t next = 1;
		random_seed_for_tests(seed);
		for (int step = 0; step < 120; step++) {
			struct batch b = {0};
			uint64_t what = random_below(10);
			if (what < 6) {
				for (uint64_t n = random_below(60); n; n--) {
					next += (uint32_t)random_below(10) == 0 ? 100 : 1;
					append(&x, &b, next);
				}
			} else if (what < 8) {
				for (size_t at = 0; at < x.count; at += 1 + random_below(20)) {
					x.rows[at].flags ^= 1;
					x.rows[at].modseq = 5000 + (uint64_t)step;
					index_changed(&x, &x.rows[at], &b, PARTITION, MAILBOX);
				}
				index_flush(&x, &b, PARTITION, MAILBOX);
			} else {
				BUF_AUTO gone = {0};
				for (size_t at = 0; at < x.count; at += 1 + random_below(9))
					ranges_add(&gone, x.rows[at].uid);
				index_remove(&x, buf_span(&gone), &b, PARTITION, MAILBOX);
			}
			write_batch(e, &b);
			assert_same_on_disk(e, &x);
		}
		index_free(&x);
		engine_close(e);
	}
	random_seed_for_tests(0);
}

static void a_damaged_segment_is_an_error(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct index x = {.tail_first = 1}, y = {0};
	struct error why = {0};
	BUF_AUTO key = {0};
	struct batch b = {0};
	for (uint32_t uid = 1; uid <= 40; uid++)
		append(&x, &b, uid);
	index_key(&key, 'h', MAILBOX, 0);
	batch_put(&b, PARTITION, buf_span(&key), SPAN("\x01short"));
	write_batch(e, &b);
	assert_int_equal(index_load(&y, e, PARTITION, MAILBOX, x.tail_first, &why), -1);
	index_free(&x);
	index_free(&y);
	engine_close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_rows_are_folded_and_found),
		cmocka_unit_test(any_history_leaves_disk_and_memory_the_same),
		cmocka_unit_test(a_damaged_segment_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
