/* The indexer: see indexer.h.
 * A step asks filter for what the next segment's columns need, or for the texts of the next block; when all answers are there, the next
 * step writes. Each step begins when all that was changed before is on the disk, since messages are read from the engine. */
#include "store/mailbox/indexer.h"

#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/texts.h"
#include "store/mailbox/watermark.h"
#include "store/parse.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ASKED_MOST = 16, ASKED_IN_A_HURRY_MOST = 64, STALE_BLOCKS_MOST = 4096 };

enum slot_state { SLOT_EMPTY, SLOT_ASKED, SLOT_THERE };

/* The summary of a message of the segment at hand. */
struct slot {
	enum slot_state state;
	struct buf summary;
};

/* A step that is due: `job` waits for its turn, `step` for the disk. */
struct turn {
	struct job job, step;
	struct indexing *indexing;
	bool is_posted;
};

struct indexing {
	struct mailbox *mailbox; /* NULL: it is gone */
	struct account *account;
	struct turn idle, hurried;
	unsigned asked;          /* questions to filter */
	bool is_written;         /* the columns of segment columns_next, which are on the disk at the next step */
	bool has_mark;
	struct watermark mark;
	uint64_t written;        /* number of the last commit with rows of ours */
	struct slot *slots;                               /* SEGMENT_ROWS, of segment columns_next; NULL: all are empty */
	struct buf texts[BLOCK_ROWS];                     /* of block texts_next: as filter gave them */
	enum slot_state text_states[BLOCK_ROWS];
	struct buf stale;        /* u32 blocks that have texts of messages that are gone */
	struct indexer_waiter *waiters;
};

/* A question to filter. */
struct asked {
	struct indexing *indexing;
	uint32_t uid;
	bool is_of_cache, is_repeated;
};

static void post(struct indexing *x);
static void tell_waiters(struct indexing *x);

/* ---- life ---- */

static void run_job(struct worker *w, struct job *j);
static void run_step(struct worker *w, struct job *j);

static struct indexing *indexing_of(struct mailbox *m)
{
	if (m->indexing)
		return m->indexing;
	struct indexing *x = xcalloc(1, sizeof *x);
	struct turn turn = {.job.run = run_job, .step.run = run_step, .indexing = x};
	*x = (struct indexing){.mailbox = m, .account = m->account, .idle = turn, .hurried = turn};
	m->indexing = x;
	return x;
}

static void free_slots(struct indexing *x)
{
	for (unsigned i = 0; x->slots && i < SEGMENT_ROWS; i++)
		buf_free(&x->slots[i].summary);
	free(x->slots);
	x->slots = NULL;
}

static void forget_texts(struct indexing *x)
{
	for (unsigned i = 0; i < BLOCK_ROWS; i++) {
		buf_free(&x->texts[i]);
		x->text_states[i] = SLOT_EMPTY;
	}
}

static void free_if_over(struct indexing *x)
{
	if (x->mailbox || x->idle.is_posted || x->hurried.is_posted || x->asked)
		return;
	free_slots(x);
	forget_texts(x);
	buf_free(&x->stale);
	free(x);
}

void indexer_forget(struct mailbox *m)
{
	struct indexing *x = m->indexing;
	if (!x)
		return;
	m->indexing = NULL;
	x->mailbox = NULL;
	tell_waiters(x);
	free_if_over(x);
}

/* ---- writing ---- */

static void read_mark(struct indexing *x)
{
	if (!x->has_mark)
		watermark_read(x->account, x->mailbox->id, &x->mark);
	x->has_mark = true;
}

/* Whatever is in the batch is derived: nobody waits for it. */
static void begin_batch(struct account *a)
{
	if (batch_is_empty(&a->batch))
		a->batch.is_durable = false;
}

/* Ends what was written with the watermark as it is then. */
static void end_batch(struct indexing *x, struct watermark mark)
{
	watermark_put(x->account, x->mailbox->id, &mark);
	account_settle(x->account);
	x->written = x->account->submitted;
}

/* ---- columns ---- */

static struct asked *new_asked(struct indexing *x, uint32_t uid, bool is_repeated)
{
	struct asked *asked = xcalloc(1, sizeof *asked);
	*asked = (struct asked){.indexing = x, .uid = uid, .is_repeated = is_repeated};
	x->asked++;
	x->account->indexing_count++;
	return asked;
}

static void ask(struct indexing *x, const struct row *r, enum parse_want want, parse_done_fn *done, bool is_repeated)
{
	uint64_t size = want == PARSE_SUMMARY && r->header_bytes ? r->header_bytes : r->size;
	parse_start(x->account->worker, r->blob, size, want, SPAN(""), done, new_asked(x, r->uid, is_repeated));
}

/* True if there is nothing to be done with the answer: the mailbox is gone, or it is asked again. */
static bool end_asked(struct asked *asked, bool is_again, bool is_failed, enum parse_want want, parse_done_fn *done)
{
	struct indexing *x = asked->indexing;
	bool is_gone = !x->mailbox;
	const struct row *r = is_again && !is_gone ? index_find(&x->mailbox->index, asked->uid) : NULL;
	x->asked--;
	x->account->indexing_count--;
	free(asked);
	if (r)
		ask(x, r, want, done, is_failed);
	else if (is_gone)
		free_if_over(x);
	return r || is_gone;
}

/* Of what was asked. Without any filter it waits until somebody wants something of the mailbox again. */
static enum slot_state state_after(struct mailbox *m, bool is_failed)
{
	m->is_indexing_paused = is_failed && !store_pick_filter(m->account->worker->store);
	return m->is_indexing_paused ? SLOT_EMPTY : SLOT_THERE;
}

static void on_summary(void *context, struct span cache, uint64_t matched, bool is_failed)
{
	struct asked *asked = context;
	struct indexing *x = asked->indexing;
	uint32_t uid = asked->uid;
	/* a structure may lack what is needed: one that had to be cut, or of an older version; and a filter may have died of another message */
	bool is_again = is_failed ? !asked->is_repeated : asked->is_of_cache && cache.len == 0;
	(void)matched;
	if (end_asked(asked, is_again, is_failed, PARSE_SUMMARY, on_summary))
		return;
	enum slot_state state = state_after(x->mailbox, is_failed);
	/* of a message that is gone the answer may come when its segment has been written */
	if (uid / SEGMENT_ROWS == x->mark.columns_next && x->slots) {
		struct slot *slot = &x->slots[uid % SEGMENT_ROWS];
		slot->state = state;
		buf_clear(&slot->summary);
		if (!is_failed && cache.len <= SUMMARY_BYTES_MAX)
			buf_add(&slot->summary, cache);
	}
	if (x->asked == 0 || x->asked == ASKED_MOST / 2)
		post(x);
}

/* From the structure that is kept, or from the message's header. */
static void ask_summary(struct indexing *x, const struct row *r)
{
	BUF_AUTO key = {0}, cache = {0};
	account_cache_key(&key, r->blob);
	x->slots[r->uid % SEGMENT_ROWS].state = SLOT_ASKED;
	if (engine_get(x->account->worker->engine, account_partition(x->account), buf_span(&key), &cache, NULL) <= 0) {
		ask(x, r, PARSE_SUMMARY, on_summary, false);
		return;
	}
	struct asked *asked = new_asked(x, r->uid, false);
	asked->is_of_cache = true;
	parse_start_cache(x->account->worker, buf_span(&cache), on_summary, asked);
}

static bool is_full_segment(const struct mailbox *m, uint32_t segment)
{
	return m->uidnext / SEGMENT_ROWS > segment;
}

static void write_columns(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	struct buf summaries[SEGMENT_ROWS] = {0};
	begin_batch(x->account);
	for (unsigned i = 0; x->slots && i < SEGMENT_ROWS; i++)
		if (index_find(&m->index, x->mark.columns_next * SEGMENT_ROWS + i))
			summaries[i] = x->slots[i].summary;
	columns_put(x->account, m->id, x->mark.columns_next, summaries);
	struct watermark mark = x->mark;
	mark.columns_next++;
	end_batch(x, mark);
	x->is_written = true;
}

/* What was written can be read from the engine now: until then it was read from memory. */
static void leave_written_segment(struct indexing *x)
{
	if (!x->is_written)
		return;
	x->is_written = false;
	x->mark.columns_next++;
	free_slots(x);
}

/* The segment at hand: what each of its messages has. `pending`: not there yet. */
static void look_at_segment(struct indexing *x, bool may_ask, bool *pending)
{
	struct mailbox *m = x->mailbox;
	unsigned most = x->waiters ? ASKED_IN_A_HURRY_MOST : ASKED_MOST;
	*pending = false;
	for (size_t at = index_lower(&m->index, x->mark.columns_next * SEGMENT_ROWS);
	     at < m->index.count && m->index.rows[at].uid / SEGMENT_ROWS == x->mark.columns_next; at++) {
		const struct row *r = &m->index.rows[at];
		if (x->slots && x->slots[r->uid % SEGMENT_ROWS].state == SLOT_THERE)
			continue;
		*pending = true;
		if (!x->slots)
			x->slots = xcalloc(SEGMENT_ROWS, sizeof *x->slots);
		if (may_ask && x->slots[r->uid % SEGMENT_ROWS].state == SLOT_EMPTY && x->asked < most)
			ask_summary(x, r);
	}
}

/* Segments without messages have nothing to be made of. */
static void skip_empty_segments(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	if (x->asked || !is_full_segment(m, x->mark.columns_next))
		return;
	size_t at = index_lower(&m->index, x->mark.columns_next * SEGMENT_ROWS);
	uint32_t next = at < m->index.count ? m->index.rows[at].uid / SEGMENT_ROWS : m->uidnext / SEGMENT_ROWS;
	if (next > x->mark.columns_next)
		free_slots(x); /* what they have is of messages that are gone */
	x->mark.columns_next = next > x->mark.columns_next ? next : x->mark.columns_next;
}

/* True if there is nothing left to do, as far as one may go. */
static bool step_columns(struct indexing *x)
{
	bool pending;
	leave_written_segment(x);
	skip_empty_segments(x);
	bool is_full = is_full_segment(x->mailbox, x->mark.columns_next);
	if (!is_full && !x->waiters)
		return true;
	look_at_segment(x, true, &pending);
	if (pending || !is_full)
		return !pending;
	write_columns(x);
	post(x);
	return false;
}

static bool has_all_columns(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	bool pending;
	uint32_t last = m->index.count ? m->index.rows[m->index.count - 1].uid / SEGMENT_ROWS : 0;
	if (!x->has_mark || (m->index.count && last > x->mark.columns_next))
		return false;
	look_at_segment(x, false, &pending);
	return !pending;
}

/* ---- texts ---- */

static void on_text(void *context, struct span cache, uint64_t matched, bool is_failed)
{
	struct asked *asked = context;
	struct indexing *x = asked->indexing;
	unsigned at = asked->uid % BLOCK_ROWS;
	(void)matched;
	if (end_asked(asked, is_failed && !asked->is_repeated, is_failed, PARSE_TEXT, on_text))
		return;
	x->text_states[at] = state_after(x->mailbox, is_failed);
	buf_clear(&x->texts[at]);
	/* if there is none, it is one that is cut down to nothing: whoever looks for something asks filter */
	buf_add(&x->texts[at], !is_failed && cache.len > 1 ? cache : SPAN("\001\376"));
	if (x->asked == 0)
		post(x);
}

static void write_texts(struct indexing *x)
{
	struct kept_text texts[BLOCK_ROWS] = {0};
	begin_batch(x->account);
	for (unsigned i = 0; i < BLOCK_ROWS; i++)
		if (x->text_states[i] == SLOT_THERE && index_find(&x->mailbox->index, x->mark.texts_next * BLOCK_ROWS + i))
			texts[i] = (struct kept_text){span_skip(buf_span(&x->texts[i]), 1), x->texts[i].ptr[0] != 0};
	texts_put(x->account, x->mailbox->id, x->mark.texts_next, texts);
	forget_texts(x);
	x->mark.texts_next++;
	end_batch(x, x->mark);
}

static void write_trigrams(struct indexing *x)
{
	begin_batch(x->account);
	trigrams_put(x->account, x->mailbox->id, x->mark.trigrams_next);
	x->mark.trigrams_next++;
	end_batch(x, x->mark);
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
		ask(x, r, PARSE_TEXT, on_text, false);
	}
	return has_all;
}

/* Blocks without messages have no texts; their segment's trigrams are made when it has others. */
static void skip_empty_blocks(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	size_t at = index_lower(&m->index, x->mark.texts_next * BLOCK_ROWS);
	uint32_t full = m->uidnext / BLOCK_ROWS, next = at < m->index.count && m->index.rows[at].uid / BLOCK_ROWS < full ? m->index.rows[at].uid / BLOCK_ROWS : full;
	if (next > x->mark.texts_next)
		forget_texts(x); /* of messages that are gone */
	x->mark.texts_next = next > x->mark.texts_next ? next : x->mark.texts_next;
	size_t first = index_lower(&m->index, x->mark.trigrams_next * SEGMENT_ROWS);
	uint32_t segment = x->mark.texts_next / BLOCKS_OF_SEGMENT;
	if (first < m->index.count && m->index.rows[first].uid / SEGMENT_ROWS < segment)
		segment = m->index.rows[first].uid / SEGMENT_ROWS;
	if (segment > x->mark.trigrams_next)
		x->mark.trigrams_next = segment;
}

static void clean_block(struct indexing *x, uint32_t block);

/* True if there is nothing left to do. */
static bool step_texts(struct indexing *x)
{
	struct mailbox *m = x->mailbox;
	if (x->asked)
		return false;
	if (x->stale.len) {
		struct unpacker u = {.rest = span_skip(buf_span(&x->stale), x->stale.len - 4)};
		x->stale.len -= 4;
		clean_block(x, unpack_u32(&u));
	} else {
		skip_empty_blocks(x);
		if (x->mark.texts_next / BLOCKS_OF_SEGMENT > x->mark.trigrams_next)
			write_trigrams(x);
		else if (m->uidnext / BLOCK_ROWS <= x->mark.texts_next)
			return true;
		else if (ask_texts(x))
			write_texts(x);
		else
			return false;
	}
	post(x);
	return false;
}

/* ---- messages that are gone ---- */

/* Takes the texts of messages that are gone out of their block. The trigrams stay: they only choose. */
static void clean_block(struct indexing *x, uint32_t block)
{
	struct mailbox *m = x->mailbox;
	struct text_block b = {0};
	bool has_some = false, is_changed = false;
	if (texts_get(x->account, m->id, block, &b)) {
		for (unsigned i = 0; i < BLOCK_ROWS; i++) {
			bool is_there = index_find(&m->index, block * BLOCK_ROWS + i);
			is_changed |= b.texts[i].text.ptr && !is_there;
			if (!is_there)
				b.texts[i] = (struct kept_text){0};
			has_some |= is_there;
		}
	}
	begin_batch(x->account);
	if (is_changed && has_some)
		texts_put(x->account, m->id, block, b.texts);
	buf_free(&b.memory);
	end_batch(x, x->mark);
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
}

void indexer_removed(struct mailbox *m, struct span ranges)
{
	uint64_t next_block = 0, next_segment = 0;
	struct indexing *x = indexing_of(m);
	read_mark(x);
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
		post(x);
}

/* ---- steps ---- */

static void tell_waiters(struct indexing *x)
{
	bool is_over = !x->mailbox || x->mailbox->is_gone || x->mailbox->is_indexing_paused;
	while (x->waiters && (is_over || has_all_columns(x))) {
		struct indexer_waiter *waiter = x->waiters;
		x->waiters = waiter->next;
		waiter->is_waiting = false;
		waiter->ready(waiter);
	}
}

static void take_turn(struct turn *turn)
{
	struct indexing *x = turn->indexing;
	turn->is_posted = false;
	x->account->indexing_count--;
	if (!x->mailbox) {
		free_if_over(x);
		return;
	}
	if (!x->mailbox->is_loaded || x->mailbox->is_gone) {
		tell_waiters(x);
		return;
	}
	/* another turn may have written since this one began to wait for the disk */
	if (atomic_load(&x->account->durable) < x->written) {
		post(x);
		return;
	}
	read_mark(x);
	bool had_waiters = x->waiters;
	if (!x->mailbox->is_indexing_paused && step_columns(x) && !x->waiters)
		step_texts(x);
	tell_waiters(x);
	if (had_waiters && !x->waiters)
		post(x); /* what nobody waits for goes on */
}

/* Everything that has been changed is on the disk. */
static void run_step(struct worker *w, struct job *j)
{
	(void)w;
	take_turn((struct turn *)((char *)j - offsetof(struct turn, step)));
}

static void run_job(struct worker *w, struct job *j)
{
	struct turn *turn = (struct turn *)((char *)j - offsetof(struct turn, job));
	(void)w;
	account_when_durable(turn->indexing->account, &turn->step);
}

static void post(struct indexing *x)
{
	struct turn *turn = x->waiters ? &x->hurried : &x->idle;
	if (turn->is_posted)
		return;
	turn->is_posted = true;
	x->account->indexing_count++;
	if (x->waiters)
		worker_post_answer(x->account->worker, &turn->job);
	else
		worker_post_idle(x->account->worker, &turn->job);
}

void indexer_wake(struct mailbox *m)
{
	m->is_indexing_paused = false;
	post(indexing_of(m));
}

void indexer_appended(struct mailbox *m, uint32_t uid)
{
	if (uid % BLOCK_ROWS == BLOCK_ROWS - 1)
		indexer_wake(m);
}

bool indexer_wait_for_columns(struct mailbox *m, struct indexer_waiter *waiter)
{
	struct indexing *x = indexing_of(m);
	if (has_all_columns(x))
		return true;
	m->is_indexing_paused = false;
	waiter->next = x->waiters;
	waiter->is_waiting = true;
	x->waiters = waiter;
	post(x);
	return false;
}

void indexer_do_not_wait(struct mailbox *m, struct indexer_waiter *waiter)
{
	if (!m->indexing || !waiter->is_waiting)
		return;
	struct indexer_waiter **at = &m->indexing->waiters;
	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	waiter->is_waiting = false;
}

bool indexer_column(const struct mailbox *m, uint32_t segment, enum summary_column column, struct column_values *out)
{
	const struct indexing *x = m->indexing;
	if (!x || !x->has_mark || segment > x->mark.columns_next)
		return false;
	if (segment < x->mark.columns_next)
		return columns_get(m->account, m->id, segment, column, out);
	memset(out->values, 0, sizeof out->values);
	for (unsigned i = 0; x->slots && i < SEGMENT_ROWS; i++) {
		struct span columns[SUMMARY_COLUMNS];
		if (x->slots[i].state == SLOT_THERE && message_summary_unpack(buf_span(&x->slots[i].summary), columns) == 0)
			out->values[i] = columns[column];
	}
	return true;
}
