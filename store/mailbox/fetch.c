/* Rows, parsed structure and bytes of messages for FETCH, RETR and TOP.
 *
 * A FETCH is answered in parts of about ROWS_BYTES; the next part is made when edge has room for it (fetch_more). It waits
 * first until what was changed before it is on the disk, since blobs and caches are read from the engine. */
#include "base/arena.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/columns.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"
#include "store/parse.h"

#include <stdlib.h>

enum { ROWS_BYTES = 128 * 1024 };

static void go_on(struct worker *w, struct job *j);

void fetch_pack_row(struct buf *rows, const struct view *v, struct mailbox *m, const struct row *r)
{
	pack_u32(rows, r->uid);
	pack_u8(rows, seen_flags(m, v->reader, r));
	pack_u64(rows, r->keywords);
	pack_u64(rows, r->modseq);
}

static void say_rows(struct cursor *c, struct buf *rows, bool is_last)
{
	struct buf out = {0};
	msg_fetch_rows_pack(&out, 0, &(struct msg_fetch_rows){.session = c->view->session, .request = c->request,
	                                                      .rows = buf_span(rows), .is_last = is_last});
	view_say(c->view, &out);
}

static void pack_inline(struct worker *w, const struct row *r, uint64_t size, struct buf *rows)
{
	BUF_AUTO bytes = {0};
	struct error why = {0};
	bool is_there = size <= FETCH_INLINE_MOST && blob_read(w->engine, r->blob, 0, size, &bytes, &why) > 0 && bytes.len == size;
	pack_u8(rows, is_there);
	if (is_there)
		pack_bytes(rows, buf_span(&bytes));
}

/* The parsed structure of a message that has none yet has come from filter. */
static void on_parsed(void *context, struct span cache, uint64_t matched, bool is_failed)
{
	(void)matched;
	struct cursor *c = context;
	struct account *a = c->view->account;
	struct mailbox *m = c->view->mailbox;
	c->is_waiting = false;
	struct row *r = m && !m->is_gone ? index_find(&m->index, c->next_uid) : NULL;
	if (c->view->is_closed || !c->is_active) {
		cursor_end(c);
		return;
	}
	if (r && !is_failed && cache.len) {
		BUF_AUTO key = {0};
		account_cache_key(&key, r->blob);
		if (batch_is_empty(&a->batch))
			a->batch.is_durable = false; /* derived: no harm if a crash takes it */
		batch_put(&a->batch, account_partition(a), buf_span(&key), cache);
		account_settle(a);
	} else {
		c->has_no_cache = true; /* not again for this message: it goes out without */
	}
	account_when_durable(a, &c->job);
}

/* Parsed structures of messages that stand one behind the other in the index. Those that came at about the same time have theirs side by side, where a scan
 * reads them in a fraction of the time of look-ups. */
enum { WINDOW_ROWS = 64, SCANNED_MOST = 4 * WINDOW_ROWS };
/* From so many messages on one reads the ENVELOPEs of their segment, which stand in one column. */
enum { ENVELOPES_FEWEST = 8 };

struct window {
	const struct row *first;
	size_t count;
	struct span caches[WINDOW_ROWS]; /* ptr is NULL where there is none */
	struct arena memory;
};

static int by_blob(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
	return memcmp(x->blob.bytes, y->blob.bytes, sizeof x->blob.bytes);
}

/* Of several messages. */
static void scan_caches(struct account *a, struct window *w)
{
	const struct row *sorted[WINDOW_ROWS];
	BUF_AUTO from = {0}, key = {0};
	struct span found, value;
	size_t at = 0, i = 0;
	do
		sorted[i] = &w->first[i];
	while (++i < w->count);
	qsort(sorted, w->count, sizeof *sorted, by_blob);
	account_cache_key(&from, sorted[0]->blob);
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), SPAN("q"));
	for (unsigned n = 0; at < w->count && n < SCANNED_MOST && engine_scan_next(scan, &found, &value, NULL) > 0; n++) {
		int order = -1;
		while (at < w->count && order < 0) {
			account_cache_key(&key, sorted[at]->blob);
			order = span_compare(buf_span(&key), found);
			if (order == 0)
				w->caches[sorted[at] - w->first] = arena_dup(&w->memory, value);
			at += order <= 0;
		}
	}
	engine_scan_close(scan);
}

static void read_window(struct account *a, struct window *w, const struct row *first, size_t count)
{
	arena_free(&w->memory);
	memset(w->caches, 0, sizeof w->caches);
	w->first = first;
	w->count = count < WINDOW_ROWS ? count : WINDOW_ROWS;
	if (w->count > 1)
		scan_caches(a, w);
}

/* The kept ENVELOPEs of the segment that a message stands in; without values where it has none yet. */
static void read_envelopes(struct cursor *c, uint32_t segment)
{
	const struct mailbox *m = c->view->mailbox;
	if (c->envelopes && c->envelopes_segment == segment)
		return;
	if (!c->envelopes)
		c->envelopes = xcalloc(1, sizeof *c->envelopes);
	c->envelopes_segment = segment;
	if (!columns_get(m->account, m->id, segment, SUMMARY_ENVELOPE, c->envelopes))
		memset(c->envelopes->values, 0, sizeof c->envelopes->values);
}

static struct span kept_envelope(const struct cursor *c, const struct row *r)
{
	bool is_read = c->want & FETCH_ENVELOPE && c->envelopes && c->envelopes_segment == r->uid / SEGMENT_ROWS;
	return is_read ? c->envelopes->values[r->uid % SEGMENT_ROWS] : (struct span){0};
}

/* Makes ready for the message and some of the `count` from it on what is quicker to have of several at once. */
static void look_ahead(struct cursor *c, struct window *w, const struct row *first, size_t count)
{
	if (c->want & FETCH_ENVELOPE && count >= ENVELOPES_FEWEST)
		read_envelopes(c, first->uid / SEGMENT_ROWS);
	bool is_kept = kept_envelope(c, first).len > 0;
	if (!is_kept && c->want & (FETCH_CACHE | FETCH_ENVELOPE) && (!w->first || first < w->first || first >= w->first + w->count))
		read_window(c->view->account, w, first, count);
}

/* As engine_get. */
static int read_cache(struct account *a, const struct window *w, const struct row *r, struct buf *cache)
{
	BUF_AUTO key = {0};
	if (w->caches[r - w->first].ptr) {
		buf_add(cache, w->caches[r - w->first]);
		return 1;
	}
	account_cache_key(&key, r->blob);
	return engine_get(a->worker->engine, account_partition(a), buf_span(&key), cache, NULL);
}

/* Appends a message's row. False: filter has been asked for its structure first. */
static bool pack_message(struct cursor *c, const struct row *r, const struct window *window, struct buf *rows)
{
	struct worker *w = c->view->account->worker;
	struct span envelope = kept_envelope(c, r);
	bool needs_cache = c->want & FETCH_CACHE || (c->want & FETCH_ENVELOPE && envelope.len == 0);
	BUF_AUTO cache = {0};
	if (needs_cache) {
		int found = read_cache(c->view->account, window, r, &cache);
		if (found <= 0 && !c->has_no_cache)
			return false;
		c->has_no_cache = false;
	}
	fetch_pack_row(rows, c->view, c->view->mailbox, r);
	if (c->want & FETCH_DATES) {
		pack_u64(rows, r->internaldate_ms);
		pack_u32(rows, r->size);
	}
	if (c->want & FETCH_IDS) {
		pack_u64(rows, r->saved_ms);
		buf_add(rows, id128_span(&r->blob));
		pack_u64(rows, r->thread);
	}
	if (c->want & FETCH_ENVELOPE)
		pack_bytes(rows, envelope);
	if (needs_cache)
		pack_bytes(rows, buf_span(&cache));
	if (c->want & FETCH_BODY)
		pack_inline(w, r, r->size, rows);
	else if (c->want & FETCH_HEADER)
		pack_inline(w, r, r->header_bytes ? r->header_bytes : r->size, rows);
	return true;
}

static void make_part_with(struct cursor *c, struct window *window)
{
	struct mailbox *m = c->view->mailbox;
	BUF_AUTO rows = {0};
	struct span ranges = buf_span(&c->ranges);
	for (size_t i = 0; m && i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		if (last < c->next_uid)
			continue;
		if (first < c->next_uid)
			first = c->next_uid;
		size_t end = last == UINT32_MAX ? m->index.count : index_lower(&m->index, last + 1);
		for (size_t at = index_lower(&m->index, first); at < end; at++) {
			const struct row *r = &m->index.rows[at];
			if (r->modseq <= c->changed_since)
				continue;
			if (rows.len >= ROWS_BYTES) {
				c->next_uid = r->uid;
				say_rows(c, &rows, false);
				return;
			}
			look_ahead(c, window, r, end - at);
			if (!pack_message(c, r, window, &rows)) {
				c->next_uid = r->uid;
				if (rows.len) {
					/* edge reads these first, and asks for more: one part a question */
					say_rows(c, &rows, false);
					return;
				}
				c->is_waiting = true;
				parse_start(c->view->account->worker, r->blob, r->size, PARSE_CACHE, SPAN(""), on_parsed, c);
				return;
			}
		}
	}
	say_rows(c, &rows, true);
	cursor_end(c);
}

/* Makes the next part of the answer. */
static void make_part(struct cursor *c)
{
	struct window window = {0};
	make_part_with(c, &window);
	arena_free(&window.memory);
}

static void refuse(struct cursor *c)
{
	view_say_done(c->view, c->request, REQUEST_NO_MAILBOX, "it may not be read any more");
	cursor_end(c);
}

static void go_on(struct worker *w, struct job *j)
{
	(void)w;
	struct cursor *c = (struct cursor *)((char *)j - offsetof(struct cursor, job));
	const struct view *v = c->view;
	c->is_waiting = false;
	if (v->is_closed || !c->is_active)
		cursor_end(c);
	else if (v->mailbox && !view_may_read(v, v->mailbox))
		refuse(c); /* somebody has taken it away meanwhile */
	else
		make_part(c);
}

void fetch_asked(void *context, const struct msg_fetch_ask *msg)
{
	struct request *r = context;
	struct cursor *c = cursor_begin(r, msg->request, msg->ranges, msg->changed_since, go_on);
	if (!c)
		return;
	c->want = msg->want & FETCH_CACHE ? msg->want & (uint8_t)~FETCH_ENVELOPE : msg->want;
	account_when_durable(r->account, &c->job);
}

void fetch_more_asked(void *context, const struct msg_fetch_more *msg)
{
	struct request *r = context;
	struct cursor *c = &r->view->cursor;
	if (!c->is_active || c->request != msg->request || c->is_waiting)
		return;
	c->is_waiting = true;
	account_when_durable(r->account, &c->job);
}

static void say_body(struct request *r, uint32_t request, const struct row *row, uint64_t offset, uint32_t length)
{
	BUF_AUTO bytes = {0};
	struct error why = {0};
	int found = row ? blob_read(r->worker->engine, row->blob, offset, length, &bytes, &why) : 0;
	if (found < 0)
		log_event(LOG_LEVEL_ERROR, "message-damaged", log_c("account", r->account->partition), log_n("uid", row->uid),
		          log_c("why", why.text));
	request_say(r, body_piece, .session = r->view->session, .request = request, .is_there = found > 0, .bytes = buf_span(&bytes));
}

void body_asked(void *context, const struct msg_body_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = request_mailbox(r, msg->request);
	if (m)
		say_body(r, msg->request, index_find(&m->index, msg->uid), msg->offset, msg->length);
}

/* A message that a URL names (RFC 4469 §2): of one piece, or of the row, whose structure is left out where it is not at hand. */
void message_asked(void *context, const struct msg_message_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = msg->mailbox.len ? mailbox_find(r->account, msg->mailbox) : r->view->mailbox;
	bool is_there = m && !m->is_gone && view_may_read(r->view, m) && (msg->uidvalidity == 0 || msg->uidvalidity == m->uidvalidity) && mailbox_load(m, NULL);
	struct row *row = is_there ? index_find(&m->index, msg->uid) : NULL;
	BUF_AUTO rows = {0}, key = {0}, cache = {0};
	if (!row) {
		request_done(r, msg->request, REQUEST_NO_MAILBOX, "there is no such message");
		return;
	}
	if (msg->length) {
		say_body(r, msg->request, row, msg->offset, msg->length);
		return;
	}
	account_cache_key(&key, row->blob);
	engine_get(r->worker->engine, account_partition(r->account), buf_span(&key), &cache, NULL);
	fetch_pack_row(&rows, r->view, m, row);
	pack_u64(&rows, row->internaldate_ms);
	pack_u32(&rows, row->size);
	pack_bytes(&rows, buf_span(&cache));
	request_say(r, fetch_rows, .session = msg->session, .request = msg->request, .rows = buf_span(&rows), .is_last = 1);
}
