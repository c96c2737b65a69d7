/* A message comes out of its pieces as it went in, less what was cut. */
#include "store/blob.h"

#include "base/pack.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/batch_test.h"

static struct blob_id engine_id(struct id128 id)
{
	struct blob_id blob;
	memcpy(blob.bytes, id.bytes, sizeof blob.bytes);
	return blob;
}

static void fill(struct buf *b, size_t n)
{
	char *to = buf_reserve(b, n);
	for (size_t i = 0; i < n; i++)
		to[i] = (char)('a' + (i * 7 + i / 251) % 26);
	b->len += n;
}

/* Stages `received` in pieces, as store/deliver.c does, with a head of the prefix and the cuts. */
static void stage(struct engine *e, struct id128 id, struct span received, struct blob_head *head)
{
	struct batch b = {0};
	uint32_t piece = 0;
	for (struct span rest = received; rest.len; rest = span_skip(rest, BLOB_PIECE_BYTES))
		batch_blob_put(&b, id, ++piece, span_slice(rest, 0, BLOB_PIECE_BYTES));
	head->received = received.len;
	blob_head_put(&b, id, head);
	write_batch(e, &b);
}

static void every_range_of_a_large_message_reads_as_it_was_put_together(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	BUF_AUTO received = {0}, whole = {0};
	fill(&received, 3 * BLOB_PIECE_BYTES + 1234);
	struct blob_head head = {.prefix = SPAN("Return-Path: <a@b>\r\nReceived: x\r\n"), .cut_count = 3,
	                         .cuts = {{0, 10}, {BLOB_PIECE_BYTES - 5, 20}, {3 * BLOB_PIECE_BYTES, 1234}}};
	struct id128 id = id128_new();
	stage(e, id, buf_span(&received), &head);
	blob_compose(&head, buf_span(&received), &whole);
	assert_true(whole.len == blob_size(&head));
	random_seed_for_tests(7);
	for (int i = 0; i < 400; i++) {
		uint64_t offset = random_below(whole.len + 50), length = random_below(i % 2 ? 100 : 2 * BLOB_PIECE_BYTES);
		BUF_AUTO part = {0};
		struct error why;
		assert_int_equal(blob_read(e, id, offset, length, &part, &why), 1);
		assert_true(span_equal(buf_span(&part), span_slice(buf_span(&whole), offset, length)));
	}
	random_seed_for_tests(0);
	engine_close(e);
}

static void a_small_message_stands_whole_in_its_head(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct id128 id = id128_new();
	struct batch b = {0};
	struct blob_head head = {.whole = SPAN("Subject: x\r\n\r\nhello\r\n")}, back;
	BUF_AUTO part = {0}, memory = {0};
	struct error why;
	blob_head_put(&b, id, &head);
	write_batch(e, &b);
	assert_int_equal(blob_read(e, id, 9, 5, &part, &why), 1);
	assert_true(span_equal(buf_span(&part), SPAN("x\r\n\r\n")));
	assert_int_equal(blob_head_get(e, id, &memory, &back, &why), 1);
	assert_true(span_equal(back.whole, head.whole));
	engine_close(e);
}

static void a_blob_without_a_head_was_never_accepted(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct id128 id = id128_new();
	struct batch b = {0};
	BUF_AUTO part = {0};
	struct error why;
	batch_blob_put(&b, id, 1, SPAN("staged"));
	write_batch(e, &b);
	assert_int_equal(blob_read(e, id, 0, 10, &part, &why), 0);
	engine_close(e);
}

static void a_missing_piece_is_an_error_and_not_a_short_message(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct id128 id = id128_new();
	BUF_AUTO received = {0}, part = {0};
	struct error why;
	struct blob_head head = {0};
	fill(&received, 2 * BLOB_PIECE_BYTES);
	stage(e, id, buf_span(&received), &head);
	struct batch b = {0};
	batch_blob_delete(&b, id, 2);
	write_batch(e, &b);
	assert_int_equal(blob_read(e, id, 0, 2 * BLOB_PIECE_BYTES, &part, &why), -1);
	engine_close(e);
}

static void deleting_leaves_no_piece(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct id128 id = id128_new();
	BUF_AUTO received = {0}, part = {0};
	struct error why;
	struct blob_head head = {0};
	fill(&received, 2 * BLOB_PIECE_BYTES + 1);
	stage(e, id, buf_span(&received), &head);
	struct batch b = {0};
	blob_delete(&b, id, head.received);
	write_batch(e, &b);
	for (uint32_t piece = 0; piece < 4; piece++)
		assert_int_equal(engine_blob_get(e, engine_id(id), piece, &part, &why), 0);
	engine_close(e);
}

static void a_blob_uses_a_lenders_pieces_with_a_prefix_and_cuts_of_its_own(void **state)
{
	(void)state;
	struct engine *e = engine_open_memory();
	struct id128 lender = id128_new(), id = id128_new();
	BUF_AUTO received = {0}, whole = {0}, part = {0}, memory = {0};
	struct blob_head lent = {.prefix = SPAN("Received: x\r\n"), .cut_count = 1, .cuts = {{3, 40}}}, back;
	struct blob_head head = {.prefix = SPAN("X: y\r\n"), .cut_count = 1, .cuts = {{BLOB_PIECE_BYTES - 1, 2}}, .lender = lender};
	struct batch b = {0};
	struct error why;
	uint64_t size;
	fill(&received, 2 * BLOB_PIECE_BYTES + 77);
	stage(e, lender, buf_span(&received), &lent);
	head.received = received.len;
	assert_int_equal(EVP_Digest(received.ptr, received.len, head.received_digest, NULL, EVP_sha256(), NULL), 1);
	blob_head_put(&b, id, &head);
	write_batch(e, &b);
	blob_compose(&head, buf_span(&received), &whole);
	assert_int_equal(blob_read(e, id, 0, UINT64_MAX, &part, &why), 1);
	assert_true(span_equal(buf_span(&part), buf_span(&whole)));
	assert_int_equal(blob_verify(e, id, &size, &why), 1);
	assert_true(size == whole.len);
	assert_int_equal(blob_head_get(e, id, &memory, &back, &why), 1);
	assert_true(id128_equal(back.lender, lender));
	/* it goes alone, and where its lender's pieces have gone it is damaged and not short */
	blob_delete(&b, id, head.received);
	write_batch(e, &b);
	buf_clear(&part);
	assert_int_equal(blob_read(e, lender, 0, UINT64_MAX, &part, &why), 1);
	assert_true(part.len == blob_size(&lent));
	blob_head_put(&b, id, &head);
	batch_blob_delete(&b, lender, 3);
	write_batch(e, &b);
	assert_int_equal(blob_verify(e, id, &size, &why), -1);
	engine_close(e);
}

static void cuts_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	static const struct { uint64_t numbers[4]; size_t count; int result; } cases[] = {
		{{0, 10}, 2, 0}, {{0, 10, 10, 5}, 4, 0}, {{5, 10, 10, 5}, 4, -1}, {{90, 11}, 2, -1}, {{UINT64_MAX, 2}, 2, -1},
		{{101, 0}, 2, -1}, {{0}, 1, -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO packed = {0};
		struct blob_head head;
		for (size_t k = 0; k < cases[i].count; k++)
			pack_u64(&packed, cases[i].numbers[k]);
		assert_int_equal(blob_cuts_unpack(buf_span(&packed), 100, &head), cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range_of_a_large_message_reads_as_it_was_put_together),
		cmocka_unit_test(a_small_message_stands_whole_in_its_head),
		cmocka_unit_test(a_blob_without_a_head_was_never_accepted),
		cmocka_unit_test(a_missing_piece_is_an_error_and_not_a_short_message),
		cmocka_unit_test(deleting_leaves_no_piece),
		cmocka_unit_test(a_blob_uses_a_lenders_pieces_with_a_prefix_and_cuts_of_its_own),
		cmocka_unit_test(cuts_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
