/* FETCH: RFC 3501 §6.4.5 and §7.4.2. See fetch.h. */
#include "edge/imap/fetch.h"

#include "base/die.h"
#include "ipc/words.h"
#include "wire/rights.h"

#include <roaring/roaring.h>
#include <stdlib.h>

enum {
	TURN_WORK = 256 * 1024, /* bytes looked at or written in one turn of the loop: about a millisecond */
	STEP_WORK = 64,         /* what a step costs at least */
};

static void on_rows(struct imap_session *s, const struct msg_fetch_rows *m);

static void on_failed(struct imap_session *s, const struct msg_request_done *m);

static const struct imap_answers fetch_answers = {.rows = on_rows, .piece = imap_fetch_piece, .done = on_failed};

void imap_fetch_free(struct imap_session *s)
{
	struct imap_fetching *f = s->fetching;
	if (!f)
		return;
	imap_fetch_end_row(f);
	buf_free(&f->gathered);
	buf_free(&f->ranges);
	buf_free(&f->rows_memory);
	buf_free(&f->next_rows);
	timer_free(f->turn);
	if (f->newly_seen)
		roaring_bitmap_free(f->newly_seen);
	free(f);
	s->fetching = NULL;
}

/* ---- what store is asked ---- */

static uint8_t want_of_section(const struct imap_fetch_item *item)
{
	if (item->number_count || item->section == IMAP_SECTION_TEXT)
		return FETCH_CACHE | FETCH_BODY | FETCH_DATES;
	return (item->section == IMAP_SECTION_ALL ? FETCH_BODY : FETCH_HEADER) | FETCH_DATES;
}

static uint8_t want_of(const struct imap_fetch_item *item)
{
	switch (item->kind) {
	case IMAP_FETCH_FLAGS: case IMAP_FETCH_UID: case IMAP_FETCH_MODSEQ: return 0;
	case IMAP_FETCH_INTERNALDATE: case IMAP_FETCH_SIZE: return FETCH_DATES;
	case IMAP_FETCH_SAVEDATE: case IMAP_FETCH_EMAILID: case IMAP_FETCH_THREADID: return FETCH_IDS;
	case IMAP_FETCH_PREVIEW: return FETCH_CACHE | FETCH_BODY | FETCH_DATES;
	case IMAP_FETCH_BINARY: case IMAP_FETCH_BINARY_SIZE: return FETCH_CACHE | FETCH_DATES;
	case IMAP_FETCH_ENVELOPE: return FETCH_ENVELOPE | FETCH_DATES;
	case IMAP_FETCH_BODY: case IMAP_FETCH_BODYSTRUCTURE: return FETCH_CACHE | FETCH_DATES;
	case IMAP_FETCH_SECTION: return want_of_section(item);
	}
	return 0;
}

/* The question itself, once \Seen has been set. */
static void ask_rows(struct imap_session *s)
{
	struct imap_fetching *f = s->fetching;
	f->waits_for_rows = true;
	imap_ask(s, &fetch_answers, fetch_ask, .ranges = buf_span(&f->ranges), .want = f->want, .changed_since = f->changed_since);
}

/* The messages that had no \Seen and have it now: RFC 3501 §6.4.5 wants their FLAGS told. */
static void on_seen_rows(struct imap_session *s, const struct msg_fetch_rows *m)
{
	struct unpacker u = {.rest = m->rows};
	while (u.rest.len && !u.bad) {
		struct imap_row row;
		imap_row_unpack(&u, &row);
		if (!u.bad)
			roaring_bitmap_add(s->fetching->newly_seen, row.uid);
	}
	if (m->is_last)
		ask_rows(s);
}

/* Where \Seen cannot be set the message can be read nevertheless; other faults are said of what is asked now. */
static void on_seen_done(struct imap_session *s, const struct msg_request_done *m)
{
	(void)m;
	ask_rows(s);
}

static void set_seen(struct imap_session *s)
{
	static const struct imap_answers answers = {.rows = on_seen_rows, .done = on_seen_done};
	struct imap_fetching *f = s->fetching;
	f->newly_seen = roaring_bitmap_create();
	imap_ask(s, &answers, flags_ask, .ranges = buf_span(&f->ranges), .mode = FLAGS_ADD, .flags = FLAG_SEEN,
	         .only_changed = 1);
}

static struct imap_fetching *fetching_new(struct imap_session *s, const struct imap_fetch *what, struct buf *ranges)
{
	struct imap_fetching *f = xcalloc(1, sizeof *f);
	*f = (struct imap_fetching){.what = *what, .ranges = *ranges};
	*ranges = (struct buf){0};
	s->fetching = f;
	for (size_t i = 0; i < what->count; i++) {
		enum imap_fetch_kind kind = what->items[i].kind;
		f->want |= want_of(&what->items[i]);
		f->asks_flags |= kind == IMAP_FETCH_FLAGS;
		f->asks_uid |= kind == IMAP_FETCH_UID;
		f->asks_modseq |= kind == IMAP_FETCH_MODSEQ;
	}
	if (f->want & FETCH_CACHE)
		f->want &= (uint8_t)~FETCH_ENVELOPE;
	return f;
}

static bool is_section(const struct imap_fetch_item *item)
{
	return item->kind == IMAP_FETCH_SECTION || item->kind == IMAP_FETCH_BINARY;
}

static void begin_fetch(struct imap_session *s)
{
	struct imap_fetching *f = s->fetching;
	bool sets_seen = false;
	for (size_t i = 0; i < f->what.count; i++)
		sets_seen |= is_section(&f->what.items[i]) && !f->what.items[i].is_peek;
	if (f->ranges.len == 0)
		imap_ok(s, "FETCH done: no such messages");
	else if (sets_seen && !s->view.is_read_only && s->view.rights & RIGHT_SEEN) /* RFC 4314 §4, FETCH */
		set_seen(s);
	else
		ask_rows(s);
}

struct fetch_command {
	struct imap_sequence_set set;
	struct imap_fetch what;
	struct imap_fetch_modifiers modifiers;
};

static bool take_fetch_command(struct imap_session *s, struct imap_parser *p, struct fetch_command *c)
{
	struct imap_fetch_modifiers *m = &c->modifiers;
	if (!imap_take_space(p) || !imap_take_sequence_set(p, &c->set) || !imap_take_space(p) || !imap_take_fetch(p, &c->what) ||
	    !imap_take_fetch_modifiers(p, m) || !imap_take_end(p))
		return false;
	/* RFC 7162 §3.2.6, RFC 9394 §3.2 */
	if ((m->is_vanished || m->has_partial) && !s->is_uid)
		return imap_fail(p, "That modifier is one of UID FETCH");
	if (m->is_vanished && !(s->enabled & IMAP_ENABLED_QRESYNC))
		return imap_fail(p, "VANISHED needs ENABLE QRESYNC first");
	if (m->has_changed_since)
		imap_fetch_imply(p, &c->what, IMAP_FETCH_MODSEQ); /* RFC 7162 §3.1.4.1 */
	if (s->is_uid && !(s->enabled & IMAP_ENABLED_UIDONLY))
		imap_fetch_imply(p, &c->what, IMAP_FETCH_UID); /* RFC 3501 §6.4.8 */
	return true;
}

void imap_fetch(struct imap_session *s, struct imap_parser *p)
{
	struct fetch_command c;
	BUF_AUTO ranges = {0};
	BUF_AUTO asked = {0};
	uint32_t count;
	if (!take_fetch_command(s, p, &c)) {
		imap_bad(s, p);
		return;
	}
	if (!imap_view_resolve(s, &c.set, s->is_uid, &ranges, &count))
		return;
	if (c.modifiers.has_partial)
		count = imap_view_cut(&s->view, &c.modifiers.partial, &ranges);
	struct imap_fetching *f = fetching_new(s, &c.what, &ranges);
	f->expected = c.modifiers.has_changed_since ? 0 : count;
	f->changed_since = c.modifiers.changed_since;
	if (f->asks_modseq)
		imap_enable_now(s, IMAP_ENABLED_CONDSTORE);
	if (c.modifiers.is_vanished) {
		imap_view_uids_of_set(s, &c.set, &asked);
		imap_say_vanished(s, buf_span(&asked), f->changed_since, begin_fetch);
	} else {
		begin_fetch(s);
	}
}

void imap_fetch_changed(struct imap_session *s, struct buf *ranges, uint64_t since, void (*end)(struct imap_session *s))
{
	struct imap_parser p = {.arena = &s->arena};
	struct imap_fetch what = {.items = arena_alloc_array(&s->arena, IMAP_FETCH_ITEMS_MAX, sizeof *what.items)};
	imap_fetch_imply(&p, &what, IMAP_FETCH_MODSEQ);
	imap_fetch_imply(&p, &what, IMAP_FETCH_FLAGS);
	imap_fetch_imply(&p, &what, IMAP_FETCH_UID);
	struct imap_fetching *f = fetching_new(s, &what, ranges);
	f->changed_since = since;
	f->after = end;
	ask_rows(s);
}

void imap_fetch_new(struct imap_session *s, const struct imap_fetch *what, uint32_t first_uid, void (*end)(struct imap_session *s))
{
	struct buf ranges = {0};
	ranges_add_range(&ranges, first_uid, UINT32_MAX);
	struct imap_fetching *f = fetching_new(s, what, &ranges);
	f->after = end;
	ask_rows(s);
}

/* ---- row by row ---- */

static void on_rows(struct imap_session *s, const struct msg_fetch_rows *m)
{
	struct imap_fetching *f = s->fetching;
	buf_add(&f->next_rows, m->rows);
	f->has_next = true;
	f->next_is_last = m->is_last;
	if (!f->waits_for_rows)
		return;
	f->waits_for_rows = false;
	imap_fetch_go_on(s);
}

/* The next part, if it is there. The one behind it is asked for at once, so that store and this process work at the same time. */
static bool take_next_part(struct imap_session *s, struct imap_fetching *f)
{
	if (!f->has_next)
		return false;
	struct buf before = f->rows_memory;
	f->rows_memory = f->next_rows;
	f->next_rows = before;
	buf_clear(&f->next_rows);
	f->rows = (struct unpacker){.rest = buf_span(&f->rows_memory)};
	f->is_last = f->next_is_last;
	f->has_next = false;
	if (!f->is_last)
		channel_send(s->connection->edge->store, fetch_more, .session = s->connection->session, .request = s->request);
	return true;
}

/* Reads the next row of the part: see ipc/terms.h, enum fetch_want. */
static bool next_row(struct imap_session *s, struct imap_fetching *f)
{
	struct unpacker *u = &f->rows;
	uint32_t uid_before = f->row.uid;
	imap_row_unpack(u, &f->row);
	if (f->want & FETCH_DATES) {
		f->internaldate_ms = unpack_u64(u);
		f->size_bytes = unpack_u32(u);
	}
	if (f->want & FETCH_IDS) {
		f->savedate_ms = unpack_u64(u);
		unpack_id128(u, &f->email);
		f->thread = unpack_u64(u);
	}
	f->envelope = f->want & FETCH_ENVELOPE ? unpack_bytes(u, u->rest.len) : (struct span){0};
	bool has_cache = f->want & FETCH_CACHE || (f->want & FETCH_ENVELOPE && f->envelope.len == 0);
	f->cache = has_cache ? unpack_bytes(u, u->rest.len) : (struct span){0};
	f->has_bytes = (f->want & (FETCH_HEADER | FETCH_BODY)) && unpack_u8(u);
	f->bytes = f->has_bytes ? unpack_bytes(u, u->rest.len) : (struct span){0};
	if (u->bad)
		f->sequence = 0;
	else if (f->sequence && f->row.uid == uid_before + 1 && roaring_bitmap_contains(s->view.uids, f->row.uid))
		f->sequence++; /* as is most often so: quicker than to count */
	else
		f->sequence = imap_view_sequence(&s->view, f->row.uid);
	return f->sequence != 0;
}

/* Of the messages asked for some may be gone, which the client has not heard yet: RFC 2180 §4.1, RFC 5530. */
static void end_fetch(struct imap_session *s, struct imap_fetching *f)
{
	if (f->after)
		f->after(s);
	else if (f->has_unknown_encoding)
		imap_no(s, "[UNKNOWN-CTE] A part has an encoding that is not known"); /* RFC 3516 §4.3 */
	else if (f->seen < f->expected && !s->is_uid)
		imap_no(s, "[EXPUNGEISSUED] Some of the messages are gone");
	else
		imap_ok(s, "FETCH done");
}

/* In the middle of a response there is no place for a NO. */
static void on_failed(struct imap_session *s, const struct msg_request_done *m)
{
	if (s->fetching->has_row)
		connection_close(s->connection);
	else
		imap_no_outcome(s, m, false);
}

static enum imap_step begin_row(struct imap_session *s, struct imap_fetching *f)
{
	if (f->rows.rest.len == 0 || f->rows.bad) {
		if (f->is_last) {
			end_fetch(s, f);
			return STEP_WAIT;
		}
		if (take_next_part(s, f))
			return STEP_ON;
		f->waits_for_rows = true;
		return STEP_WAIT;
	}
	if (!next_row(s, f))
		return STEP_ON;
	f->has_row = true;
	f->next_item = 0;
	f->seen++;
	imap_begin_fetch(s, f->sequence, f->row.uid, false);
	return STEP_ON;
}

static void end_row(struct imap_session *s, struct imap_fetching *f)
{
	bool is_newly_seen = f->newly_seen && roaring_bitmap_contains(f->newly_seen, f->row.uid);
	if (is_newly_seen && !f->asks_flags) {
		buf_add_cstr(&s->out, " FLAGS ");
		imap_fetch_flags(s, f);
	}
	/* RFC 7162 §3.2.4 */
	if (is_newly_seen && !f->asks_modseq && (s->enabled & IMAP_ENABLED_CONDSTORE)) {
		if (!f->asks_uid && !(s->enabled & IMAP_ENABLED_UIDONLY))
			buf_printf(&s->out, " UID %u", f->row.uid);
		buf_add_char(&s->out, ' ');
		imap_view_render_modseq(&f->row, &s->out);
	}
	buf_add_cstr(&s->out, ")\r\n");
	imap_fetch_end_row(f);
}

static enum imap_step say_item(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	if (item->kind == IMAP_FETCH_SECTION)
		return imap_fetch_section(s, f, item);
	if (item->kind == IMAP_FETCH_PREVIEW)
		return imap_fetch_preview(s, f);
	if (item->kind == IMAP_FETCH_BINARY || item->kind == IMAP_FETCH_BINARY_SIZE)
		return imap_fetch_binary(s, f, item);
	return imap_fetch_simple(s, f, item);
}

/* A row, or as much of it as can be said now. */
static enum imap_step step(struct imap_session *s, struct imap_fetching *f)
{
	enum imap_step result = f->has_row ? STEP_ON : begin_row(s, f);
	if (result == STEP_WAIT || !f->has_row)
		return result;
	if (f->pull != PULL_NOTHING) {
		imap_fetch_pull(s, f);
		return STEP_WAIT;
	}
	while (f->pull == PULL_NOTHING && f->next_item < f->what.count && s->out.len < IMAP_OUT_BYTES && f->work < TURN_WORK) {
		f->work += STEP_WORK;
		result = say_item(s, f, &f->what.items[f->next_item]);
		if (result == STEP_WAIT)
			return result;
	}
	if (f->pull == PULL_NOTHING && f->next_item == f->what.count)
		end_row(s, f);
	return STEP_ON;
}

static void on_turn(void *context)
{
	struct imap_session *s = context;
	s->fetching->waits_for_turn = false;
	s->fetching->work = 0;
	imap_fetch_go_on(s);
}

static void wait_for_turn(struct imap_session *s, struct imap_fetching *f)
{
	if (!f->turn)
		f->turn = timer_new(s->connection->edge->loop, on_turn, s);
	f->waits_for_turn = true;
	timer_set(f->turn, 0);
}

void imap_fetch_go_on(struct imap_session *s)
{
	struct connection *c = s->connection;
	enum imap_step result = STEP_ON;
	bool has_written = true;
	while (result == STEP_ON && s->fetching && !c->is_closing) {
		struct imap_fetching *f = s->fetching;
		if (f->waits_for_rows || f->is_asked || f->waits_for_turn || s->answers != &fetch_answers)
			break;
		if (f->work >= TURN_WORK) {
			wait_for_turn(s, f);
			break;
		}
		if (s->out.len >= IMAP_OUT_BYTES) {
			imap_flush(s);
			has_written = true;
		}
		if (has_written && connection_backlog(c) >= CONNECTION_BACKLOG_MOST)
			return; /* `drained` goes on */
		has_written = false;
		size_t before = s->out.len;
		result = step(s, f);
		if (s->fetching == f) /* it may have ended, and the next command begun */
			f->work += STEP_WORK + (s->out.len > before ? s->out.len - before : 0);
	}
	if (!c->is_closing && s->fetching)
		imap_flush(s);
}
