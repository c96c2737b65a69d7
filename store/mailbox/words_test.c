/* Words of messages: what they say of a needle is what looking through the bodies says, or that they cannot tell. */
#include "store/mailbox/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/die.h"
#include "store/batch_test.h"

enum { MAILBOX = 3, SEGMENT = 2, FIRST_UID = SEGMENT * WORDS_ROWS, MESSAGES = 600 };

struct place {
	struct worker worker;
	struct account account;
};

static void open_place(struct place *p)
{
	*p = (struct place){.worker.engine = engine_open_memory(), .account = {.id = 7, .partition = "a0000000000000007"}};
	p->account.worker = &p->worker;
}

static void write_words(struct place *p, struct words_gathered *w)
{
	bool is_over;
	do {
		is_over = words_put(w, &p->account, MAILBOX, SEGMENT);
		write_batch(p->worker.engine, &p->account.batch);
	} while (!is_over);
	words_free(w);
}

/* Of messages in every 7th UID, so that there are many steps between them. */
static uint32_t uid_of(unsigned message)
{
	return FIRST_UID + message * 6 + message % 5;
}

/* Words that begin and end alike, of one and of two bytes a letter, with marks between them. */
static void make_body(unsigned message, struct buf *out)
{
	static const char *const stems[] = {"a", "ab", "abc", "x", "\xc3\xa9t\xc3\xa9", "9", "99", "w"}, *const between[] = {" ", "\r\n", "-", "\377", ", "};
	srand(message);
	for (unsigned i = rand() % 40; i; i--) {
		buf_add_cstr(out, stems[rand() % 8]);
		if (rand() % 3)
			buf_printf(out, "%d", rand() % 500);
		buf_add_cstr(out, between[rand() % 5]);
	}
	if (message % 50 == 0) /* longer than what is kept */
		for (unsigned i = 0; i < 20; i++)
			buf_add_cstr(out, "long");
}

static bool contains(struct span text, struct span needle)
{
	return text.len >= needle.len && memmem(text.ptr, text.len, needle.ptr, needle.len);
}

static void words_agree_with_the_texts(void **state)
{
	static const char *const needles[] = {"a", "ab", "c4", "bc12", "99", "w499", "x1, ab", "\xc3\xa9", "\xa9t", "t\xc3\xa9\067", "long", "longlong", "ongl", "- ", "9-9", "b\na", "zz", "a zz"};
	struct place p;
	struct buf bodies[MESSAGES] = {0};
	struct words_gathered *w = words_new();
	(void)state;
	open_place(&p);
	for (unsigned i = 0; i < MESSAGES; i++) {
		make_body(i, &bodies[i]);
		words_add(w, uid_of(i), buf_span(&bodies[i]), i % 100 == 1);
	}
	write_words(&p, w);
	for (size_t k = 0; k < sizeof needles / sizeof needles[0]; k++) {
		struct span needle = span_cstr(needles[k]);
		struct word_answer answer;
		unsigned decided = 0;
		words_find(&p.account, MAILBOX, SEGMENT, needle, &answer);
		for (unsigned i = 0; i < MESSAGES; i++) {
			bool has = word_places_have(&answer.has, uid_of(i)), may_have = word_places_have(&answer.may_have, uid_of(i));
			if ((has || !may_have) && has != contains(buf_span(&bodies[i]), needle))
				fail_msg("needle \"%s\", message %u: %d", needles[k], i, has);
			decided += has || !may_have;
		}
		/* with a run that few words have, or alone */
		if (word_has_byte(needle.ptr[0]) && word_has_byte(needle.ptr[needle.len - 1]) && needle.len != 3 && decided < MESSAGES / 4)
			fail_msg("needle \"%s\": only %u decided", needles[k], decided);
	}
	words_delete(&p.account, MAILBOX, SEGMENT);
	write_batch(p.worker.engine, &p.account.batch);
	struct word_answer answer;
	words_find(&p.account, MAILBOX, SEGMENT, SPAN("zz"), &answer);
	assert_true(word_places_have(&answer.may_have, FIRST_UID + 4000));
	for (unsigned i = 0; i < MESSAGES; i++)
		buf_free(&bodies[i]);
	engine_close(p.worker.engine);
}

/* Everything may have it where something is missing. */
static void a_segment_that_is_not_whole_rules_nothing_out(void **state)
{
	static const char whats[] = {'d', 'p', 'r'};
	(void)state;
	for (size_t i = 0; i < 2 * sizeof whats; i++) {
		struct place p;
		struct words_gathered *w = words_new();
		struct word_answer answer;
		BUF_AUTO key = {0}, other = {0};
		open_place(&p);
		for (unsigned message = 0; message < 3000; message++) {
			BUF_AUTO body = {0};
			buf_printf(&body, "word%u needle", message);
			words_add(w, FIRST_UID + message, buf_span(&body), false);
		}
		write_words(&p, w);
		words_find(&p.account, MAILBOX, SEGMENT, SPAN("needle"), &answer);
		assert_true(word_places_have(&answer.has, FIRST_UID + 17) && !word_places_have(&answer.may_have, FIRST_UID + 3001));
		words_key(&key, MAILBOX, whats[i / 2], SEGMENT, 0);
		if (i % 2) {
			buf_add_cstr(&other, "\001ab");
			batch_put(&p.account.batch, SPAN("a0000000000000007"), buf_span(&key), buf_span(&other));
		} else {
			batch_delete(&p.account.batch, SPAN("a0000000000000007"), buf_span(&key));
		}
		write_batch(p.worker.engine, &p.account.batch);
		words_find(&p.account, MAILBOX, SEGMENT, SPAN("needle"), &answer);
		assert_true(!word_places_have(&answer.has, FIRST_UID + 17) && word_places_have(&answer.may_have, FIRST_UID + 3001));
		engine_close(p.worker.engine);
	}
}

static void places_are_read_as_they_were_written(void **state)
{
	static uint16_t few[] = {0, 1, 200, 4095}, many[WORDS_ROWS];
	BUF_AUTO part = {0};
	(void)state;
	for (uint16_t i = 0; i < WORDS_ROWS; i++)
		many[i] = i;
	words_pack_head(&part);
	word_places_pack(&part, few, 4);
	word_places_pack(&part, many, WORDS_ROWS);
	word_places_pack(&part, few, 1);
	assert_true(part.len < 600); /* many of them take a bit each */
	for (unsigned word = 0; word < 4; word++) {
		struct word_places_reader r = {.u.rest = buf_span(&part)};
		struct word_places places = {0};
		assert_int_equal(word_places_read(&r, word, &places), word < 3);
		assert_int_equal(word_places_have(&places, 0), word < 3);
		assert_int_equal(word_places_have(&places, 200), word < 2);
		assert_int_equal(word_places_have(&places, 4094), word == 1);
	}
	/* cut, or with a message that there cannot be */
	for (size_t len = 0; len < part.len - 1; len++) {
		struct word_places_reader r = {.u.rest = span_slice(buf_span(&part), 0, len)};
		struct word_places places = {0};
		assert_false(word_places_read(&r, 2, &places));
	}
	part.ptr[5] = (char)0xff;
	struct word_places_reader r = {.u.rest = buf_span(&part)};
	struct word_places places = {0};
	assert_false(word_places_read(&r, 0, &places));
}

/* However many different words there are. */
static void memory_is_bounded(void **state)
{
	struct words_gathered *w = words_new();
	struct place p;
	struct word_answer answer;
	(void)state;
	open_place(&p);
	for (unsigned message = 0; message < 200; message++) {
		BUF_AUTO body = {0};
		for (unsigned i = 0; i < 1000; i++)
			buf_printf(&body, "n%u ", message * 1000 + i);
		words_add(w, FIRST_UID + message, buf_span(&body), false);
	}
	write_words(&p, w);
	words_find(&p.account, MAILBOX, SEGMENT, SPAN("n199999"), &answer);
	assert_false(word_places_have(&answer.may_have, FIRST_UID)); /* it could be kept whole */
	assert_true(word_places_have(&answer.may_have, FIRST_UID + 199) && !word_places_have(&answer.has, FIRST_UID + 199));
	engine_close(p.worker.engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_agree_with_the_texts),
		cmocka_unit_test(a_segment_that_is_not_whole_rules_nothing_out),
		cmocka_unit_test(places_are_read_as_they_were_written),
		cmocka_unit_test(memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
