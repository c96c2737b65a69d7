/* Sorting, threading (RFC 5256 §3), columns and texts as they are written. */
#include "store/mailbox/columns.h"
#include "store/mailbox/sort.h"
#include "store/mailbox/texts.h"
#include "store/mailbox/thread.h"

#include "base/pack.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- sorting ---- */

static const struct sort_values *compared;
static size_t compared_count;

static int by_all_keys(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	for (size_t k = 0; k < compared_count; k++) {
		const struct sort_values *v = &compared[k];
		int order = v->numbers ? (v->numbers[x] > v->numbers[y]) - (v->numbers[x] < v->numbers[y]) : span_compare(v->texts[x], v->texts[y]);
		if (order)
			return v->is_reverse ? -order : order;
	}
	return (x > y) - (x < y);
}

/* The radix sort and the library's agree. */
static void any_keys_are_sorted(void **state)
{
	enum { COUNT = 3000 };
	static char bytes[COUNT][40];
	static struct span texts[COUNT], words[COUNT];
	static uint64_t numbers[COUNT];
	static uint32_t order[COUNT], wanted[COUNT];
	(void)state;
	srand(5);
	for (size_t i = 0; i < COUNT; i++) {
		/* many that begin alike, and many that are equal */
		int n = snprintf(bytes[i], sizeof bytes[i], "common beginning %.*s%d", rand() % 4, "aaaa", rand() % 50);
		texts[i] = span_of(bytes[i], (size_t)(rand() % 3 ? n : rand() % (n + 1)));
		words[i] = span_of("\xff\x80xyzxyzxyzxyz", (size_t)(rand() % 14));
		numbers[i] = (uint64_t)(rand() % 3) << (rand() % 60);
	}
	for (unsigned choice = 0; choice < 16; choice++) {
		struct sort_values keys[] = {{.texts = texts, .is_reverse = choice & 1}, {.numbers = numbers, .is_reverse = choice & 2}, {.texts = words, .is_reverse = choice & 4}};
		struct sort_values turned[] = {keys[2], keys[1], keys[0]};
		compared = choice & 8 ? turned : keys;
		compared_count = 3;
		sort_messages(compared, 3, order, COUNT);
		for (uint32_t i = 0; i < COUNT; i++)
			wanted[i] = i;
		qsort(wanted, COUNT, sizeof wanted[0], by_all_keys);
		assert_memory_equal(order, wanted, sizeof wanted);
	}
	sort_messages(NULL, 0, order, 5);
	assert_true(order[0] == 0 && order[4] == 4);
	sort_messages(NULL, 0, order, 0);
}

/* ---- threading ---- */

struct mail {
	const char *ids;     /* its own, then those that it refers to; "-" for none of its own */
	const char *subject;
	bool is_reply;
	int64_t date;
};

static void say(enum thread_algorithm algorithm, const struct mail *mails, size_t n, struct buf *text)
{
	struct thread_message *messages = calloc(n + 1, sizeof *messages);
	struct buf *ids = calloc(n + 1, sizeof *ids);
	BUF_AUTO out = {0};
	bool has_space = false;
	for (size_t i = 0; i < n; i++) {
		for (const char *c = mails[i].ids; *c; c++)
			pack_u64(&ids[i], *c == '-' ? 0 : (uint64_t)*c);
		messages[i] = (struct thread_message){(uint32_t)i + 1, mails[i].date, span_cstr(mails[i].subject), mails[i].is_reply, buf_span(&ids[i])};
	}
	thread_messages(algorithm, messages, n, &out);
	struct unpacker u = {.rest = buf_span(&out)};
	while (u.rest.len) {
		uint32_t token = unpack_u32(&u);
		if (has_space && token != THREAD_CLOSE)
			buf_add_char(text, ' ');
		has_space = token != THREAD_OPEN && token != THREAD_CLOSE;
		if (has_space)
			buf_add_number(text, token);
		else
			buf_add_char(text, token == THREAD_OPEN ? '(' : ')');
	}
	for (size_t i = 0; i < n; i++)
		buf_free(&ids[i]);
	free(ids);
	free(messages);
}

#define ASSERT_THREADS(algorithm, mails, wanted) \
	do { \
		BUF_AUTO text_ = {0}; \
		say(algorithm, mails, sizeof(mails) / sizeof(mails[0]), &text_); \
		assert_string_equal(buf_cstr(&text_), wanted); \
	} while (0)

static void references_make_threads(void **state)
{
	static const struct mail chain[] = {{"a", "S", false, 1}, {"ba", "S", true, 2}, {"cab", "S", true, 3}};
	static const struct mail fork[] = {{"a", "S", false, 1}, {"ba", "S", true, 3}, {"ca", "S", true, 2}, {"dab", "S", true, 4}};
	static const struct mail turned[] = {{"cab", "S", true, 3}, {"ba", "S", true, 2}, {"a", "S", false, 1}};
	/* two replies to one that is not there: a dummy with two children stays at the top; with one it goes (step 3) */
	static const struct mail dummy[] = {{"ba", "B", false, 1}, {"ca", "C", false, 2}, {"ex", "E", false, 3}};
	/* a loop is not made (step 1.A) */
	static const struct mail loop[] = {{"ab", "S", false, 1}, {"ba", "S", false, 2}};
	/* the second message of an id has another one (step 1.A) */
	static const struct mail twice[] = {{"a", "S", false, 1}, {"a", "T", false, 2}, {"ba", "S", true, 3}};
	static const struct mail self[] = {{"aa", "S", false, 1}, {"-", "T", false, 2}};
	(void)state;
	ASSERT_THREADS(THREAD_REFERENCES, chain, "(1 2 3)");
	ASSERT_THREADS(THREAD_REFERENCES, fork, "(1 (3)(2 4))");
	ASSERT_THREADS(THREAD_REFERENCES, turned, "(3 2 1)");
	ASSERT_THREADS(THREAD_REFERENCES, dummy, "((1)(2))(3)");
	ASSERT_THREADS(THREAD_REFERENCES, loop, "(2 1)");
	ASSERT_THREADS(THREAD_REFERENCES, twice, "(1 3)(2)");
	ASSERT_THREADS(THREAD_REFERENCES, self, "(1)(2)");
	ASSERT_THREADS(THREAD_REFS, dummy, "((1)(2))(3)");
}

/* Step 5. */
static void subjects_join_threads(void **state)
{
	static const struct mail reply[] = {{"a", "S", false, 1}, {"b", "S", true, 2}, {"c", "T", false, 3}};
	static const struct mail neither[] = {{"a", "S", false, 1}, {"b", "S", false, 2}};
	static const struct mail first_is_reply[] = {{"a", "S", true, 1}, {"b", "S", false, 2}};
	static const struct mail empty[] = {{"a", "", false, 1}, {"b", "", true, 2}};
	static const struct mail dummies[] = {{"ax", "S", false, 1}, {"bx", "S", false, 2}, {"cy", "S", false, 3}, {"dy", "Q", false, 4}};
	static const struct mail three[] = {{"a", "S", false, 1}, {"b", "S", false, 2}, {"c", "S", false, 3}, {"d", "S", true, 4}};
	(void)state;
	ASSERT_THREADS(THREAD_REFERENCES, reply, "(1 2)(3)");
	ASSERT_THREADS(THREAD_REFERENCES, neither, "((1)(2))");
	ASSERT_THREADS(THREAD_REFERENCES, first_is_reply, "(2 1)");
	ASSERT_THREADS(THREAD_REFERENCES, empty, "(1)(2)");
	ASSERT_THREADS(THREAD_REFERENCES, dummies, "((1)(2)(3)(4))");
	ASSERT_THREADS(THREAD_REFERENCES, three, "((1)(2)(3)(4))");
	ASSERT_THREADS(THREAD_REFS, reply, "(1)(2)(3)");
}

static void refs_come_by_their_newest_message(void **state)
{
	static const struct mail mails[] = {{"a", "S", false, 1}, {"b", "T", false, 5}, {"ca", "S", true, 9}, {"d", "U", false, 7}};
	(void)state;
	ASSERT_THREADS(THREAD_REFS, mails, "(2)(4)(1 3)");
	ASSERT_THREADS(THREAD_REFERENCES, mails, "(1 3)(2)(4)");
}

static void ordered_subjects_have_one_level(void **state)
{
	static const struct mail mails[] = {{"a", "S", false, 5}, {"b", "T", false, 1}, {"c", "S", true, 2}, {"d", "S", false, 9}, {"e", "T", false, 3}, {"f", "", false, 4}};
	(void)state;
	ASSERT_THREADS(THREAD_ORDEREDSUBJECT, mails, "(2 5)(3 (1)(4))(6)");
}

/* Whatever the references say, each message comes once, and it takes no long. */
static void hostile_references_are_threaded_in_time(void **state)
{
	enum { COUNT = 20000, REFERENCES = 64 };
	struct thread_message *messages = calloc(COUNT, sizeof *messages);
	struct buf *ids = calloc(COUNT, sizeof *ids);
	(void)state;
	srand(3);
	for (int kind = 0; kind < 4; kind++) {
		BUF_AUTO out = {0};
		for (uint32_t i = 0; i < COUNT; i++) {
			buf_clear(&ids[i]);
			/* a chain upwards, a chain downwards, at random among themselves, and of ids that nobody has */
			pack_u64(&ids[i], kind == 2 ? (uint64_t)(rand() % 500) : i + 1);
			for (unsigned r = 0; r < (kind < 2 ? 1 : REFERENCES); r++)
				pack_u64(&ids[i], kind == 0 ? i : kind == 1 ? i + 2 : kind == 2 ? (uint64_t)(rand() % 500 + 1) : (uint64_t)i << 32 | (r + 1));
			messages[i] = (struct thread_message){i + 1, rand() % 100, SPAN("S"), rand() % 2, buf_span(&ids[i])};
		}
		thread_messages(kind % 2 ? THREAD_REFS : THREAD_REFERENCES, messages, COUNT, &out);
		struct unpacker u = {.rest = buf_span(&out)};
		char *seen = calloc(COUNT + 1, 1);
		int64_t depth = 0;
		while (u.rest.len) {
			uint32_t token = unpack_u32(&u);
			depth += token == THREAD_OPEN ? 1 : token == THREAD_CLOSE ? -1 : 0;
			if (token == THREAD_OPEN || token == THREAD_CLOSE)
				continue;
			assert_true(token <= COUNT && !seen[token] && depth > 0);
			seen[token] = 1;
		}
		assert_int_equal(depth, 0);
		for (uint32_t i = 1; i <= COUNT; i++)
			assert_true(seen[i]);
		free(seen);
	}
	for (uint32_t i = 0; i < COUNT; i++)
		buf_free(&ids[i]);
	free(ids);
	free(messages);
}

/* ---- what is written ---- */

static void columns_are_read_as_they_were_written(void **state)
{
	struct span values[SEGMENT_ROWS] = {0};
	struct column_values c = {0};
	(void)state;
	values[0] = SPAN("first");
	values[7] = SPAN("");
	values[255] = SPAN("last");
	columns_pack(values, &c.memory);
	assert_true(columns_unpack(&c));
	assert_true(span_equal(c.values[0], SPAN("first")) && span_equal(c.values[255], SPAN("last")));
	assert_true(c.values[7].ptr && c.values[7].len == 0 && !c.values[1].ptr);
	size_t len = c.memory.len;
	for (c.memory.len = 0; c.memory.len < len; c.memory.len++)
		if (columns_unpack(&c))
			assert_true(!c.values[255].ptr); /* a column may end behind any value */
	c.memory.ptr[1]++;
	c.memory.len = len;
	assert_false(columns_unpack(&c)); /* another version of Unicode */
	buf_free(&c.memory);
}

static void blocks_are_read_as_they_were_written(void **state)
{
	struct kept_text texts[BLOCK_ROWS] = {[2] = {SPAN("a text"), false}, [15] = {SPAN(""), true}};
	struct text_block b = {0};
	(void)state;
	text_block_pack(texts, &b.memory);
	assert_true(text_block_unpack(&b));
	assert_true(span_equal(b.texts[2].text, SPAN("a text")) && b.texts[15].is_cut && b.texts[15].text.ptr && !b.texts[0].text.ptr);
	b.memory.len--;
	b.memory.ptr[b.memory.len - 3]++;
	assert_false(text_block_unpack(&b));
	buf_free(&b.memory);
}

#define TEXT "The quick brown f\xc3\xb6x \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e jumps"
/* Each part of a text has all its trigrams in the pages of where it stands, and of nowhere else. */
static void trigrams_never_miss_a_needle(void **state)
{
	static uint16_t masks[TRIGRAM_HASHES];
	static const char text[] = TEXT;
	uint32_t hashes[8];
	(void)state;
	trigrams_add(masks, SPAN("\376nothing of that"), 3);
	trigrams_add(masks, SPAN("\377x: y\376\377" TEXT), 9);
	trigrams_add(masks, SPAN("\377x: " TEXT "\376\377y"), 10);
	for (size_t from = 0; from < sizeof text - 1; from++)
		for (size_t len = 3; from + len < sizeof text; len++)
			for (enum text_place place = 0; place < TEXT_PLACES; place++) {
				size_t count = trigrams_of(place, span_of(text + from, len), hashes, 8);
				assert_true(count > 0);
				unsigned mask = UINT16_MAX;
				for (size_t i = 0; i < count; i++) {
					BUF_AUTO page = {0};
					trigram_page_pack(masks, hashes[i] / 256, &page);
					mask &= trigram_page_mask(buf_span(&page), hashes[i]);
				}
				assert_int_equal(mask, place == IN_BODY ? 1 << 9 : 1 << 10);
			}
	assert_int_equal(trigrams_of(IN_BODY, SPAN("ab"), hashes, 8), 0);
	assert_int_equal(trigrams_of(IN_BODY, SPAN("abc"), hashes, 8), 1);
	/* what cannot be read rules nothing out */
	assert_int_equal(trigram_page_mask(SPAN(""), 5), UINT16_MAX);
	assert_int_equal(trigram_page_mask(SPAN("\001\001\001ab"), 5), UINT16_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_keys_are_sorted),
		cmocka_unit_test(references_make_threads),
		cmocka_unit_test(subjects_join_threads),
		cmocka_unit_test(refs_come_by_their_newest_message),
		cmocka_unit_test(ordered_subjects_have_one_level),
		cmocka_unit_test(hostile_references_are_threaded_in_time),
		cmocka_unit_test(columns_are_read_as_they_were_written),
		cmocka_unit_test(blocks_are_read_as_they_were_written),
		cmocka_unit_test(trigrams_never_miss_a_needle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
