/* mbox in its dialects, and mbx. */
#include "wire/test.h"

#include "wire/imap_command.h"
#include "wire/mbox.h"

static void from_lines_are_known_in_their_dialects(void **state)
{
	static const char *const good[] = {
		"From a@b.c Thu Dec 24 18:00:01 2026", "From a@b.c Thu Dec  4 18:00 2026", "From a@b.c Thu Dec 24 18:00:01 2026 +0100", "From a@b.c Thu Dec 24 18:00:01 +0100 2026",
		"From a@b.c Thu Dec 24 18:00:01 CET 2026", "From - Thu Dec 24 18:00:01 2026", "From \"a b\"@c  Thu Dec 24 18:00:01 2026 remote from x", "From  Thu Dec 24 18:00:01 2026"};
	static const char *const bad[] = {
		"", "From ", "From a@b.c", "From a@b.c Thu Dec 24 2026", "from a@b.c Thu Dec 24 18:00:01 2026", ">From a@b.c Thu Dec 24 18:00:01 2026", "From a@b.c Thu Dec 32 18:00:01 2026",
		"From a@b.c Thu Dec 24 25:00:01 2026", "From a@b.c Thu Foo 24 18:00:01 2026", "From a@b.c Thu Dec 24 18 2026", "From me to you, Thu Dec 24 was good",
		"From: a@b.c Thu Dec 24 18:00:01 2026"};
	struct mbox_date date;
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(mbox_from_parse(span_cstr(good[i]), &date));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(mbox_from_parse(span_cstr(bad[i]), &date));
	assert_true(mbox_from_parse(span_cstr(good[2]), &date));
	assert_true(date.has_zone && date.zone_minutes == 60 && date.hour == 18 && date.month == 11 && date.day == 24);
	BUF_AUTO line = {0};
	mbox_from_write(1798135201, &line);
	assert_span(buf_span(&line), "From MAILER-DAEMON Thu Dec 24 18:00:01 2026\n");
}

static void read_in_pieces(const char *text, size_t piece, struct mbox_reader *r, struct buf *out)
{
	for (struct span rest = span_cstr(text); rest.len; rest = span_skip(rest, piece))
		mbox_read(r, span_slice(rest, 0, piece), out);
	mbox_read_end(r, out);
}

static void state_leaves_the_header_and_quotes_the_body(void **state)
{
	static const char text[] = "X-IMAPbase: 1000 12 $a\nSubject: x\nStatus: RO\n folded\nX-Status: AF\nX-Keywords: $Label1\n  $Label2\nX-UID: 7\ncontent-length: 5\n\n"
	                           "Status: body\n>From me\n>>From me\n> From me\n>Fro\nlast";
	(void)state;
	for (size_t piece = 1; piece < sizeof text; piece++) {
		struct mbox_reader r = {0};
		BUF_AUTO out = {0};
		read_in_pieces(text, piece, &r, &out);
		assert_span(buf_span(&out), "Subject: x\n\nStatus: body\nFrom me\n>From me\n> From me\n>Fro\nlast");
		assert_int_equal(r.flags, IMAP_FLAG_SEEN | IMAP_FLAG_ANSWERED | IMAP_FLAG_FLAGGED);
		assert_int_equal(r.uid, 7);
		assert_int_equal(r.uidvalidity, 1000);
		assert_int_equal(r.uid_last, 12);
		assert_span(buf_span(&r.keywords), " $Label1 $Label2");
		assert_true(r.has_length && r.length == 5 && !r.is_internal);
		mbox_read_free(&r);
	}
}

static void a_field_without_end_is_bounded(void **state)
{
	struct mbox_reader r = {0};
	BUF_AUTO out = {0};
	(void)state;
	mbox_read(&r, SPAN("X-Keywords: a"), &out);
	for (int i = 0; i < 100000; i++)
		mbox_read(&r, SPAN(" b"), &out);
	assert_true(r.field.len <= MBOX_FIELD_MOST);
	mbox_read_end(&r, &out);
	mbox_read_free(&r);
}

static void the_internal_message_is_known(void **state)
{
	struct mbox_reader r = {0};
	BUF_AUTO out = {0};
	(void)state;
	read_in_pieces("Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1000 12\nStatus: RO\n\ntext\n", 1000, &r, &out);
	assert_true(r.is_internal && r.uidvalidity == 1000 && r.uid_last == 12);
	mbox_read_free(&r);
}

static void what_is_written_reads_the_same(void **state)
{
	static const char message[] = "Subject: x\r\n\r\nFrom me\r\n>From me\r\nx\r y\r\nend";
	(void)state;
	for (size_t piece = 1; piece < sizeof message; piece++) {
		struct mbox_writer w = {0};
		struct mbox_reader r = {0};
		BUF_AUTO file = {0}, back = {0};
		for (struct span rest = span_cstr(message); rest.len; rest = span_skip(rest, piece))
			mbox_write(&w, span_slice(rest, 0, piece), &file);
		mbox_write_end(&w, &file);
		assert_span(buf_span(&file), "Subject: x\n\n>From me\n>>From me\nx\r y\nend\n\n");
		read_in_pieces(buf_cstr(&file), piece, &r, &back);
		assert_span(buf_span(&back), "Subject: x\n\nFrom me\n>From me\nx\r y\nend\n\n");
		mbox_read_free(&r);
	}
}

static void mbx_is_read_by_its_fixed_places(void **state)
{
	BUF_AUTO head = {0};
	struct mbx_head h;
	struct mbx_message m;
	(void)state;
	buf_add_cstr(&head, "*mbx*\r\n3e0a1b2c0000000c\r\n$Label1\r\n\r\nb c\r\n");
	while (head.len < MBX_HEAD_BYTES)
		buf_add_cstr(&head, "\r\n");
	assert_false(mbx_head_parse(span_slice(buf_span(&head), 0, MBX_HEAD_BYTES - 1), &h));
	assert_true(mbx_head_parse(buf_span(&head), &h));
	assert_int_equal(h.uidvalidity, 0x3e0a1b2c);
	assert_int_equal(h.uid_last, 12);
	assert_span(h.keywords[0], "$Label1");
	assert_span(h.keywords[2], "");
	assert_true(mbx_message_parse(SPAN("24-Dec-2002 18:00:00 +0100,1234;000000030015-00000005\r\nSubject"), &m));
	assert_int_equal(m.size, 1234);
	assert_int_equal(m.keywords, 3);
	assert_int_equal(m.uid, 5);
	assert_int_equal(m.flags, IMAP_FLAG_SEEN | IMAP_FLAG_FLAGGED);
	assert_int_equal(m.date_s, 1040749200);
	assert_false(m.is_expunged);
	assert_true(mbx_message_parse(SPAN(" 4-Dec-2002 18:00:00 +0100,1;000000008000-00000005\r\n"), &m) && m.is_expunged);
	static const char *const bad[] = {"", "\r\n", "24-Dec-2002 18:00:00 +0100,1234;000000030015-0000000\r\n", "24-Dec-2002 18:00:00 +0100,x;000000030015-00000005\r\n",
	                                  "24-Dec-2002 18:00:00 +0100;000000030015-00000005\r\n", "24-Dec-2002 18:00:00 +0100,1234;00000003001g-00000005\r\n",
	                                  "24-Dec-2002 18:00:00 +0100,1234;000000030015-00000005"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(mbx_message_parse(span_cstr(bad[i]), &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_lines_are_known_in_their_dialects), cmocka_unit_test(state_leaves_the_header_and_quotes_the_body),
		cmocka_unit_test(a_field_without_end_is_bounded), cmocka_unit_test(the_internal_message_is_known),
		cmocka_unit_test(what_is_written_reads_the_same), cmocka_unit_test(mbx_is_read_by_its_fixed_places)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
