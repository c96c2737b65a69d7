/* What a reader has seen, where it cannot be read: it is unread to him, and it stays on the disk as it is. */
#include "store/mailbox/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/words.h"
#include "store/batch_test.h"
#include "store/engine/faulty_test.h"

enum { READER = 9, SECOND_BLOCK = 4096 };

struct place {
	struct worker worker;
	struct account account;
	struct mailbox mailbox;
};

/* The mailbox as after a start. */
static void open_place(struct place *p, struct engine *e)
{
	*p = (struct place){.worker.engine = e, .account = {.id = 7, .partition = "a0000000000000007"},
	                    .mailbox = {.id = 3, .name = "INBOX", .messages = 5}};
	p->account.worker = &p->worker;
	p->mailbox.account = &p->account;
}

static void close_place(struct place *p)
{
	if (!batch_is_empty(&p->account.batch))
		write_batch(p->worker.engine, &p->account.batch);
	seen_forget(&p->mailbox);
}

static bool is_seen(struct place *p, uint32_t uid)
{
	return seen_flags(&p->mailbox, READER, &(struct row){.uid = uid}) & FLAG_SEEN;
}

static void remove_message(struct place *p, uint32_t uid)
{
	BUF_AUTO ranges = {0};
	ranges_add(&ranges, uid);
	seen_removed(&p->mailbox, buf_span(&ranges));
}

/* 1, 2 and one of the second block. */
static struct engine *engine_with_some_seen(void)
{
	struct engine *e = engine_open_faulty();
	struct place p;
	open_place(&p, e);
	assert_true(seen_set(&p.mailbox, READER, 1, true));
	assert_true(seen_set(&p.mailbox, READER, 2, true));
	assert_true(seen_set(&p.mailbox, READER, SECOND_BLOCK, true));
	seen_flush(&p.mailbox, READER);
	close_place(&p);
	return e;
}

static void what_is_written_is_there(void **state)
{
	(void)state;
	struct engine *e = engine_with_some_seen();
	struct place p;
	open_place(&p, e);
	assert_true(is_seen(&p, 1) && is_seen(&p, 2) && is_seen(&p, SECOND_BLOCK) && !is_seen(&p, 3));
	assert_int_equal(seen_unseen(&p.mailbox, READER), 2);
	remove_message(&p, 2);
	close_place(&p);
	open_place(&p, e);
	assert_true(is_seen(&p, 1) && !is_seen(&p, 2));
	close_place(&p);
	engine_close(e);
}

static void what_could_not_be_read_is_not_written_over(void **state)
{
	(void)state;
	struct engine *e = engine_with_some_seen();
	struct place p;
	open_place(&p, e);
	faulty.is_failing = true;
	assert_false(is_seen(&p, 1));
	assert_false(seen_set(&p.mailbox, READER, 3, true));
	assert_false(is_seen(&p, 3));
	seen_flush(&p.mailbox, READER);
	remove_message(&p, 1);
	assert_true(batch_is_empty(&p.account.batch));
	close_place(&p);
	faulty.is_failing = false;
	open_place(&p, e);
	assert_true(is_seen(&p, 1) && is_seen(&p, 2) && is_seen(&p, SECOND_BLOCK) && !is_seen(&p, 3));
	close_place(&p);
	engine_close(e);
}

/* Makes the value of a block shorter by a byte, or longer. */
static void resize_block(struct engine *e, const char *partition, int by)
{
	struct batch b = {0};
	BUF_AUTO key = {0}, value = {0};
	buf_add(&key, span_of("z\0\0\0\3\0\0\0\0\0\0\0\t\0\0\0\0", 17));
	assert_int_equal(engine_get(e, span_cstr(partition), buf_span(&key), &value, NULL), 1);
	if (by > 0)
		buf_add_char(&value, 0);
	batch_put(&b, span_cstr(partition), buf_span(&key), span_slice(buf_span(&value), 0, by < 0 ? value.len - 1 : value.len));
	write_batch(e, &b);
}

static void a_damaged_block_stays_and_the_others_are_good(void **state)
{
	(void)state;
	struct engine *e = engine_with_some_seen();
	struct place p;
	open_place(&p, e);
	resize_block(e, p.account.partition, -1);
	assert_false(is_seen(&p, 1));
	assert_true(is_seen(&p, SECOND_BLOCK));
	assert_false(seen_set(&p.mailbox, READER, 3, true));
	assert_true(seen_set(&p.mailbox, READER, SECOND_BLOCK + 1, true));
	seen_flush(&p.mailbox, READER);
	remove_message(&p, 2);
	close_place(&p);
	resize_block(e, p.account.partition, 1);
	open_place(&p, e);
	assert_true(is_seen(&p, 1) && is_seen(&p, 2) && !is_seen(&p, 3));
	assert_true(is_seen(&p, SECOND_BLOCK) && is_seen(&p, SECOND_BLOCK + 1));
	close_place(&p);
	engine_close(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_there),
		cmocka_unit_test(what_could_not_be_read_is_not_written_over),
		cmocka_unit_test(a_damaged_block_stays_and_the_others_are_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
