/* The indexer: see indexer.h.
 * A step asks filter for what the next segment's columns need, or for the texts of the next block; when all answers are there, the next
 * step writes. Each step begins when all that was changed before is on the disk, since messages are read from the engine. */
#include "store/mailbox/indexing.h"

#include "base/die.h"
#include "store/mailbox/outline.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ASKED_MOST = 16, ASKED_IN_A_HURRY_MOST = 64 };

static void tell_waiters(struct indexing *x);

/* ---- life ---- */

static void run_job(struct worker *w, struct job *j);
static void run_step(struct worker *w, struct job *j);

struct indexing *indexing_of(struct mailbox *m)
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

static void free_if_over(struct indexing *x)
{
	if (x->mailbox || x->idle.is_posted || x->hurried.is_posted || x->asked)
		return;
	free_slots(x);
	indexing_forget_texts(x);
	indexing_forget_words(x);
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

void indexing_read_mark(struct indexing *x)
{
	if (!x->has_mark)
		watermark_read(x->account, x->mailbox->id, &x->mark);
	x->has_mark = true;
}

void indexing_begin_batch(struct account *a)
{
	if (batch_is_empty(&a->batch))
		a->batch.is_durable = false;
}

void indexing_end_batch(struct indexing *x, struct watermark mark)
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

void indexing_ask(struct indexing *x, const struct row *r, enum parse_want want, parse_done_fn *done, bool is_repeated)
{
	uint64_t size = want == PARSE_SUMMARY && r->header_bytes ? r->header_bytes : r->size;
	parse_start(x->account->worker, r->blob, size, want, SPAN(""), done, new_asked(x, r->uid, is_repeated));
}

bool indexing_end_asked(struct asked *asked, bool is_again, bool is_failed, enum parse_want want, parse_done_fn *done)
{
	struct indexing *x = asked->indexing;
	bool is_gone = !x->mailbox;
	const struct row *r = is_again && !is_gone ? index_find(&x->mailbox->index, asked->uid) : NULL;
	x->asked--;
	x->account->indexing_count--;
	free(asked);
	if (r)
		indexing_ask(x, r, want, done, is_failed);
	else if (is_gone)
		free_if_over(x);
	return r || is_gone;
}

enum slot_state indexing_state_after(struct mailbox *m, bool is_failed)
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
	if (indexing_end_asked(asked, is_again, is_failed, PARSE_SUMMARY, on_summary))
		return;
	enum slot_state state = indexing_state_after(x->mailbox, is_failed);
	/* of a message that is gone the answer may come when its segment has been written */
	if (uid / SEGMENT_ROWS == x->mark.columns_next && x->slots) {
		struct slot *slot = &x->slots[uid % SEGMENT_ROWS];
		slot->state = state;
		buf_clear(&slot->summary);
		if (!is_failed && cache.len <= SUMMARY_BYTES_MAX)
			buf_add(&slot->summary, cache);
	}
	if (x->asked == 0 || x->asked == ASKED_MOST / 2)
		indexing_post(x);
}

/* From the structure that is kept, or from the message's header. */
static void ask_summary(struct indexing *x, const struct row *r)
{
	BUF_AUTO key = {0}, cache = {0};
	account_cache_key(&key, r->blob);
	x->slots[r->uid % SEGMENT_ROWS].state = SLOT_ASKED;
	if (engine_get(x->account->worker->engine, account_partition(x->account), buf_span(&key), &cache, NULL) <= 0) {
		indexing_ask(x, r, PARSE_SUMMARY, on_summary, false);
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
	indexing_begin_batch(x->account);
	for (unsigned i = 0; x->slots && i < SEGMENT_ROWS; i++)
		if (index_find(&m->index, x->mark.columns_next * SEGMENT_ROWS + i))
			summaries[i] = x->slots[i].summary;
	columns_put(x->account, m->id, x->mark.columns_next, summaries);
	struct watermark mark = x->mark;
	mark.columns_next++;
	indexing_end_batch(x, mark);
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
	indexing_post(x);
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
		indexing_forget_words(x);
		tell_waiters(x);
		return;
	}
	/* another turn may have written since this one began to wait for the disk */
	if (atomic_load(&x->account->durable) < x->written) {
		indexing_post(x);
		return;
	}
	indexing_read_mark(x);
	bool had_waiters = x->waiters;
	if (x->mailbox->is_indexing_paused)
		indexing_forget_words(x);
	else if (step_columns(x) && !x->waiters && indexing_step_texts(x))
		outline_renew(x->mailbox);
	tell_waiters(x);
	if (had_waiters && !x->waiters)
		indexing_post(x); /* what nobody waits for goes on */
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

void indexing_post(struct indexing *x)
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
	indexing_post(indexing_of(m));
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
	indexing_post(x);
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
