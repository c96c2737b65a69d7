/* Messages between processes: what is packed arrives, and what is hostile is refused. */
#include "ipc/channel.h"
#include "ipc/frame.h"
#include "ipc/terms.h"
#include "ipc/words.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct loop *loop;
	struct buf text;
	uint64_t token;
	uint8_t outcome;
	unsigned messages;
	bool is_closed, is_violation;
	struct channel *channel;
};

static void on_rcpt_answer(void *context, const struct msg_rcpt_answer *m)
{
	struct seen *s = context;
	s->token = m->token;
	s->outcome = m->outcome;
	s->messages++;
	loop_stop(s->loop);
}

static const struct store_to_edge handlers = {.rcpt_answer = on_rcpt_answer};

static void on_closed(void *context, bool is_violation)
{
	struct seen *s = context;
	s->is_closed = true;
	s->is_violation = is_violation;
	loop_stop(s->loop);
}

static int open_pair(struct seen *s)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*s = (struct seen){.loop = loop_new()};
	struct channel_use use = {store_to_edge_dispatch, &handlers, s, on_closed, "test"};
	s->channel = channel_new(s->loop, pair[0], &use);
	return pair[1];
}

static void close_pair(struct seen *s, int fd)
{
	channel_free(s->channel);
	loop_free(s->loop);
	close(fd);
}

static void feed(struct seen *s, int fd, struct span bytes)
{
	assert_int_equal(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
	loop_rearm(s->loop);
	loop_run(s->loop);
}

static void a_message_arrives_as_it_was_sent(void **state)
{
	(void)state;
	struct seen s;
	BUF_AUTO frame = {0};
	int fd = open_pair(&s);
	msg_rcpt_answer_pack(&frame, 7, &(struct msg_rcpt_answer){.token = 42, .sequence = 3, .outcome = 2});
	feed(&s, fd, buf_span(&frame));
	assert_int_equal(s.messages, 1);
	assert_true(s.token == 42 && s.outcome == 2);
	close_pair(&s, fd);
}

static void a_message_that_the_channel_does_not_have_ends_it(void **state)
{
	(void)state;
	struct seen s;
	BUF_AUTO frame = {0};
	int fd = open_pair(&s);
	/* this one goes the other way */
	msg_rcpt_ask_pack(&frame, 0, &(struct msg_rcpt_ask){.token = 1, .address = SPAN("a@b")});
	feed(&s, fd, buf_span(&frame));
	assert_true(s.is_closed && s.is_violation && s.messages == 0);
	close_pair(&s, fd);
}

static void a_field_out_of_bounds_ends_it(void **state)
{
	(void)state;
	struct seen s;
	BUF_AUTO frame = {0};
	int fd = open_pair(&s);
	msg_rcpt_answer_pack(&frame, 0, &(struct msg_rcpt_answer){.token = 1});
	frame.ptr[frame.len - 1] = RCPT_RATE + 1; /* the last outcome that there is, and one */
	feed(&s, fd, buf_span(&frame));
	assert_true(s.is_closed && s.is_violation && s.messages == 0);
	close_pair(&s, fd);
}

static void a_frame_that_is_none_ends_it(void **state)
{
	(void)state;
	static const struct { const char *bytes; } cases[] = {
		{"\xff\xff\xff\xff\x01\x00\x01\x00\x00\x00\x00\x00"}, /* 4 GB */
		{"\x00\x00\x00\x00\x01\x00\x09\x00\x00\x00\x00\x00"}, /* another version */
		{"\x00\x00\x00\x00\xff\xff\x01\x00\x00\x00\x00\x00"}, /* no such type */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct seen s;
		int fd = open_pair(&s);
		feed(&s, fd, span_of(cases[i].bytes, 12));
		assert_true(s.is_closed && s.is_violation);
		close_pair(&s, fd);
	}
}

static void every_cut_of_a_message_is_refused_by_its_unpacker(void **state)
{
	(void)state;
	BUF_AUTO frame = {0};
	struct msg_delivery_begin m;
	msg_delivery_begin_pack(&frame, 0, &(struct msg_delivery_begin){.token = 1, .reverse_path = SPAN("a@b.test"),
	                        .client_address = SPAN("192.0.2.1"), .mailbox = SPAN("INBOX")});
	struct span payload = span_skip(buf_span(&frame), FRAME_HEAD_BYTES);
	assert_int_equal(msg_delivery_begin_unpack(payload, &m), 0);
	for (size_t cut = 0; cut < payload.len; cut++)
		assert_int_equal(msg_delivery_begin_unpack(span_slice(payload, 0, cut), &m), -1);
	buf_add_char(&frame, 0);
	assert_int_equal(msg_delivery_begin_unpack(span_skip(buf_span(&frame), FRAME_HEAD_BYTES), &m), -1);
}

static void text_is_utf8_without_nul(void **state)
{
	(void)state;
	static const struct { struct span text; int result; } cases[] = {
		{{"caixa", 5}, 0}, {{"ol\xc3\xa1", 4}, 0}, {{"\xff", 1}, -1}, {{"a\0b", 3}, -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO frame = {0};
		struct msg_mailbox_create m;
		msg_mailbox_create_pack(&frame, 0, &(struct msg_mailbox_create){.session = 1, .name = cases[i].text});
		assert_int_equal(msg_mailbox_create_unpack(span_skip(buf_span(&frame), FRAME_HEAD_BYTES), &m), cases[i].result);
	}
}

static void a_descriptor_travels_with_its_message(void **state)
{
	(void)state;
	struct seen s;
	int fd = open_pair(&s), pipe_ends[2];
	struct loop *other = loop_new();
	struct channel_use use = {edge_to_store_dispatch, NULL, NULL, NULL, "test"};
	struct channel *sender = channel_new(other, fd, &use);
	assert_int_equal(pipe(pipe_ends), 0);
	channel_send(sender, rcpt_answer, .token = 9);
	channel_send_fd(sender, pipe_ends[1]);
	loop_run(s.loop);
	assert_true(s.token == 9);
	int got = channel_take_fd(s.channel);
	assert_true(got >= 0 && channel_take_fd(s.channel) == -1);
	assert_int_equal(write(got, "x", 1), 1);
	char byte = 0;
	assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(got);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	channel_free(sender);
	loop_free(other);
	channel_free(s.channel);
	loop_free(s.loop);
}

static void stop_loop(void *loop)
{
	loop_stop(loop);
}

static void a_peer_that_reads_nothing_is_cut_off(void **state)
{
	(void)state;
	struct seen s;
	int fd = open_pair(&s);
	static char filler[100000];
	struct later stop = {.fn = stop_loop, .context = s.loop};
	/* nobody reads from fd; on a socket that is full, bytes wait here, up to a bound */
	for (int i = 0; i < 4000 && !s.is_closed; i++) {
		buf_add(channel_out(s.channel), span_of(filler, sizeof filler));
		loop_rearm(s.loop);
		loop_later(s.loop, &stop);
		loop_run(s.loop);
	}
	assert_true(s.is_closed && s.is_violation);
	assert_true(channel_out(s.channel)->len == 0);
	close_pair(&s, fd);
}

static void ranges_are_joined_found_and_checked(void **state)
{
	(void)state;
	BUF_AUTO r = {0};
	ranges_add(&r, 1);
	ranges_add(&r, 2);
	ranges_add(&r, 5);
	ranges_add_range(&r, 6, 9);
	assert_int_equal(ranges_count(buf_span(&r)), 2);
	assert_true(ranges_are_valid(buf_span(&r)));
	for (uint32_t n = 0; n < 12; n++)
		assert_int_equal(ranges_have(buf_span(&r), n), (n >= 1 && n <= 2) || (n >= 5 && n <= 9));
	assert_false(ranges_are_valid(SPAN("\x00\x00\x00\x00\x01\x00\x00\x00")));         /* zero */
	assert_false(ranges_are_valid(SPAN("\x05\x00\x00\x00\x04\x00\x00\x00")));         /* backwards */
	assert_false(ranges_are_valid(SPAN("\x05\x00\x00\x00\x09\x00\x00\x00\x09\x00\x00\x00\x0a\x00\x00\x00"))); /* overlap */
	assert_false(ranges_are_valid(SPAN("\x05\x00\x00")));
}

static void words_go_and_come_back(void **state)
{
	(void)state;
	ARENA_AUTO a = {0};
	BUF_AUTO packed = {0};
	struct span words[] = {SPAN("user"), SPAN(""), SPAN("add")}, *back;
	words_pack(&packed, words, 3);
	assert_int_equal(words_unpack(buf_span(&packed), &a, &back), 3);
	assert_true(span_equal(back[2], SPAN("add")) && back[1].len == 0);
	assert_int_equal(words_unpack(SPAN("\xff\xff\xff\xff"), &a, &back), -1);
	assert_int_equal(words_unpack(span_slice(buf_span(&packed), 0, packed.len - 1), &a, &back), -1);
	assert_int_equal(words_unpack(SPAN(""), &a, &back), 0);
}

static void a_mailbox_is_found_by_its_place_in_the_message(void **state)
{
	BUF_AUTO frame = {0};
	struct span name, payload;
	size_t at;
	(void)state;
	msg_copy_ask_pack(&frame, 0, &(struct msg_copy_ask){.session = 1, .request = 2, .ranges = SPAN("12345678"), .mailbox = SPAN("Trash")});
	payload = span_skip(buf_span(&frame), FRAME_HEAD_BYTES);
	assert_true(msg_find_mailbox(MSG_COPY_ASK, payload, &at, &name) && at == 8 + 4 + 4 + 8 && span_equal(name, SPAN("Trash")));
	for (size_t cut = 0; cut < at + 4 + name.len; cut++)
		assert_false(msg_find_mailbox(MSG_COPY_ASK, span_slice(payload, 0, cut), &(size_t){0}, &(struct span){0}));
	buf_clear(&frame);
	msg_mailbox_rename_pack(&frame, 0, &(struct msg_mailbox_rename){.from = SPAN("a"), .to = SPAN("b")});
	assert_true(msg_find_mailbox(MSG_MAILBOX_RENAME, span_skip(buf_span(&frame), FRAME_HEAD_BYTES), &at, &name) && at == 12 && span_equal(name, SPAN("a")));
	buf_clear(&frame);
	msg_mailbox_subscribe_pack(&frame, 0, &(struct msg_mailbox_subscribe){.name = SPAN("a")});
	assert_false(msg_find_mailbox(MSG_MAILBOX_SUBSCRIBE, span_skip(buf_span(&frame), FRAME_HEAD_BYTES), &at, &name)); /* subscribed to in one's own account, whoever's it is */
}

static void marks_say_who_handles_a_message(void **state)
{
	(void)state;
	assert_int_equal(msg_mark(MSG_FETCH_ASK), MSG_MARK_OPEN);
	assert_int_equal(msg_mark(MSG_MAILBOX_OPEN), MSG_MARK_ACCOUNT);
	assert_int_equal(msg_mark(MSG_IMPORT_SOURCES_ASK), MSG_MARK_IMPORT);
	assert_int_equal(msg_mark(MSG_SESSION_OPEN), MSG_MARK_NONE);
	assert_int_equal(msg_mark(0), MSG_MARK_NONE);
	assert_int_equal(msg_mark(UINT16_MAX), MSG_MARK_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_arrives_as_it_was_sent),
		cmocka_unit_test(a_message_that_the_channel_does_not_have_ends_it),
		cmocka_unit_test(a_field_out_of_bounds_ends_it),
		cmocka_unit_test(a_frame_that_is_none_ends_it),
		cmocka_unit_test(every_cut_of_a_message_is_refused_by_its_unpacker),
		cmocka_unit_test(text_is_utf8_without_nul),
		cmocka_unit_test(a_descriptor_travels_with_its_message),
		cmocka_unit_test(a_peer_that_reads_nothing_is_cut_off),
		cmocka_unit_test(ranges_are_joined_found_and_checked),
		cmocka_unit_test(words_go_and_come_back),
		cmocka_unit_test(a_mailbox_is_found_by_its_place_in_the_message),
		cmocka_unit_test(marks_say_who_handles_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
