/* Finding the messages of a search, segment by segment: what the index says, then what the columns say, then words and trigrams, then the
 * texts; what is left is for filter. */
#include "store/mailbox/search.h"

#include "base/die.h"
#include "base/pack.h"

#include <stdlib.h>

/* What it costs to look through a block, and for each needle, and to read a row of words, in messages. */
enum { BLOCK_WORK = 300, NEEDLE_WORK = 100, ROW_WORK = 20 };

/* ---- needles in columns ---- */

/* RFC 3501 §6.4.4: the date as it is written, without regard to time and zone. */
static enum truth try_date(const struct search_needle *n, struct span value)
{
	struct unpacker u = {.rest = value};
	if (!unpack_u8(&u))
		return IS_FALSE;
	unpack_u64(&u);
	int64_t written_s = (int64_t)unpack_u64(&u), day_s = (int64_t)(n->day_ms / 1000);
	if (n->node == SEARCH_SENT_BEFORE)
		return written_s < day_s ? IS_TRUE : IS_FALSE;
	return written_s >= day_s && (n->node == SEARCH_SENT_SINCE || written_s < day_s + 86400) ? IS_TRUE : IS_FALSE;
}

static enum truth try_field(const struct search_needle *n, struct span value)
{
	struct unpacker u = {.rest = value};
	enum summary_state state = unpack_u8(&u);
	struct span needle = n->text.text;
	bool has = needle.len == 0 || (u.rest.len >= needle.len && memmem(u.rest.ptr, u.rest.len, needle.ptr, needle.len));
	if (state == SUMMARY_ABSENT)
		return IS_FALSE;
	return has ? IS_TRUE : state == SUMMARY_WHOLE ? IS_FALSE : IS_UNKNOWN;
}

/* The column of the segment at hand, read when it is needed first; without values if it is not there. */
static const struct column_values *column_of(struct search *s, const struct mailbox *m, uint32_t segment, enum summary_column column,
                                             bool is_read[SUMMARY_COLUMNS])
{
	if (!s->columns)
		s->columns = xcalloc(SUMMARY_COLUMNS, sizeof *s->columns);
	if (!is_read[column] && !indexer_column(m, segment, column, &s->columns[column]))
		memset(s->columns[column].values, 0, sizeof s->columns[column].values);
	is_read[column] = true;
	return &s->columns[column];
}

static void try_columns(struct search *s, const struct mailbox *m, uint32_t segment)
{
	bool is_read[SUMMARY_COLUMNS] = {0};
	for (size_t k = 0; k < s->needle_count; k++) {
		struct search_needle *n = &s->needles[k];
		if (n->column == SUMMARY_COLUMNS)
			continue;
		const struct column_values *c = column_of(s, m, segment, n->column, is_read);
		for (unsigned i = 0; i < SEGMENT_ROWS; i++)
			if (c->values[i].ptr)
				n->truths[i] = (uint8_t)(n->column == SUMMARY_DATE ? try_date(n, c->values[i]) : try_field(n, c->values[i]));
	}
}

/* ---- needles in texts ---- */

/* Whether it is looked for there. */
static bool is_asked(const struct search_needle *n, enum text_place place)
{
	if (n->column != SUMMARY_COLUMNS)
		return false;
	return place == IN_BODY ? n->text.key != TEXT_SEARCH_HEADER : n->text.key != TEXT_SEARCH_BODY;
}

void search_choose_blocks(struct search *s, const struct mailbox *m)
{
	for (size_t k = 0; k < s->needle_count; k++) {
		struct search_needle *n = &s->needles[k];
		for (enum text_place place = 0; place < TEXT_PLACES; place++)
			if (is_asked(n, place))
				n->has_candidates[place] = trigrams_find(m->account, m->id, place, n->text.text, &n->candidates[place]);
	}
}

/* What the words of the segment that a message stands in say of all needles. How many rows were read. */
static size_t read_words(struct search *s, const struct mailbox *m, uint32_t uid)
{
	size_t rows = 0;
	if (s->has_words && s->words_segment == uid / WORDS_ROWS)
		return 0;
	s->has_words = true;
	s->words_segment = uid / WORDS_ROWS;
	for (size_t k = 0; k < s->needle_count; k++)
		if (is_asked(&s->needles[k], IN_BODY))
			rows += words_find(m->account, m->id, s->words_segment, s->needles[k].text.text, &s->needles[k].words);
	return rows;
}

/* Whether the trigrams let the block have the needle there. */
static bool is_candidate(const struct search_needle *n, enum text_place place, uint32_t block)
{
	const struct candidates *list = (const struct candidates *)n->candidates[place].ptr;
	uint32_t segment = block / BLOCKS_OF_SEGMENT;
	size_t low = 0, high = n->candidates[place].len / sizeof *list;
	if (!is_asked(n, place))
		return false;
	while (n->has_candidates[place] && low < high) {
		size_t middle = low + (high - low) / 2;
		if (list[middle].segment == segment)
			return list[middle].blocks >> block % BLOCKS_OF_SEGMENT & 1;
		if (list[middle].segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	return true; /* not indexed yet */
}

/* What words and trigrams say of a block's messages. True if some must be looked through. */
static bool try_needle(struct search_needle *n, uint32_t block)
{
	unsigned first = block % BLOCKS_OF_SEGMENT * BLOCK_ROWS;
	bool is_in_body = is_candidate(n, IN_BODY, block), is_in_header = is_candidate(n, IN_HEADER, block), may_have = false;
	for (unsigned i = 0; i < BLOCK_ROWS; i++) {
		uint32_t uid = block * BLOCK_ROWS + i;
		uint8_t *truth = &n->truths[first + i];
		if (*truth != IS_UNKNOWN)
			continue;
		if (is_asked(n, IN_BODY) && word_places_have(&n->words.has, uid))
			*truth = IS_TRUE;
		else if (!is_in_header && !(is_in_body && word_places_have(&n->words.may_have, uid)))
			*truth = IS_FALSE;
		else
			may_have = true;
	}
	return may_have;
}

/* Looks through a block's texts, if it is there, for the needles that are not decided. */
static void look_through(struct search *s, const struct mailbox *m, uint32_t block)
{
	unsigned first = block % BLOCKS_OF_SEGMENT * BLOCK_ROWS;
	if (texts_get(m->account, m->id, block, &s->block) <= 0)
		return;
	for (unsigned i = 0; i < BLOCK_ROWS; i++) {
		const struct kept_text *t = &s->block.texts[i];
		for (size_t k = 0; t->text.ptr && k < s->needle_count; k++) {
			struct search_needle *n = &s->needles[k];
			uint8_t *truth = &n->truths[first + i];
			if (*truth != IS_UNKNOWN || n->column == SUMMARY_DATE)
				continue;
			bool has = gathered_text_matches(t->text, &n->text);
			*truth = (uint8_t)(has ? IS_TRUE : t->is_cut ? IS_UNKNOWN : IS_FALSE);
		}
	}
}

/* The same of all needles. */
static bool try_needles(struct search *s, uint32_t block)
{
	bool may_have = false;
	for (size_t k = 0; k < s->needle_count; k++) {
		struct search_needle *n = &s->needles[k];
		if (n->column == SUMMARY_COLUMNS)
			may_have |= try_needle(n, block);
		else
			may_have |= n->column != SUMMARY_DATE;
	}
	return may_have;
}

/* ---- a segment ---- */

/* Tries the messages of the list again; what is decided leaves it. */
static void try_again(struct search *s, struct mailbox *m)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->undecided_count; i++) {
		struct found f = {.uid = s->undecided[i]};
		const struct row *r = index_find(&m->index, f.uid);
		enum truth truth = r ? search_program_try(s, m, r, NULL, &f.score) : IS_FALSE;
		if (truth == IS_TRUE)
			buf_add(&s->found, span_of(&f, sizeof f));
		else if (truth == IS_UNKNOWN)
			s->undecided[kept++] = f.uid;
	}
	s->undecided_count = kept;
}

static size_t try_blocks(struct search *s, struct mailbox *m)
{
	size_t work = s->needs_texts ? ROW_WORK * read_words(s, m, s->undecided[0]) : 0;
	uint64_t last = UINT64_MAX;
	for (size_t i = 0; i < s->undecided_count; i++) {
		uint32_t block = s->undecided[i] / BLOCK_ROWS;
		if (block != last && try_needles(s, block))
			work += BLOCK_WORK + NEEDLE_WORK * s->needle_count;
		last = block;
	}
	try_again(s, m);
	last = UINT64_MAX;
	for (size_t i = 0; i < s->undecided_count; i++) {
		uint32_t block = s->undecided[i] / BLOCK_ROWS;
		if (block != last)
			look_through(s, m, block);
		last = block;
	}
	try_again(s, m);
	return work;
}

size_t search_segment(struct search *s, struct mailbox *m)
{
	size_t at = index_lower(&m->index, s->next_uid), first = at, work;
	if (at == m->index.count || m->index.rows[at].uid > s->uid_most)
		return 0;
	uint32_t segment = m->index.rows[at].uid / SEGMENT_ROWS;
	for (size_t k = 0; k < s->needle_count; k++)
		memset(s->needles[k].truths, IS_UNKNOWN, sizeof s->needles[k].truths);
	for (; at < m->index.count && m->index.rows[at].uid / SEGMENT_ROWS == segment && m->index.rows[at].uid <= s->uid_most; at++) {
		const struct row *r = &m->index.rows[at];
		struct found f = {.uid = r->uid};
		enum truth truth = search_program_try(s, m, r, NULL, &f.score);
		if (truth == IS_TRUE)
			buf_add(&s->found, span_of(&f, sizeof f));
		else if (truth == IS_UNKNOWN)
			s->undecided[s->undecided_count++] = r->uid;
	}
	work = at - first;
	s->next_uid = m->index.rows[at - 1].uid + 1;
	if (s->next_uid == 0)
		s->next_uid = UINT32_MAX;
	if (s->undecided_count && s->needs_columns) {
		try_columns(s, m, segment);
		try_again(s, m);
	}
	if (s->undecided_count)
		work += try_blocks(s, m);
	return work;
}
