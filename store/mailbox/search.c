/* SEARCH, SORT and THREAD (RFC 3501 §6.4.4, RFC 5256): a program of nodes (ipc/terms.h) is tried on every row. What needs a message's content is
 * looked for in what is kept of it (columns.h, texts.h), and asked of filter where that does not tell.
 *
 * A long search gives way after some work, so that others of its worker have their turn. */
#include "store/mailbox/search.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/parse.h"
#include "wire/rights.h"

#include <stdlib.h>

enum {
	ASKED_AT_ONCE = 16,
	ANSWER_BYTES = 64000,
	TURN_WORK = 40000,  /* messages, or what costs as much: some milliseconds */
	SEARCHES_MOST = 4,  /* of a view: a command, and what follows changes, of this mailbox and of the one before */
};

/* One message that filter works on. */
struct asked_row {
	struct search *search;
	uint32_t uid;
};

struct mailbox *search_mailbox(const struct search *s)
{
	const struct account *a = s->view->account;
	for (size_t i = 0; i < a->mailbox_count && !s->view->is_closed; i++)
		if (a->mailboxes[i]->id == s->mailbox)
			return a->mailboxes[i];
	return NULL;
}

struct found *search_found(const struct search *s, size_t *count)
{
	*count = s->found.len / sizeof(struct found);
	return (struct found *)s->found.ptr;
}

/* ---- life ---- */

static void free_search(struct search *s)
{
	struct view *v = s->view;
	for (struct search **at = &v->searches; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	for (size_t k = 0; k < s->needle_count; k++)
		for (unsigned place = 0; place < TEXT_PLACES; place++)
			buf_free(&s->needles[k].candidates[place]);
	for (unsigned c = 0; s->columns && c < SUMMARY_COLUMNS; c++)
		buf_free(&s->columns[c].memory);
	free(s->columns);
	buf_free(&s->program);
	buf_free(&s->packed_needles);
	buf_free(&s->block.memory);
	buf_free(&s->found);
	free(s);
	view_release(v);
}

static void free_if_over(struct search *s)
{
	if (!s->is_posted && !s->asked && !s->waiter.is_waiting)
		free_search(s);
}

void view_stop_searches(struct view *v)
{
	for (struct search *s = v->searches, *next; s; s = next) {
		next = s->next;
		for (size_t i = 0; s->waiter.is_waiting && i < v->account->mailbox_count; i++)
			if (v->account->mailboxes[i]->id == s->mailbox)
				indexer_do_not_wait(v->account->mailboxes[i], &s->waiter);
		free_if_over(s);
	}
}

static void post(struct search *s)
{
	if (s->is_posted)
		return;
	s->is_posted = true;
	worker_post(s->view->account->worker, &s->job);
}

/* ---- the answer ---- */

static int by_uid(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* What filter has told stands behind what was known at once. */
static void sort_by_uid(struct search *s)
{
	size_t count;
	struct found *found = search_found(s, &count);
	for (size_t i = 1; i < count; i++)
		if (found[i].uid < found[i - 1].uid) {
			qsort(found, count, sizeof *found, by_uid);
			return;
		}
}

static void say_found(struct search *s, struct span found, struct span scores)
{
	/* in pieces of whole ranges and marks; edge puts them together again */
	do {
		struct buf out = {0};
		struct span piece = span_slice(found, 0, ANSWER_BYTES), piece_scores = span_slice(scores, 0, ANSWER_BYTES);
		msg_search_found_pack(&out, 0, &(struct msg_search_found){.session = s->view->session, .request = s->request, .found = piece,
		                                                          .scores = piece_scores});
		view_say(s->view, &out);
		found = span_skip(found, piece.len);
		scores = span_skip(scores, piece_scores.len);
	} while (found.len || scores.len);
}

static uint64_t modseq_of(const struct mailbox *m, uint32_t uid)
{
	size_t at = index_lower(&m->index, uid);
	return at < m->index.count && m->index.rows[at].uid == uid ? m->index.rows[at].modseq : 0;
}

/* Of what was found, while it is in the order of the index. */
static uint64_t highest_modseq(const struct search *s, const struct mailbox *m)
{
	size_t count;
	const struct found *found = search_found(s, &count);
	uint64_t highest = 0;
	for (size_t i = 0, at = count ? index_lower(&m->index, found[0].uid) : 0; i < count && at < m->index.count;) {
		const struct row *r = &m->index.rows[at];
		if (r->uid == found[i].uid && r->modseq > highest)
			highest = r->modseq;
		i += r->uid >= found[i].uid;
		at += i < count && r->uid < found[i].uid;
	}
	return highest;
}

/* RFC 7162 §3.1.10 */
static void say_done(struct search *s, const struct mailbox *m, uint64_t modseq)
{
	struct buf out = {0};
	size_t count;
	const struct found *found = search_found(s, &count);
	struct msg_search_done done = {.session = s->view->session, .request = s->request, .uidvalidity = m->uidvalidity, .modseq = modseq};
	if (count) {
		done.first_modseq = modseq_of(m, found[0].uid);
		done.last_modseq = modseq_of(m, found[count - 1].uid);
	}
	msg_search_done_pack(&out, 0, &done);
	view_say(s->view, &out);
}

static void answer(struct search *s, const struct mailbox *m)
{
	BUF_AUTO found = {0}, scores = {0};
	sort_by_uid(s);
	uint64_t modseq = highest_modseq(s, m);
	search_arrange(s, m, &found, &scores);
	say_found(s, buf_span(&found), buf_span(&scores));
	if (s->is_failed)
		view_say_done(s->view, s->request, REQUEST_FAILED, "some messages could not be read");
	else
		say_done(s, m, modseq);
}

/* ---- walking ---- */

static void on_answer(void *context, struct span cache, uint64_t matched, bool is_failed)
{
	struct asked_row *asked = context;
	struct search *s = asked->search;
	struct mailbox *m = search_mailbox(s);
	struct row *r = m ? index_find(&m->index, asked->uid) : NULL;
	struct found f = {.uid = asked->uid};
	(void)cache;
	s->asked--;
	s->is_failed |= is_failed && r != NULL;
	if (r && !is_failed && search_program_try(s, m, r, &matched, &f.score) == IS_TRUE)
		buf_add(&s->found, span_of(&f, sizeof f));
	free(asked);
	if (!s->is_walking)
		post(s);
}

/* The last of those that are undecided. */
static void ask_filter(struct search *s, const struct mailbox *m)
{
	uint32_t uid = s->undecided[--s->undecided_count];
	size_t at = index_lower(&m->index, uid);
	if (at == m->index.count || m->index.rows[at].uid != uid)
		return;
	const struct row *r = &m->index.rows[at];
	struct asked_row *asked = xcalloc(1, sizeof *asked);
	*asked = (struct asked_row){s, uid};
	s->asked++;
	parse_start(m->account->worker, r->blob, s->needs_body || !r->header_bytes ? r->size : r->header_bytes, PARSE_CACHE,
	            buf_span(&s->packed_needles), on_answer, asked);
}

/* True when every message has been tried. */
static bool walk(struct search *s, struct mailbox *m)
{
	for (size_t work = 0; work < TURN_WORK;) {
		while (s->undecided_count && s->asked < ASKED_AT_ONCE)
			ask_filter(s, m);
		if (s->undecided_count)
			return false;
		size_t done = search_segment(s, m);
		if (done == 0)
			return true;
		work += done;
	}
	post(s);
	return false;
}

static void on_columns(struct indexer_waiter *waiter)
{
	post((struct search *)((char *)waiter - offsetof(struct search, waiter)));
}

/* True when what it needs of the mailbox is there. */
static bool begin(struct search *s, struct mailbox *m)
{
	bool needs_columns = s->needs_columns || s->order != SEARCH_BY_UID;
	if (s->is_begun)
		return true;
	s->is_begun = true;
	if (s->needs_texts)
		search_choose_blocks(s, m);
	return !needs_columns || indexer_wait_for_columns(m, &s->waiter);
}

static void run(struct worker *w, struct job *j)
{
	struct search *s = (struct search *)((char *)j - offsetof(struct search, job));
	struct mailbox *m = search_mailbox(s);
	(void)w;
	s->is_posted = false;
	if (!m || !view_may_read(s->view, m)) {
		if (!s->asked && !s->waiter.is_waiting)
			view_say_done(s->view, s->request, REQUEST_NO_MAILBOX, m ? "it may not be read any more" : "the mailbox is gone");
		free_if_over(s);
		return;
	}
	if (!begin(s, m) || s->waiter.is_waiting)
		return;
	s->is_walking = true;
	bool is_over = walk(s, m);
	s->is_walking = false;
	if (!is_over || s->asked)
		return;
	answer(s, m);
	free_search(s);
}

/* ---- the question ---- */

/* The mailbox that is named, or the one that is open; NULL after the answer. */
static struct mailbox *mailbox_asked(struct request *r, const struct msg_search_ask *msg)
{
	struct error why = {0};
	if (msg->mailbox.len == 0)
		return request_mailbox(r, msg->request);
	struct mailbox *m = request_find(r, msg->request, msg->mailbox, RIGHT_READ);
	if (!m || mailbox_load(m, &why))
		return m;
	log_event(LOG_LEVEL_ERROR, "mailbox-damaged", log_c("account", r->account->partition), log_c("why", why.text));
	request_done(r, msg->request, REQUEST_FAILED, "the mailbox cannot be read");
	return NULL;
}

/* RFC 5256 §3: a key that comes again decides nothing. -1 if one is none. */
static int take_keys(struct search *s, struct span keys)
{
	for (size_t i = 0; i < keys.len; i++) {
		uint8_t key = (uint8_t)keys.ptr[i];
		bool is_there = false;
		if ((key & ~SORT_REVERSE) >= SORT_KEYS)
			return -1;
		for (size_t k = 0; k < s->key_count; k++)
			is_there |= (s->keys[k] & ~SORT_REVERSE) == (key & ~SORT_REVERSE);
		if (!is_there)
			s->keys[s->key_count++] = key;
	}
	return 0;
}

void search_asked(void *context, const struct msg_search_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = mailbox_asked(r, msg);
	unsigned count = 0;
	if (!m)
		return;
	for (const struct search *other = r->view->searches; other; other = other->next)
		count++;
	struct search *s = xcalloc(1, sizeof *s);
	*s = (struct search){.job.run = run, .waiter.ready = on_columns, .view = r->view, .reader = r->view->reader, .request = msg->request, .mailbox = m->id,
	                     .uid_most = msg->uid_most, .order = msg->order, .thread = msg->thread, .next_uid = 1, .now_ms = (uint64_t)clock_wall_ms(),
	                     .next = r->view->searches, .is_posted = true};
	r->view->searches = s;
	if (search_program_check(s, msg->program) || take_keys(s, msg->keys) || count >= SEARCHES_MOST) {
		free_search(s);
		request_done(r, msg->request, REQUEST_LIMIT, "the search is too large");
		return;
	}
	account_when_durable(r->account, &s->job);
}
