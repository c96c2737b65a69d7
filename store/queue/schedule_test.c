/* Which job a relay is given next, and when. */
#include "store/queue/schedule.h"

#include "base/clock.h"
#include "base/die.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A queue whose only relay is a socket: what is said to it stays in the channel's buffer, since the loop does not run. */
struct scene {
	struct store store;
	struct queue queue;
	struct store_peer *relay;
	int other_end;
	struct queued *messages[1200];
	size_t message_count;
};

static void nothing(void *context, bool is_violation)
{
	(void)context, (void)is_violation;
}

static int set_scene(void **state)
{
	static const struct relay_to_store handlers;
	struct scene *c = xcalloc(1, sizeof *c);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	c->other_end = pair[1];
	c->store.loop = loop_new();
	c->store.queue = &c->queue;
	c->queue.store = &c->store;
	c->relay = &c->store.peers[0];
	*c->relay = (struct store_peer){.store = &c->store, .role = ROLE_RELAY, .id = 1};
	struct channel_use use = {relay_to_store_dispatch, &handlers, c->relay, nothing, "relay"};
	c->relay->channel = channel_new(c->store.loop, pair[0], &use);
	schedule_open(&c->queue);
	*state = c;
	return 0;
}

/* Nothing is kept of a domain and a sender without a job. */
static void forget_domains(struct domains *d)
{
	assert_int_equal(d->by_hash.count + d->lines.count + d->senders.count + d->ready_count, 0);
	map_free(&d->by_hash);
	map_free(&d->lines);
	map_free(&d->senders);
}

static int clear_scene(void **state)
{
	struct scene *c = *state;
	struct relay_job *j;
	for (size_t at = 0; (j = map_next(&c->queue.jobs, &at));) {
		domains_end_job(&c->queue.domains, j);
		schedule_settled(&c->store, j);
	}
	while ((j = domains_take_job(&c->queue.domains))) {
		domains_end_job(&c->queue.domains, j);
		schedule_settled(&c->store, j);
	}
	forget_domains(&c->queue.domains);
	map_free(&c->queue.jobs);
	for (size_t i = 0; i < c->message_count; i++) {
		schedule_settled(&c->store, c->messages[i]->ended);
		queued_free(c->messages[i]);
	}
	free(c->queue.due.list);
	timer_free(c->queue.timer);
	channel_free(c->relay->channel);
	loop_free(c->store.loop);
	close(c->other_end);
	free(c);
	return 0;
}

static struct queued *new_message(struct scene *c, const char *recipient)
{
	struct queued *m = c->messages[c->message_count++] = queued_new(&c->queue, id128_new());
	m->reverse_path = xstrdup("u@here.test");
	m->recipients = xcalloc(1, sizeof *m->recipients);
	m->recipient_count = 1;
	m->recipients[0].address = xstrdup(recipient);
	return m;
}

static void queue_one(struct scene *c, const char *recipient)
{
	schedule_jobs(new_message(c, recipient), 0);
}

/* The next hops of the jobs that the relay has been given since the last call, in order: "a.test b.test ". */
static const char *given(struct scene *c, struct buf *out)
{
	struct buf *frames = channel_out(c->relay->channel);
	struct span rest = buf_span(frames);
	struct frame frame;
	ssize_t n;
	buf_clear(out);
	while ((n = frame_parse(rest, &frame)) > 0) {
		struct msg_job m;
		if (frame.type == MSG_JOB) {
			assert_int_equal(msg_job_unpack(frame.payload, &m), 0);
			buf_printf(out, "%.*s ", SPAN_ARG(m.next_hop));
		}
		rest = span_skip(rest, (size_t)n);
	}
	assert_int_equal(n, 0);
	buf_clear(frames);
	return buf_cstr(out);
}

/* One transaction has one next hop and one sender; the order of the recipients is kept. */
static void recipients_share_a_job_where_they_can(void **state)
{
	static const struct { const char *address, *via; } list[] = {
		{"1@a.test", NULL}, {"2@b.test", NULL}, {"3@A.test", NULL}, {"4@a.test", "us.test"}, {"5@b.test", ""}, {"6@longer.test", NULL}, {"7@a.test", NULL}};
	struct scene *c = *state;
	struct queued *m = new_message(c, "0@a.test");
	size_t count = sizeof list / sizeof list[0] + 3 * JOB_RECIPIENTS_MOST;
	m->reverse_path[0] = '\0'; /* never rewritten */
	free(m->recipients[0].address);
	free(m->recipients);
	m->recipients = xcalloc(count, sizeof *m->recipients);
	m->recipient_count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		bool is_listed = i < sizeof list / sizeof list[0];
		m->recipients[i].address = xstrdup(is_listed ? list[i].address : "x@many.test");
		m->recipients[i].via = is_listed && list[i].via ? xstrdup(list[i].via) : NULL;
	}
	schedule_jobs(m, 0);
	queue_relay_ready(c->relay, 100);
	BUF_AUTO text = {0};
	struct relay_job *j;
	for (size_t at = 0; (j = map_next(&c->queue.jobs, &at));) {
		for (uint32_t i = 1; i < j->count; i++)
			assert_true(j->recipients[i - 1] < j->recipients[i]);
		if (j->count < JOB_RECIPIENTS_MOST) {
			for (uint32_t i = 0; i < j->count; i++)
				buf_printf(&text, "%u", j->recipients[i] + 1);
			buf_add_char(&text, ' ');
		}
	}
	assert_int_equal(c->queue.jobs.count, 4 + 3);
	assert_int_equal(text.len, strlen("137 25 4 6 "));
	for (const char *const *one = (const char *const[]){"137 ", "25 ", "4 ", "6 ", NULL}; *one; one++)
		assert_true(span_find(buf_span(&text), span_cstr(*one)) >= 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(m->recipients[i].state, RECIPIENT_TRYING);
}

static void a_relay_host_gets_all_in_one(void **state)
{
	struct scene *c = *state;
	struct queued *m = new_message(c, "0@a.test");
	m->recipients = xrealloc_array(m->recipients, 3, sizeof *m->recipients);
	memset(m->recipients + 1, 0, 2 * sizeof *m->recipients);
	m->recipients[1].address = xstrdup("1@b.test");
	m->recipients[2].address = xstrdup("2@[192.0.2.1]");
	m->recipient_count = 3;
	queue_relay_ready(c->relay, 100);
	c->queue.relay_host = SPAN("[Smtp.test]:587");
	schedule_jobs(m, 0);
	BUF_AUTO text = {0};
	assert_string_equal(given(c, &text), "[smtp.test]:587 ");
}

static void a_domain_with_thousands_of_messages_delays_no_other(void **state)
{
	struct scene *c = *state;
	BUF_AUTO text = {0};
	queue_relay_ready(c->relay, DOMAIN_JOBS_FIRST + 10);
	for (int i = 0; i < 1100; i++)
		queue_one(c, "x@dead.test");
	given(c, &text);
	assert_int_equal(c->queue.jobs.count, DOMAIN_JOBS_FIRST);
	queue_one(c, "x@good.test");
	assert_string_equal(given(c, &text), "good.test ");
}

static void domains_take_turns(void **state)
{
	struct scene *c = *state;
	BUF_AUTO text = {0};
	static const char *const recipients[] = {"1@a.test", "2@a.test", "3@A.TEST", "4@a.test", "1@b.test", "2@b.test", "1@c.test"};
	for (size_t i = 0; i < sizeof recipients / sizeof recipients[0]; i++)
		queue_one(c, recipients[i]);
	assert_string_equal(given(c, &text), "");
	queue_relay_ready(c->relay, 4);
	assert_string_equal(given(c, &text), "a.test b.test c.test a.test ");
	queue_relay_ready(c->relay, 4);
	assert_string_equal(given(c, &text), "b.test a.test a.test ");
}

/* So that its end writes nothing and asks no configuration: there is neither here. */
static void has_result(struct relay_job *j)
{
	j->message->is_writing = true;
	j->message->recipients[0].state = RECIPIENT_DONE;
}

/* Ends one of the jobs that are at the relay, and gives the number of those that are there then. */
static size_t end_one(struct scene *c, bool is_answered)
{
	size_t at = 0;
	struct relay_job *j = map_next(&c->queue.jobs, &at);
	j->is_answered = is_answered;
	j->is_silent = !is_answered;
	has_result(j);
	assert_int_equal(queue_job_done(c->relay, &(struct msg_job_done){.job = j->number}), 0);
	return c->queue.jobs.count;
}

static void a_domain_at_its_limit_goes_on_when_a_job_ends(void **state)
{
	struct scene *c = *state;
	queue_relay_ready(c->relay, 10000);
	for (int i = 0; i < 200; i++)
		queue_one(c, "x@one.test");
	assert_int_equal(c->queue.jobs.count, DOMAIN_JOBS_FIRST);
	/* jobs that were never given are no one's to end */
	assert_int_equal(queue_job_done(c->relay, &(struct msg_job_done){.job = 200}), 0);
	assert_int_equal(c->queue.jobs.count, DOMAIN_JOBS_FIRST);
	assert_int_equal(end_one(c, true), 2 * DOMAIN_JOBS_FIRST);
	assert_int_equal(end_one(c, true), DOMAIN_JOBS_MOST);
	for (int i = 0; i < 10; i++)
		assert_int_equal(end_one(c, true), DOMAIN_JOBS_MOST);
}

static void a_domain_that_does_not_answer_holds_one_place(void **state)
{
	struct scene *c = *state;
	queue_relay_ready(c->relay, 10000);
	for (int i = 0; i < 50; i++)
		queue_one(c, "x@dead.test");
	assert_int_equal(end_one(c, false), DOMAIN_JOBS_FIRST - 1);
	assert_int_equal(end_one(c, false), DOMAIN_JOBS_FIRST - 2);
	/* a relay that dies says nothing about the domain */
	struct relay_job *j;
	for (size_t at = 0; (j = map_next(&c->queue.jobs, &at));)
		has_result(j);
	queue_relay_gone(&c->store, c->relay->id);
	assert_int_equal(c->queue.jobs.count, 0);
	queue_relay_ready(c->relay, 10000);
	assert_int_equal(c->queue.jobs.count, 1);
	assert_int_equal(end_one(c, true), 2);
}

static void urgent_mail_goes_first(void **state)
{
	(void)state;
	static const int priorities[] = {0, -9, 4, 0, -1, 9, 0}, order[] = {2, 5, 0, 3, 6, 1, 4};
	enum { COUNT = sizeof priorities / sizeof priorities[0] };
	struct domains d;
	struct queued messages[COUNT];
	struct relay_job jobs[COUNT];
	domains_open(&d);
	for (int i = 0; i < COUNT; i++) {
		messages[i] = (struct queued){.priority = (uint8_t)(PRIORITY_NORMAL + priorities[i])};
		jobs[i] = (struct relay_job){.message = &messages[i], .is_answered = true};
		domains_add_job(&d, SPAN("b.test"), &jobs[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		struct relay_job *j = domains_take_job(&d);
		assert_ptr_equal(j, &jobs[order[i]]);
		assert_null(domains_end_job(&d, j));
	}
	assert_null(domains_take_job(&d));
	forget_domains(&d);
}

/* A takes the places of the domain first; B and C come after him, and wait for none but the jobs that are at relays. */
static void senders_share_a_domain_evenly(void **state)
{
	(void)state;
	enum { OF_A = 300, OF_B = 30, OF_C = 1, ALL = OF_A + OF_B + OF_C };
	struct domains d;
	struct queued a = {.submitter = 1, .priority = PRIORITY_NORMAL + 9}, b = {.submitter = 2, .priority = PRIORITY_NORMAL}, c = {.submitter = 3, .priority = PRIORITY_NORMAL};
	struct relay_job jobs[ALL];
	struct relay_job *at_relay[DOMAIN_JOBS_FIRST];
	BUF_AUTO order = {0};
	domains_open(&d);
	for (size_t i = 0; i < ALL; i++)
		jobs[i] = (struct relay_job){.message = i < OF_A ? &a : i < OF_A + OF_B ? &b : &c};
	for (size_t i = 0; i < OF_A; i++)
		domains_add_job(&d, SPAN("b.test"), &jobs[i]);
	for (size_t i = 0; i < DOMAIN_JOBS_FIRST; i++)
		assert_non_null(at_relay[i] = domains_take_job(&d));
	for (size_t i = OF_A; i < ALL; i++)
		domains_add_job(&d, SPAN("b.test"), &jobs[i]);
	for (size_t i = 0; i < ALL; i++) {
		struct relay_job **oldest = &at_relay[i % DOMAIN_JOBS_FIRST];
		if (*oldest)
			assert_null(domains_end_job(&d, *oldest));
		*oldest = domains_take_job(&d);
		if (*oldest)
			buf_add_char(&order, "?abc"[(*oldest)->message->submitter]);
	}
	assert_int_equal(order.len, ALL - DOMAIN_JOBS_FIRST);
	for (size_t i = 0; i < 2 * OF_B; i += 2) /* "abcababab...aaaa" */
		assert_int_equal(order.ptr[i < 2 ? i + 1 : i + 2], 'b');
	assert_int_equal(order.ptr[2], 'c');
	forget_domains(&d);
}

/* A newsletter to two hundred domains does not come before somebody's letter to one more. */
static void senders_take_turns_whatever_their_domains_are(void **state)
{
	(void)state;
	enum { OF_A = 200 };
	struct domains d;
	struct queued a = {.submitter = 1, .priority = PRIORITY_NORMAL}, b = {.submitter = 2, .priority = PRIORITY_NORMAL};
	struct relay_job jobs[OF_A + 2], *j;
	char name[32];
	domains_open(&d);
	for (size_t i = 0; i < OF_A + 2; i++) {
		jobs[i] = (struct relay_job){.message = i < OF_A ? &a : &b, .is_answered = true};
		snprintf(name, sizeof name, "d%zu.test", i);
		domains_add_job(&d, span_cstr(name), &jobs[i]);
	}
	for (size_t i = 0; (j = domains_take_job(&d)); i++) {
		if (i < 4)
			assert_ptr_equal(j, &jobs[i % 2 ? OF_A + i / 2 : i / 2]);
		assert_null(domains_end_job(&d, j));
	}
	forget_domains(&d);
}

static void what_is_too_much_for_a_domain_is_parked_until_there_is_room(void **state)
{
	(void)state;
	enum { PARKED = 2 * DOMAIN_READY_MOST };
	struct domains d;
	struct queued message = {.priority = PRIORITY_NORMAL};
	struct relay_job jobs[DOMAIN_READY_MOST + PARKED], *j;
	struct id128 id, ids[PARKED];
	size_t made = 0, unparked = 0, taken = 0;
	domains_open(&d);
	for (; !domains_are_full(&d, SPAN("B.test"), 0); made++) {
		jobs[made] = (struct relay_job){.message = &message, .is_answered = true};
		domains_add_job(&d, SPAN("b.test"), &jobs[made]);
	}
	assert_int_equal(made, DOMAIN_READY_MOST);
	assert_false(domains_are_full(&d, SPAN("a.test"), 0));
	assert_false(domains_are_full(&d, SPAN("b.test"), 1)); /* somebody else's */
	for (size_t i = 0; i < PARKED; i++)
		domains_park(&d, SPAN("b.TEST"), 0, ids[i] = id128_new());
	while ((j = domains_take_job(&d))) {
		assert_ptr_equal(j, &jobs[taken++]);
		assert_null(domains_end_job(&d, j));
		for (; domains_unpark(&d, &id); made++) {
			assert_true(id128_equal(id, ids[unparked++])); /* in their order */
			jobs[made] = (struct relay_job){.message = &message, .is_answered = true};
			domains_add_job(&d, SPAN("b.test"), &jobs[made]);
		}
		assert_true(made - taken <= DOMAIN_READY_MOST);
	}
	assert_int_equal(unparked, PARKED);
	assert_int_equal(taken, DOMAIN_READY_MOST + PARKED);
	assert_false(domains_are_hungry(&d));
	forget_domains(&d);
}

/* The ends of five jobs of one domain that has `ready` more, without an answer: how many are put off at each. */
static void mail_for_a_domain_that_does_not_answer_is_put_off(void **state)
{
	(void)state;
	struct domains d;
	struct queued message = {.priority = PRIORITY_NORMAL};
	struct relay_job jobs[DOMAIN_JOBS_FIRST + DOMAIN_PUT_OFF_MOST + 3], *taken[DOMAIN_JOBS_FIRST];
	domains_open(&d);
	for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
		jobs[i] = (struct relay_job){.message = &message, .is_silent = true};
		domains_add_job(&d, SPAN("dead.test"), &jobs[i]);
	}
	for (size_t i = 0; i < DOMAIN_JOBS_FIRST; i++)
		assert_ptr_equal(taken[i] = domains_take_job(&d), &jobs[i]);
	static const size_t put_off[DOMAIN_JOBS_FIRST] = {0, 0, DOMAIN_PUT_OFF_MOST, 3, 0};
	for (size_t i = 0; i < DOMAIN_JOBS_FIRST; i++) {
		size_t count = 0;
		for (struct relay_job *j = domains_end_job(&d, taken[i]); j; j = j->next)
			count++;
		assert_int_equal(count, put_off[i]);
	}
	assert_null(domains_take_job(&d));
	forget_domains(&d);
}

/* ---- a wall clock that is set ---- */

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS, NOW_MS = 10 * DAY_MS };

static int clear_clock(void **state)
{
	clock_set_for_tests(-1);
	clock_shift_wall_for_tests(0);
	return clear_scene(state);
}

static void end_loop(void *context)
{
	loop_stop(context);
}

/* Runs the loop until something is said to the relay; ten seconds are as good as never. */
static void run_until_given(struct scene *c)
{
	struct watch *given = watch_new(c->store.loop, c->other_end, false, end_loop, c->store.loop);
	struct timer *never = timer_new(c->store.loop, end_loop, c->store.loop);
	watch_on(given);
	timer_set(never, 10000);
	loop_run(c->store.loop);
	timer_free(never);
	watch_free(given);
}

static void a_clock_that_is_set_back_delays_no_try(void **state)
{
	struct scene *c = *state;
	struct queued *m = new_message(c, "x@a.test");
	clock_set_for_tests(NOW_MS);
	queue_relay_ready(c->relay, 1);
	m->recipients[0].next_ms = NOW_MS + 20;
	schedule_add(m);
	clock_set_for_tests(NOW_MS + 20);
	clock_shift_wall_for_tests(-DAY_MS);
	run_until_given(c);
	assert_int_equal(m->recipients[0].state, RECIPIENT_TRYING);
}

static void a_clock_that_is_set_ahead_hastens_no_try(void **state)
{
	struct scene *c = *state;
	struct queued *m = new_message(c, "x@a.test");
	clock_set_for_tests(NOW_MS);
	queue_relay_ready(c->relay, 1);
	m->is_writing = true; /* so that nothing is written: there is no engine here */
	m->recipients[0].next_ms = NOW_MS + 20;
	clock_shift_wall_for_tests(DAY_MS);
	queue_deliver_due(m);
	assert_int_equal(m->recipients[0].state, RECIPIENT_WAITING);
}

/* A message is an hour old, and its next try 20 minutes away: when that is, and how old the message is, at the next start if
 * the wall clock is set by so much, and so much time goes by, before it. */
static void times_are_believed_as_far_as_they_can_be_true(void **state)
{
	static const struct {
		int64_t set_ms, down_ms, due_in_ms, age_ms;
	} cases[] = {
		{0, 0, HOUR_MS / 3, HOUR_MS},
		{0, HOUR_MS / 4, HOUR_MS / 12, HOUR_MS + HOUR_MS / 4},
		{0, DAY_MS, 0, HOUR_MS + DAY_MS},
		{-DAY_MS, 0, 4 * HOUR_MS, 0},      /* "a day and 20 minutes from now", says the record */
		{-HOUR_MS, 0, HOUR_MS / 3 + HOUR_MS, 0},
		{DAY_MS, 0, 0, HOUR_MS + DAY_MS},
	};
	struct scene *c = *state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO record = {0};
		struct queued *m = new_message(c, "x@a.test"), *read = c->messages[c->message_count++] = queued_new(&c->queue, id128_new());
		clock_shift_wall_for_tests(0);
		clock_set_for_tests(NOW_MS);
		m->created_ms = NOW_MS - HOUR_MS;
		m->recipients[0].next_ms = NOW_MS + HOUR_MS / 3;
		queued_pack(m, &record);
		clock_set_for_tests(NOW_MS + cases[i].down_ms);
		clock_shift_wall_for_tests(cases[i].set_ms);
		struct queued *same = c->messages[c->message_count++] = queued_new(&c->queue, id128_new());
		assert_int_equal(queued_unpack(same, buf_span(&record), 4 * HOUR_MS), 0); /* it was asleep: nothing happens to its times */
		assert_int_equal(same->created_ms, m->created_ms);
		int64_t at_once = clock_monotonic_ms();
		assert_int_equal(same->recipients[0].next_ms, m->recipients[0].next_ms > at_once ? m->recipients[0].next_ms : at_once);
		c->queue.life++; /* the next start */
		assert_int_equal(queued_unpack(read, buf_span(&record), 4 * HOUR_MS), 0);
		assert_int_equal(read->recipients[0].next_ms - clock_monotonic_ms(), cases[i].due_in_ms);
		assert_int_equal(clock_monotonic_ms() - read->created_ms, cases[i].age_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(recipients_share_a_job_where_they_can, set_scene, clear_scene),
		cmocka_unit_test_setup_teardown(a_relay_host_gets_all_in_one, set_scene, clear_scene),
		cmocka_unit_test_setup_teardown(a_domain_with_thousands_of_messages_delays_no_other, set_scene, clear_scene),
		cmocka_unit_test_setup_teardown(domains_take_turns, set_scene, clear_scene),
		cmocka_unit_test_setup_teardown(a_domain_at_its_limit_goes_on_when_a_job_ends, set_scene, clear_scene),
		cmocka_unit_test_setup_teardown(a_domain_that_does_not_answer_holds_one_place, set_scene, clear_scene),
		cmocka_unit_test(mail_for_a_domain_that_does_not_answer_is_put_off),
		cmocka_unit_test(urgent_mail_goes_first),
		cmocka_unit_test(senders_share_a_domain_evenly),
		cmocka_unit_test(senders_take_turns_whatever_their_domains_are),
		cmocka_unit_test(what_is_too_much_for_a_domain_is_parked_until_there_is_room),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_back_delays_no_try, set_scene, clear_clock),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_ahead_hastens_no_try, set_scene, clear_clock),
		cmocka_unit_test_setup_teardown(times_are_believed_as_far_as_they_can_be_true, set_scene, clear_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
