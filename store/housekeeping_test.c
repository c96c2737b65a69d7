/* Housekeeping gives up what was deleted once, also where two rounds meet. */
#include "store/housekeeping.h"

#include "base/clock.h"
#include "base/die.h"
#include "ipc/words.h"
#include "store/directory/directory.h"
#include "store/mailbox/account.h"
#include "store/outbox.h"
#include "store/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/batch_test.h"
#include "store/engine/faulty_test.h"

enum { ACCOUNT = 7, GRACE_S = 60 };

static struct store store;
static const struct id128 blob = {{1, 2, 3}};

static void open_store(void)
{
	struct batch b = {0};
	store = (struct store){.engine = engine_open_faulty(), .loop = loop_new(), .undelete_grace_s = GRACE_S};
	store.committer = committer_new(store.engine, outbox_say, &store);
	store.usages = usages_new();
	outbox_open(&store);
	store.worker_count = 1;
	store.workers[0] = worker_new(&store, 0);
	directory_put_account(&b, SPAN("u@example.org"), ACCOUNT, SPAN("hash"), SPAN(""));
	write_batch(store.engine, &b);
}

static void stop(void *context)
{
	loop_stop(context);
}

/* Runs it on the account's worker, until what it has changed is on the disk. */
static void on_worker(void (*run)(struct worker *w, struct job *j))
{
	struct job j = {.run = run};
	worker_post(store.workers[0], &j);
	loop_run(store.loop);
	loop_rearm(store.loop);
}

/* A message in two mailboxes is deleted in one. */
static void fill(struct worker *w, struct job *j)
{
	struct account *a = account_get(w, ACCOUNT, NULL);
	BUF_AUTO ranges = {0};
	struct row row = {.size = 5, .blob = blob}, copy = row;
	struct blob_head head = {.received = 5};
	(void)j;
	blob_head_put(&a->batch, blob, &head);
	batch_blob_put(&a->batch, blob, 0, SPAN("bytes"));
	mailbox_append(mailbox_find(a, SPAN("INBOX")), &row);
	account_blob_added(a, blob, false);
	mailbox_append(mailbox_find(a, SPAN("Archive")), &copy);
	ranges_add(&ranges, row.uid);
	mailbox_remove(mailbox_find(a, SPAN("INBOX")), buf_span(&ranges), false);
	account_call_loop(a, stop, store.loop);
	account_settle(a);
}

static void erase(struct worker *w, struct job *j)
{
	struct account *a = account_get(w, ACCOUNT, NULL);
	(void)j;
	account_erase(a);
	worker_say(w, parcel_to_call(stop, store.loop));
}

static void let_go(struct worker *w, struct job *j)
{
	(void)w, (void)j;
	faulty_hold(false);
}

struct rounds {
	unsigned count;
	size_t purged;
};

static void on_round(void *context, const struct housekeeping_report *report)
{
	struct rounds *r = context;
	r->purged += report->purged;
	if (++r->count == 2)
		loop_stop(store.loop);
}

static bool has_bytes(void)
{
	BUF_AUTO bytes = {0};
	struct blob_id id;
	memcpy(id.bytes, blob.bytes, sizeof id.bytes);
	return engine_blob_get(store.engine, id, 0, &bytes, NULL) > 0;
}

static void a_round_that_meets_another_gives_up_nothing_twice(void **state)
{
	struct rounds rounds = {0};
	struct job last = {.run = let_go};
	(void)state;
	open_store();
	on_worker(fill);
	clock_shift_wall_for_tests(2 * GRACE_S * 1000);
	/* both look before the disk has heard of what the first one does */
	faulty_hold(true);
	housekeeping_run(&store, on_round, &rounds);
	housekeeping_run(&store, on_round, &rounds);
	worker_post(store.workers[0], &last);
	loop_run(store.loop);
	loop_rearm(store.loop);
	clock_shift_wall_for_tests(0);
	assert_int_equal(rounds.purged, 1);
	assert_true(has_bytes()); /* of the other mailbox's message */
	on_worker(erase);
	worker_stop(store.workers[0]);
	committer_free(store.committer);
	engine_close(store.engine);
	loop_free(store.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_that_meets_another_gives_up_nothing_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
