/* Who has a right in an account finds it, and nobody else for long; whatever a crash leaves. */
#include "store/mailbox/acl.h"

#include "store/directory/directory.h"
#include "store/directory/shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/batch_test.h"

enum { OWNER = 7, BOB = 8, EVE = 9 };

struct scene {
	struct store store;
	struct worker worker;
	struct account account;
	struct mailbox mailboxes[2], *list[2];
};

static void say_nothing(void *context, struct parcel_list *said)
{
	(void)context, (void)said;
}

static void begin_committer(struct scene *s)
{
	s->worker.committer = s->store.committer = committer_new(s->store.engine, say_nothing, NULL);
}

/* What was submitted is on the disk then; what is in the account's batch is not. */
static void write_submitted(struct scene *s)
{
	committer_free(s->store.committer);
	begin_committer(s);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof *s);
	struct batch b = {0};
	s->store.engine = s->worker.engine = engine_open_memory();
	s->worker.store = &s->store;
	begin_committer(s);
	directory_put_account(&b, SPAN("ann@example.test"), OWNER, SPAN(""), SPAN(""));
	write_batch(s->store.engine, &b);
	s->account = (struct account){.worker = &s->worker, .id = OWNER, .partition = "a0000000000000007", .mailboxes = s->list, .mailbox_count = 2};
	for (uint32_t i = 0; i < 2; i++) {
		s->mailboxes[i] = (struct mailbox){.account = &s->account, .id = i + 1};
		s->list[i] = &s->mailboxes[i];
	}
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	for (size_t i = 0; i < 2; i++)
		acl_forget(&s->mailboxes[i]);
	batch_free(&s->account.batch);
	buf_free(&s->account.dropped_readers);
	committer_free(s->store.committer);
	engine_close(s->store.engine);
	free(s);
	return 0;
}

/* `domain` is the reader's. */
static bool finds(struct scene *s, uint64_t reader, const char *domain)
{
	return shares_have(&s->store, reader, span_cstr(domain), OWNER);
}

/* As an operation does it: first what acl_change submits by itself, then the account's batch, then acl_settle. Returns who finds the account after each: 1 if
 * the reader does after the first, 2 after the second, 4 after the third. */
static unsigned change(struct scene *s, size_t mailbox, const char *identifier, uint64_t identity, enum acl_change what, unsigned rights, uint64_t reader)
{
	assert_true(acl_change(&s->mailboxes[mailbox], span_cstr(identifier), identity, what, rights));
	write_submitted(s);
	unsigned found = finds(s, reader, "example.test");
	write_batch(s->store.engine, &s->account.batch);
	found |= finds(s, reader, "example.test") << 1;
	acl_settle(&s->account);
	write_submitted(s);
	return found | finds(s, reader, "example.test") << 2;
}

static void the_row_comes_before_the_first_entry_and_goes_after_the_last(void **state)
{
	struct scene *s = *state;
	assert_int_equal(change(s, 0, "bob@example.test", BOB, ACL_SET, RIGHT_READ, BOB), 7);
	assert_int_equal(change(s, 1, "bob@example.test", BOB, ACL_ADD, RIGHT_READ, BOB), 7);
	assert_int_equal(change(s, 0, "bob@example.test", BOB, ACL_DELETE, 0, BOB), 7);
	assert_int_equal(change(s, 1, "bob@example.test", BOB, ACL_REMOVE, RIGHT_READ, BOB), 3);
	assert_int_equal(change(s, 1, "bob@example.test", BOB, ACL_SET, RIGHT_READ, BOB), 7);
	assert_int_equal(change(s, 1, "bob@example.test", BOB, ACL_SET, 0, BOB), 3);
	assert_int_equal(change(s, 1, "bob@example.test", EVE, ACL_SET, RIGHT_READ, BOB), 0); /* who has the address now */
	assert_true(finds(s, EVE, "far.test"));
	assert_int_equal(change(s, 1, "bob@example.test", BOB, ACL_SET, RIGHT_READ, EVE), 3);
}

static void what_gives_no_right_makes_no_row(void **state)
{
	struct scene *s = *state;
	assert_int_equal(change(s, 0, "-bob@example.test", BOB, ACL_SET, RIGHT_READ, BOB), 0);
	assert_int_equal(change(s, 0, "bob@example.test", BOB, ACL_SET, 0, BOB), 0);
	assert_int_equal(change(s, 0, "bob@example.test", BOB, ACL_REMOVE, RIGHT_READ, BOB), 0);
	assert_int_equal(change(s, 0, "eve@example.test", EVE, ACL_DELETE, 0, EVE), 0);
}

static void anyone_is_the_owner_s_domain(void **state)
{
	struct scene *s = *state;
	assert_int_equal(change(s, 0, "anyone", ACL_ANYONE, ACL_SET, RIGHT_READ, BOB), 7);
	assert_false(finds(s, BOB, "far.test"));
	acl_dropped(&s->mailboxes[0]); /* its mailbox goes */
	acl_forget(&s->mailboxes[0]);
	acl_settle(&s->account);
	write_submitted(s);
	assert_false(finds(s, BOB, "example.test"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_row_comes_before_the_first_entry_and_goes_after_the_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_gives_no_right_makes_no_row, set_up, tear_down),
		cmocka_unit_test_setup_teardown(anyone_is_the_owner_s_domain, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
