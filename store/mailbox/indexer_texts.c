/* The indexer's texts, trigrams and words, and what becomes of them when messages go: see indexer.h.
 * Texts are asked of filter block by block; trigrams and words are made of the texts of full segments. */
#include "store/mailbox/indexing.h"

#include "base/pack.h"
#include "store/mailbox/words.h"

enum { STALE_BLOCKS_MOST = 4096, BLOCKS_OF_WORDS = WORDS_ROWS / BLOCK_ROWS };

/* ---- texts ---- */

void indexing_forget_texts(struct indexing *x)
{
	for (unsigned i = 0; i < BLOCK_ROWS; i++) {
		buf_free(&x->texts[i]);
		x->text_states[i] = SLOT_EMPTY;
	}
}

static void on_text(void *context, struct span cache, uint64_t matched, bool is_failed)
{
	struct asked *asked = context;
	struct indexing *x = asked->indexing;
	unsigned at = asked->uid % BLOCK_ROWS;
	(void)matched;
	if (indexing_end_asked(asked, is_failed && !asked->is_repeated, is_failed, PARSE_TEXT, on_text))
		return;
	x->text_states[at] = indexing_state_after(x->mailbox, is_failed);
	buf_clear(&x->texts[at]);
	/* if there is none, it is one that is cut down to nothing: whoever looks for something asks filter */
	buf_add(&x->texts[at], !is_failed && cache.len > 1 ? cache : SPAN("\001\376"));
	if (x->asked == 0)
		indexing_post(x);
}

static void write_texts(struct indexing *x)
{
	struct kept_text texts[BLOCK_ROWS] = {0};
	indexing_begin_batch(x->account);
	for (unsigned i = 0; i < BLOCK_ROWS; i++)
		if (x->text_states[i] == SLOT_THERE && index_find(&x->mailbox->index, x->mark.texts_next * BLOCK_ROWS + i))
			texts[i] = (struct kept_text){span_skip(buf_span(&x->texts[i]), 1), x->texts[i].ptr[0] != 0};
	texts_put(x->account, x->mailbox->id, x->mark.texts_next, texts);
	indexing_forget_texts(x);
	x->mark.texts_next++;
	indexing_end_batch(x, x->mark);
}

static void write_trigrams(struct indexing *x)
{
	indexing_begin_batch(x->account);
	trigrams_put(x->account, x->mailbox->id, x->mark.trigrams_next);
	x->mark.trigrams_next++;
	indexing_end_batch(x, x->mark);
}

/* Asks for the texts of the block; true if they are all there. */
static bool ask_texts(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	bool has_all = true;
	for (size_t at = index_lower(&m->index, x->mark.texts_next * BLOCK_ROWS);
	     at < m->index.count && m->index.rows[at].uid / BLOCK_ROWS == x->mark.texts_next; at++) {
		const struct row *r = &m->index.rows[at];
		enum slot_state *state = &x->text_states[r->uid % BLOCK_ROWS];
		has_all &= *state == SLOT_THERE;
		if (*state != SLOT_EMPTY)
			continue;
		*state = SLOT_ASKED;
		indexing_ask(x, r, PARSE_TEXT, on_text, false);
	}
	return has_all;
}

/* ---- words ---- */

void indexing_forget_words(struct indexing *x)
{
	if (x->words)
		x->account->worker->gathers_words = false;
	words_free(x->words);
	x->words = NULL;
}

/* Of a block's messages. One that cannot be read may have had anything. */
static void gather_block(struct indexing *x, uint32_t block)
{
	struct text_block b = {0};
	if (texts_get(x->account, x->mailbox->id, block, &b) <= 0)
		memset(b.texts, 0, sizeof b.texts);
	for (unsigned i = 0; i < BLOCK_ROWS; i++) {
		const struct kept_text *t = &b.texts[i];
		words_add(x->words, block * BLOCK_ROWS + i, gathered_text_body(t->text), !t->text.ptr || t->is_cut);
	}
	buf_free(&b.memory);
}

/* Gathers the words of one block more, or writes some when all are there. Only one mailbox of a worker does so at a time: it takes memory. */
static void step_words(struct indexing *x)
{
	struct worker *w = x->account->worker;
	if (!x->words && w->gathers_words)
		return;
	if (!x->words) {
		w->gathers_words = true;
		x->words = words_new();
		x->words_block = x->mark.words_next * BLOCKS_OF_WORDS;
	}
	if (x->words_block / BLOCKS_OF_WORDS == x->mark.words_next) {
		gather_block(x, x->words_block++);
		return;
	}
	indexing_begin_batch(x->account);
	if (words_put(x->words, x->account, x->mailbox->id, x->mark.words_next)) {
		x->mark.words_next++;
		indexing_forget_words(x);
	}
	indexing_end_batch(x, x->mark);
}

/* ---- steps ---- */

/* The first unit of so many UIDs, from `next` on, that has messages; `end`, if none below that has. */
static uint32_t skip_empty(const struct mailbox *m, uint32_t next, uint32_t uids, uint32_t end)
{
	if (next >= end)
		return next;
	size_t at = index_lower(&m->index, next * uids);
	return at < m->index.count && m->index.rows[at].uid / uids < end ? m->index.rows[at].uid / uids : end;
}

/* What has no messages has nothing to be made of. What is at hand of messages that are gone is forgotten. */
static void skip_what_is_empty(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	struct watermark *mark = &x->mark, before = x->mark;
	mark->texts_next = skip_empty(m, mark->texts_next, BLOCK_ROWS, m->uidnext / BLOCK_ROWS);
	mark->trigrams_next = skip_empty(m, mark->trigrams_next, SEGMENT_ROWS, mark->texts_next / BLOCKS_OF_SEGMENT);
	mark->words_next = skip_empty(m, mark->words_next, WORDS_ROWS, mark->texts_next / BLOCKS_OF_WORDS);
	if (mark->texts_next != before.texts_next)
		indexing_forget_texts(x);
	if (mark->words_next != before.words_next)
		indexing_forget_words(x);
}

static void clean_block(struct indexing *x, uint32_t block);

bool indexing_step_texts(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	if (x->asked)
		return false;
	if (x->stale.len) {
		struct unpacker u = {.rest = span_skip(buf_span(&x->stale), x->stale.len - 4)};
		x->stale.len -= 4;
		clean_block(x, unpack_u32(&u));
	} else {
		skip_what_is_empty(x);
		if (x->mark.texts_next / BLOCKS_OF_SEGMENT > x->mark.trigrams_next)
			write_trigrams(x);
		else if (x->mark.texts_next / BLOCKS_OF_WORDS > x->mark.words_next)
			step_words(x);
		else if (m->uidnext / BLOCK_ROWS <= x->mark.texts_next)
			return true;
		else if (ask_texts(x))
			write_texts(x);
		else
			return false;
	}
	indexing_post(x);
	return false;
}

/* ---- messages that are gone ---- */

/* Takes the texts of messages that are gone out of their block. The trigrams stay: they only choose. */
static void clean_block(struct indexing *x, uint32_t block)
{
	struct mailbox *m = x->mailbox;
	struct text_block b = {0};
	bool has_some = false, is_changed = false;
	if (texts_get(x->account, m->id, block, &b) > 0) {
		for (unsigned i = 0; i < BLOCK_ROWS; i++) {
			bool is_there = index_find(&m->index, block * BLOCK_ROWS + i);
			is_changed |= b.texts[i].text.ptr && !is_there;
			if (!is_there)
				b.texts[i] = (struct kept_text){0};
			has_some |= is_there;
		}
	}
	indexing_begin_batch(x->account);
	if (is_changed && has_some)
		texts_put(x->account, m->id, block, b.texts);
	buf_free(&b.memory);
	indexing_end_batch(x, x->mark);
}

static bool has_rows(const struct mailbox *m, uint64_t first, uint64_t end)
{
	size_t at = first <= UINT32_MAX ? index_lower(&m->index, (uint32_t)first) : m->index.count;
	return at < m->index.count && m->index.rows[at].uid < end;
}

static void remove_block(struct mailbox *m, uint32_t block)
{
	struct indexing *x = m->indexing;
	if (block >= x->mark.texts_next)
		return;
	if (!has_rows(m, (uint64_t)block * BLOCK_ROWS, ((uint64_t)block + 1) * BLOCK_ROWS))
		texts_delete(m->account, m->id, block);
	else if (x->stale.len < STALE_BLOCKS_MOST * sizeof block)
		pack_u32(&x->stale, block);
}

static void remove_segment(struct mailbox *m, uint32_t segment)
{
	if (has_rows(m, (uint64_t)segment * SEGMENT_ROWS, ((uint64_t)segment + 1) * SEGMENT_ROWS))
		return;
	if (segment < m->indexing->mark.columns_next + m->indexing->is_written)
		columns_delete(m->account, m->id, segment);
	if (segment < m->indexing->mark.trigrams_next)
		trigrams_delete(m->account, m->id, segment);
	uint32_t words = segment / (WORDS_ROWS / SEGMENT_ROWS);
	if (words <= m->indexing->mark.words_next && !has_rows(m, (uint64_t)words * WORDS_ROWS, ((uint64_t)words + 1) * WORDS_ROWS))
		words_delete(m->account, m->id, words);
}

void indexer_removed(struct mailbox *m, struct span ranges)
{
	uint64_t next_block = 0, next_segment = 0;
	struct indexing *x = indexing_of(m);
	indexing_read_mark(x);
	for (size_t i = 0; i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		if (last >= m->uidnext)
			last = m->uidnext - 1;
		for (uint64_t block = first / BLOCK_ROWS; block <= last / BLOCK_ROWS && first <= last; block++)
			if (block >= next_block) {
				remove_block(m, (uint32_t)block);
				next_block = block + 1;
			}
		for (uint64_t segment = first / SEGMENT_ROWS; segment <= last / SEGMENT_ROWS && first <= last; segment++)
			if (segment >= next_segment) {
				remove_segment(m, (uint32_t)segment);
				next_segment = segment + 1;
			}
	}
	if (x->stale.len)
		indexing_post(x);
}
