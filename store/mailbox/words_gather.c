/* Gathering the words of a segment: see words.h. */
#include "store/mailbox/words.h"

#include "base/arena.h"
#include "base/die.h"
#include "base/map.h"
#include "base/pack.h"

#include <stdlib.h>

enum {
	WORDS_MOST = 150000, PLACES_MOST = 4 << 20, /* of a segment: some 30 MB in memory. Messages that have more than that fits count as not indexed */
	PART_BYTES = 4096,
	PARTS_AT_ONCE = 32,
};

struct word {
	struct span text;
	struct word *next_alike; /* with the same hash */
	struct word *next;       /* that came after it */
	struct buf messages;     /* uint16_t UID % WORDS_ROWS, rising */
};

struct words_gathered {
	struct arena memory;
	struct map by_hash;
	struct word *first, *last;
	size_t count, places;
	struct word_places rest;
	unsigned parts; /* that have been written, with the words in front of `first` */
};

struct words_gathered *words_new(void)
{
	return xcalloc(1, sizeof(struct words_gathered));
}

void words_free(struct words_gathered *w)
{
	if (!w)
		return;
	for (struct word *word = w->first; word; word = word->next)
		buf_free(&word->messages);
	map_free(&w->by_hash);
	arena_free(&w->memory);
	free(w);
}

static struct word *find_word(struct words_gathered *w, struct span text)
{
	uint64_t hash = span_hash(text, 0);
	struct word *alike = map_get(&w->by_hash, hash);
	for (struct word *word = alike; word; word = word->next_alike)
		if (span_equal(word->text, text))
			return word;
	if (w->count == WORDS_MOST)
		return NULL;
	struct word *word = arena_alloc(&w->memory, sizeof *word);
	*word = (struct word){.text = arena_dup(&w->memory, text), .next_alike = alike};
	map_put(&w->by_hash, hash, word);
	*(w->last ? &w->last->next : &w->first) = word;
	w->last = word;
	w->count++;
	return word;
}

/* False if it cannot be kept. */
static bool add_word(struct words_gathered *w, uint16_t message, struct span text)
{
	struct word *word = text.len <= WORD_BYTES_MOST ? find_word(w, text) : NULL;
	if (!word)
		return false;
	const uint16_t *messages = (const uint16_t *)word->messages.ptr;
	size_t count = word->messages.len / sizeof message;
	if (count && messages[count - 1] == message)
		return true;
	if (w->places == PLACES_MOST)
		return false;
	buf_add(&word->messages, span_of(&message, sizeof message));
	w->places++;
	return true;
}

void words_add(struct words_gathered *w, uint32_t uid, struct span body, bool is_cut)
{
	uint16_t message = uid % WORDS_ROWS;
	bool is_whole = !is_cut;
	for (size_t from = 0, at = 0; at <= body.len; at++) {
		if (at < body.len && word_has_byte(body.ptr[at]))
			continue;
		if (at > from)
			is_whole &= add_word(w, message, span_slice(body, from, at - from));
		from = at + 1;
	}
	if (!is_whole)
		w->rest.bits[message / 64] |= (uint64_t)1 << message % 64;
}

static void put_part(struct words_gathered *w, struct account *a, uint32_t mailbox, uint32_t segment)
{
	BUF_AUTO key = {0}, words = {0}, places = {0};
	words_pack_head(&words);
	words_pack_head(&places);
	for (; w->first && words.len + w->first->text.len < PART_BYTES; w->first = w->first->next) {
		struct word *word = w->first;
		buf_add_char(&words, '\n');
		buf_add(&words, word->text);
		word_places_pack(&places, (const uint16_t *)word->messages.ptr, word->messages.len / sizeof(uint16_t));
		buf_free(&word->messages);
	}
	words_key(&key, mailbox, 'd', segment, w->parts);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&words));
	words_key(&key, mailbox, 'p', segment, w->parts++);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&places));
}

bool words_put(struct words_gathered *w, struct account *a, uint32_t mailbox, uint32_t segment)
{
	BUF_AUTO key = {0}, value = {0};
	words_key(&key, mailbox, 'r', segment, 0);
	if (w->parts == 0)
		batch_delete(&a->batch, account_partition(a), buf_span(&key)); /* of the parts that may have been there before */
	for (unsigned i = 0; i < PARTS_AT_ONCE && w->first; i++)
		put_part(w, a, mailbox, segment);
	if (w->first)
		return false;
	words_pack_head(&value);
	pack_u16(&value, (uint16_t)w->parts);
	for (unsigned i = 0; i < WORD_PLACES; i++)
		pack_u64(&value, w->rest.bits[i]);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
	return true;
}
