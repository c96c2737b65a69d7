/* Finding by words: see words.h. */
#include "store/mailbox/words.h"

#include "base/pack.h"
#include "wire/casefold.h"

enum { WORDS_VERSION = 1, PLACES_OF_BITS = 0xffff /* count: a bit for each message instead of numbers */ };

/* ---- keys and heads ---- */

bool word_has_byte(char c)
{
	/* 0xff and 0xfe are the marks of a gathered text */
	return ascii_is_alpha(c) || ascii_is_digit(c) || ((unsigned char)c >= 0x80 && (unsigned char)c < 0xfe);
}

void words_key(struct buf *key, uint32_t mailbox, char what, uint32_t segment, unsigned part)
{
	index_key_begin(key, 'f', mailbox);
	buf_add_char(key, what);
	pack_sorted_u32(key, segment);
	pack_sorted_u16(key, (uint16_t)part);
}

void words_pack_head(struct buf *out)
{
	pack_u8(out, WORDS_VERSION);
	pack_u16(out, casefold_version());
}

static bool unpack_head(struct unpacker *u)
{
	return unpack_u8(u) == WORDS_VERSION && unpack_u16(u) == casefold_version() && !u->bad;
}

/* ---- a part ---- */

bool word_scan_next(struct word_scan *s, struct span needle, unsigned *word)
{
	if (!s->is_begun) {
		struct unpacker u = {.rest = s->rest};
		s->is_begun = true;
		s->bad = !unpack_head(&u) || u.rest.len == 0 || *u.rest.ptr != '\n';
		s->rest = s->bad ? SPAN("") : span_skip(u.rest, 1);
	}
	const char *at = s->rest.len >= needle.len ? memmem(s->rest.ptr, s->rest.len, needle.ptr, needle.len) : NULL;
	if (!at)
		return false;
	for (const char *line = s->rest.ptr; (line = memchr(line, '\n', (size_t)(at - line))); line++)
		s->next++;
	*word = s->next++;
	struct span behind = span_skip(s->rest, (size_t)(at - s->rest.ptr) + needle.len);
	ssize_t end = span_chr(behind, '\n');
	s->rest = end < 0 ? SPAN("") : span_skip(behind, (size_t)end + 1);
	return true;
}

void word_places_pack(struct buf *out, const uint16_t *messages, size_t count)
{
	struct word_places places = {0};
	size_t start = out->len;
	pack_u16(out, (uint16_t)count);
	for (size_t i = 0, before = 0; i < count; before = messages[i++]) {
		size_t step = messages[i] - before;
		if (step >= 0x80)
			pack_u8(out, (uint8_t)(0x80 | step >> 8));
		pack_u8(out, (uint8_t)step);
		places.bits[messages[i] / 64] |= (uint64_t)1 << messages[i] % 64;
	}
	if (out->len - start <= sizeof places.bits)
		return;
	out->len = start;
	pack_u16(out, PLACES_OF_BITS);
	for (unsigned i = 0; i < WORD_PLACES; i++)
		pack_u64(out, places.bits[i]);
}

/* Of one word. */
static void unpack_places(struct unpacker *u, struct word_places *places)
{
	uint16_t count = unpack_u16(u);
	unsigned message = 0;
	if (count == PLACES_OF_BITS) {
		for (unsigned i = 0; i < WORD_PLACES; i++)
			places->bits[i] |= unpack_u64(u);
		return;
	}
	for (unsigned i = 0; i < count && !u->bad; i++) {
		unsigned step = unpack_u8(u);
		if (step & 0x80)
			step = (step & 0x7f) << 8 | unpack_u8(u);
		message += step;
		u->bad |= message >= WORDS_ROWS;
		if (!u->bad)
			places->bits[message / 64] |= (uint64_t)1 << message % 64;
	}
}

bool word_places_read(struct word_places_reader *r, unsigned word, struct word_places *places)
{
	struct word_places others = {0};
	if (!r->is_begun && !unpack_head(&r->u))
		r->u.bad = true;
	r->is_begun = true;
	for (; r->next < word && !r->u.bad; r->next++)
		unpack_places(&r->u, &others);
	if (!r->u.bad && r->next++ == word)
		unpack_places(&r->u, places);
	return !r->u.bad;
}

/* ---- a segment ---- */

/* Longest run of bytes that stand in words. */
static struct span longest_run(struct span needle)
{
	struct span longest = {0};
	for (size_t from = 0, at = 0; at <= needle.len; at++) {
		if (at < needle.len && word_has_byte(needle.ptr[at]))
			continue;
		if (at - from > longest.len)
			longest = span_slice(needle, from, at - from);
		from = at + 1;
	}
	return longest;
}

/* Adds the messages of those words of a part that have the run. */
static bool find_in_part(const struct account *a, uint32_t mailbox, uint32_t segment, unsigned part, struct span words, struct span run, struct word_places *out, size_t *rows)
{
	BUF_AUTO key = {0}, places = {0};
	struct word_scan scan = {.rest = words};
	struct word_places_reader reader = {0};
	unsigned word;
	while (word_scan_next(&scan, run, &word)) {
		if (!reader.is_begun) {
			words_key(&key, mailbox, 'p', segment, part);
			++*rows;
			if (engine_get(a->worker->engine, account_partition(a), buf_span(&key), &places, NULL) <= 0)
				return false;
			reader.u.rest = buf_span(&places);
		}
		if (!word_places_read(&reader, word, out))
			return false;
	}
	return !scan.bad;
}

/* Adds the messages with words that have the run. False if a part is missing or damaged. */
static bool find_run(const struct account *a, uint32_t mailbox, uint32_t segment, unsigned parts, struct span run, struct word_places *out, size_t *rows)
{
	BUF_AUTO from = {0}, to = {0}, expected = {0};
	struct span key, words;
	unsigned part = 0;
	words_key(&from, mailbox, 'd', segment, 0);
	words_key(&to, mailbox, 'd', segment, parts);
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), buf_span(&to));
	for (; part < parts && engine_scan_next(scan, &key, &words, NULL) > 0; part++) {
		words_key(&expected, mailbox, 'd', segment, part);
		++*rows;
		if (!span_equal(key, buf_span(&expected)) || !find_in_part(a, mailbox, segment, part, words, run, out, rows))
			break;
	}
	engine_scan_close(scan);
	return part == parts;
}

static bool read_rest(const struct account *a, uint32_t mailbox, uint32_t segment, unsigned *parts, struct word_places *out)
{
	BUF_AUTO key = {0}, value = {0};
	words_key(&key, mailbox, 'r', segment, 0);
	if (engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, NULL) <= 0)
		return false;
	struct unpacker u = {.rest = buf_span(&value)};
	bool is_ours = unpack_head(&u);
	*parts = unpack_u16(&u);
	for (unsigned i = 0; i < WORD_PLACES; i++)
		out->bits[i] = unpack_u64(&u);
	return is_ours && unpack_done(&u);
}

size_t words_find(const struct account *a, uint32_t mailbox, uint32_t segment, struct span needle, struct word_answer *out)
{
	struct span run = longest_run(needle);
	struct word_places found = {0};
	unsigned parts;
	size_t rows = 1;
	*out = (struct word_answer){0};
	if (run.len == 0 || run.len > WORD_BYTES_MOST || !read_rest(a, mailbox, segment, &parts, &out->may_have) ||
	    !find_run(a, mailbox, segment, parts, run, &found, &rows)) {
		memset(out->may_have.bits, 0xff, sizeof out->may_have.bits);
		return rows;
	}
	for (unsigned i = 0; i < WORD_PLACES; i++)
		out->may_have.bits[i] |= found.bits[i];
	if (run.len == needle.len)
		out->has = found;
	return rows;
}

void words_delete(struct account *a, uint32_t mailbox, uint32_t segment)
{
	static const char whats[] = {'d', 'p', 'r'};
	BUF_AUTO from = {0}, to = {0};
	for (size_t i = 0; i < sizeof whats; i++) {
		words_key(&from, mailbox, whats[i], segment, 0);
		words_key(&to, mailbox, whats[i], segment + 1, 0);
		batch_delete_range(&a->batch, account_partition(a), buf_span(&from), buf_span(&to));
	}
}
