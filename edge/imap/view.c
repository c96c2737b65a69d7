/* The selected mailbox as the client knows it: see view.h. */
#include "edge/imap/view.h"

#include "base/pack.h"
#include "edge/imap/notify.h"
#include "ipc/words.h"
#include "wire/imap_structure.h"
#include "wire/rights.h"

#include <roaring/roaring.h>
#include <stdlib.h>

enum {
	RANGES_MOST = 65536 / 8,  /* of one question to store */
	RECENT_RANGES_MOST = 4096, /* of what is \Recent: one more each time that another session has been told in between */
};

/* ---- opening and closing ---- */

static void set_keywords(struct imap_view *v, struct span packed)
{
	struct span *words;
	arena_free(&v->keyword_arena);
	ssize_t count = words_unpack(arena_dup(&v->keyword_arena, packed), &v->keyword_arena, &words);
	v->keywords = count > 0 ? words : NULL;
	v->keyword_count = count > 0 ? (size_t)count : 0;
}

/* RFC 3501 §2.3.2: \Recent is what this session is the first to be told of; from which UID on that is so, store knows. */
static void add_recent(struct imap_view *v, uint32_t first, uint32_t uidnext)
{
	if (first >= uidnext)
		return;
	ranges_add_range(&v->recent, first, uidnext - 1);
	if (ranges_count(buf_span(&v->recent)) > RECENT_RANGES_MOST)
		buf_drop_front(&v->recent, RECENT_RANGES_MOST / 2 * 2 * sizeof(uint32_t)); /* the oldest have been \Recent for long */
}

void imap_view_open(struct imap_session *s, const struct msg_mailbox_opened *m, bool is_read_only)
{
	struct imap_view *v = &s->view;
	imap_view_close(s);
	*v = (struct imap_view){.uids = roaring_bitmap_create(), .expunged = roaring_bitmap_create(), .own = roaring_bitmap_create(),
	                        .modseq = m->highestmodseq, .id = m->id, .owner = m->owner, .uidvalidity = m->uidvalidity, .uidnext = m->uidnext,
	                        .is_read_only = is_read_only, .rights = m->rights, .has_no_recent = (s->enabled & IMAP_ENABLED_REV2) != 0};
	set_keywords(v, m->keywords);
	add_recent(v, m->first_recent_uid, m->uidnext);
}

void imap_view_add_uids(struct imap_session *s, struct span ranges)
{
	for (size_t i = 0; s->view.uids && i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		roaring_bitmap_add_range_closed(s->view.uids, first, last);
	}
}

void imap_view_close(struct imap_session *s)
{
	struct imap_view *v = &s->view;
	roaring_bitmap_t *sets[] = {v->uids, v->expunged, v->own};
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
		if (sets[i])
			roaring_bitmap_free(sets[i]);
	imap_searches_free(v);
	arena_free(&v->keyword_arena);
	buf_free(&v->recent);
	*v = (struct imap_view){0};
}

/* ---- numbers ---- */

uint32_t imap_view_count(const struct imap_view *v)
{
	return (uint32_t)roaring_bitmap_get_cardinality(v->uids);
}

uint32_t imap_view_recent(const struct imap_view *v)
{
	struct span recent = buf_span(&v->recent);
	uint64_t count = 0;
	for (size_t i = 0; i < ranges_count(recent); i++) {
		uint32_t first, last;
		ranges_get(recent, i, &first, &last);
		count += roaring_bitmap_rank(v->uids, last) - (first ? roaring_bitmap_rank(v->uids, first - 1) : 0);
	}
	return (uint32_t)count;
}

uint32_t imap_view_sequence(const struct imap_view *v, uint32_t uid)
{
	return roaring_bitmap_contains(v->uids, uid) ? (uint32_t)roaring_bitmap_rank(v->uids, uid) : 0;
}

/* A run of sequence numbers. */
struct run {
	uint32_t first, last;
};

static int by_first(const void *a, const void *b)
{
	const struct run *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* False if a sequence number is beyond the end: RFC 3501 §9, seq-number. */
static bool run_of_range(const struct imap_view *v, struct imap_range range, bool is_uid, struct run *out)
{
	uint32_t count = imap_view_count(v), star = is_uid && count ? roaring_bitmap_maximum(v->uids) : count;
	if (range.first == IMAP_STAR)
		range.first = star;
	if (range.last == IMAP_STAR)
		range.last = star;
	if (range.first > range.last)
		range = (struct imap_range){range.last, range.first};
	if (is_uid) {
		out->first = range.first ? (uint32_t)roaring_bitmap_rank(v->uids, range.first - 1) + 1 : 1;
		out->last = (uint32_t)roaring_bitmap_rank(v->uids, range.last);
		return true;
	}
	*out = (struct run){range.first, range.last};
	return range.first >= 1 && range.last <= count;
}

static void add_run(const struct imap_view *v, struct run run, struct buf *ranges, uint32_t *count)
{
	uint32_t first, last;
	if (roaring_bitmap_select(v->uids, run.first - 1, &first) && roaring_bitmap_select(v->uids, run.last - 1, &last))
		ranges_add_range(ranges, first, last);
	*count += run.last - run.first + 1;
}

/* Sorts runs and joins those that touch; gives how many are left. */
static size_t join_runs(struct run *runs, size_t count)
{
	size_t n = 0;
	if (count)
		qsort(runs, count, sizeof *runs, by_first);
	for (size_t i = 0; i < count; i++) {
		if (n && (uint64_t)runs[i].first <= (uint64_t)runs[n - 1].last + 1)
			runs[n - 1].last = runs[i].last > runs[n - 1].last ? runs[i].last : runs[n - 1].last;
		else
			runs[n++] = runs[i];
	}
	return n;
}

/* False after the reply, if those are more ranges than store takes. */
static bool has_room(struct imap_session *s, const struct buf *ranges)
{
	if (ranges_count(buf_span(ranges)) <= RANGES_MOST)
		return true;
	imap_no(s, "[LIMIT] Too many ranges in one command");
	return false;
}

bool imap_view_resolve(struct imap_session *s, const struct imap_sequence_set *set, bool is_uid, struct buf *ranges, uint32_t *count)
{
	const struct imap_view *v = &s->view;
	struct run *runs = arena_alloc_array(&s->arena, set->count, sizeof *runs);
	size_t n = 0;
	*count = 0;
	if (!is_uid && !set->is_saved && (s->enabled & IMAP_ENABLED_UIDONLY)) {
		imap_bad_text(s, "[UIDREQUIRED] There are no message numbers after ENABLE UIDONLY"); /* RFC 9586 §3 */
		return false;
	}
	if (set->is_saved) {
		*count = imap_search_saved(v, ranges);
		return has_room(s, ranges);
	}
	for (size_t i = 0; i < set->count; i++) {
		if (!run_of_range(v, set->ranges[i], is_uid, &runs[n])) {
			imap_bad_text(s, "There is no message of that number");
			return false;
		}
		n += runs[n].first <= runs[n].last;
	}
	n = join_runs(runs, n);
	for (size_t i = 0; i < n; i++)
		add_run(v, runs[i], ranges, count);
	return has_room(s, ranges);
}

void imap_view_uids_of_set(struct imap_session *s, const struct imap_sequence_set *set, struct buf *ranges)
{
	struct run *runs = arena_alloc_array(&s->arena, set->count, sizeof *runs);
	uint32_t star = roaring_bitmap_is_empty(s->view.uids) ? 1 : roaring_bitmap_maximum(s->view.uids);
	for (size_t i = 0; i < set->count; i++) {
		uint32_t first = set->ranges[i].first == IMAP_STAR ? star : set->ranges[i].first;
		uint32_t last = set->ranges[i].last == IMAP_STAR ? star : set->ranges[i].last;
		runs[i] = first < last ? (struct run){first, last} : (struct run){last, first};
	}
	size_t n = join_runs(runs, set->count);
	for (size_t i = 0; i < n && i < RANGES_MOST; i++)
		ranges_add_range(ranges, runs[i].first, runs[i].last);
}

uint32_t imap_view_cut(const struct imap_view *v, const struct imap_partial *partial, struct buf *ranges)
{
	BUF_AUTO all = *ranges;
	uint64_t total = 0, before = 0;
	uint32_t count = 0;
	*ranges = (struct buf){0};
	for (size_t i = 0; i < ranges_count(buf_span(&all)); i++) {
		uint32_t first, last;
		ranges_get(buf_span(&all), i, &first, &last);
		total += imap_view_sequence(v, last) - imap_view_sequence(v, first) + 1;
	}
	/* places as counted from the first, from 1 */
	uint64_t from = partial->is_from_end ? total >= partial->last ? total - partial->last + 1 : 1 : partial->first;
	uint64_t to = partial->is_from_end ? total >= partial->first ? total - partial->first + 1 : 0 : partial->last;
	for (size_t i = 0; i < ranges_count(buf_span(&all)); i++) {
		uint32_t first, last;
		ranges_get(buf_span(&all), i, &first, &last);
		struct run run = {imap_view_sequence(v, first), imap_view_sequence(v, last)};
		uint64_t length = run.last - run.first + 1, low = from > before + 1 ? from : before + 1, high = to < before + length ? to : before + length;
		if (low <= high)
			add_run(v, (struct run){(uint32_t)(run.first + (low - before - 1)), (uint32_t)(run.first + (high - before - 1))}, ranges, &count);
		before += length;
	}
	return count;
}

/* ---- flags ---- */

bool imap_view_knows_keywords(const struct imap_view *v, const struct imap_row *row)
{
	return v->keyword_count >= 64 || row->keywords >> v->keyword_count == 0;
}

void imap_view_render_flags(const struct imap_view *v, const struct imap_row *row, struct buf *out)
{
	buf_add_char(out, '(');
	size_t start = out->len;
	imap_render_system_flags(row->flags, start, out);
	if (!v->has_no_recent && ranges_have(buf_span(&v->recent), row->uid))
		imap_render_word(SPAN("\\Recent"), start, out);
	for (size_t k = 0; k < v->keyword_count; k++)
		if (row->keywords >> k & 1)
			imap_render_word(v->keywords[k], start, out);
	buf_add_char(out, ')');
}

void imap_view_render_modseq(const struct imap_row *row, struct buf *out)
{
	buf_add(out, SPAN("MODSEQ ("));
	buf_add_number(out, row->modseq);
	buf_add_char(out, ')');
}

/* Those that somebody with these rights can set: RFC 4314 §4, STORE. */
static void add_flags(const struct imap_view *v, unsigned rights, struct buf *out)
{
	size_t start = out->len;
	unsigned flags = (rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (rights & RIGHT_DELETE ? FLAG_DELETED : 0) | (rights & RIGHT_WRITE ? FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT : 0);
	imap_render_system_flags(flags, start, out);
	for (size_t k = 0; k < v->keyword_count && rights & RIGHT_WRITE; k++)
		imap_render_word(v->keywords[k], start, out);
}

void imap_view_say_flags(struct imap_session *s)
{
	struct imap_view *v = &s->view;
	buf_add_cstr(&s->out, "* FLAGS (");
	add_flags(v, RIGHTS_ALL, &s->out);
	buf_add_cstr(&s->out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!v->is_read_only) {
		add_flags(v, v->rights, &s->out);
		if (v->keyword_count < KEYWORDS_MOST && v->rights & RIGHT_WRITE)
			buf_add_cstr(&s->out, " \\*");
	}
	buf_add_cstr(&s->out, ")] Flags that stay\r\n");
}

void imap_row_unpack(struct unpacker *u, struct imap_row *out)
{
	out->uid = unpack_u32(u);
	out->flags = unpack_u8(u);
	out->keywords = unpack_u64(u);
	out->modseq = unpack_u64(u);
}

void imap_view_told(struct imap_view *v, const struct imap_row *row)
{
	if (row->modseq <= v->modseq)
		return;
	roaring_bitmap_add(v->own, row->uid);
	/* the least: what is told twice does no harm, but others may have changed a message between two that are told here */
	if (v->own_modseq == 0 || row->modseq < v->own_modseq)
		v->own_modseq = row->modseq;
}

/* ---- changes ---- */

static void say_fetch(struct imap_session *s, const struct imap_row *row)
{
	imap_begin_fetch(s, imap_view_sequence(&s->view, row->uid), row->uid, true);
	buf_add(&s->out, SPAN("FLAGS "));
	imap_view_render_flags(&s->view, row, &s->out);
	if (s->enabled & IMAP_ENABLED_CONDSTORE) {
		buf_add_char(&s->out, ' ');
		imap_view_render_modseq(row, &s->out);
	}
	buf_add_cstr(&s->out, ")\r\n");
}

static void take_row(struct imap_session *s, const struct imap_row *row)
{
	struct imap_view *v = &s->view;
	imap_contexts_changed(s, row->uid);
	if (!roaring_bitmap_contains(v->uids, row->uid)) {
		roaring_bitmap_add(v->uids, row->uid);
		v->has_new_messages = true;
	} else if (!(row->modseq <= v->own_modseq && roaring_bitmap_contains(v->own, row->uid))) {
		if (imap_notify_wants(s, IMAP_EVENT_FLAGS))
			say_fetch(s, row);
	}
}

/* RFC 7162 §3.2.10.2, RFC 9586 §3.3 */
static void say_vanished(struct imap_session *s)
{
	struct imap_view *v = &s->view;
	BUF_AUTO ranges = {0};
	roaring_uint32_iterator_t *i = roaring_create_iterator(v->expunged);
	for (; i->has_value; roaring_advance_uint32_iterator(i))
		ranges_add(&ranges, i->current_value);
	roaring_free_uint32_iterator(i);
	buf_add_cstr(&s->out, "* VANISHED ");
	imap_add_set(&s->out, buf_span(&ranges));
	buf_add_cstr(&s->out, "\r\n");
	roaring_bitmap_andnot_inplace(v->uids, v->expunged);
	roaring_bitmap_clear(v->expunged);
}

/* RFC 3501 §7.4.1: from the last to the first, so that the numbers of those still to come do not move. */
static void say_expunged_one_by_one(struct imap_session *s)
{
	struct imap_view *v = &s->view;
	while (!roaring_bitmap_is_empty(v->expunged)) {
		uint32_t uid = roaring_bitmap_maximum(v->expunged);
		imap_say_numbered(s, imap_view_sequence(v, uid), SPAN(" EXPUNGE\r\n"));
		roaring_bitmap_remove(v->expunged, uid);
		roaring_bitmap_remove(v->uids, uid);
		if (s->out.len > IMAP_OUT_BYTES)
			imap_flush(s);
	}
}

bool imap_view_has_unsaid(const struct imap_view *v)
{
	return v->expunged && !roaring_bitmap_is_empty(v->expunged);
}

/* Tells which messages have gone, if that may be told now. If not, a client that keeps a copy must not believe that it has heard
 * of everything up to the newest MODSEQ that it sees: RFC 7162 §3.2. */
static void say_expunged(struct imap_session *s, bool may_expunge)
{
	struct imap_view *v = &s->view;
	uint64_t heard = may_expunge ? v->modseq : v->unsaid_modseq;
	if (roaring_bitmap_is_empty(v->expunged))
		return;
	if (may_expunge) {
		imap_contexts_expunged(s);
		if (s->enabled & (IMAP_ENABLED_QRESYNC | IMAP_ENABLED_UIDONLY))
			say_vanished(s);
		else
			say_expunged_one_by_one(s);
	}
	bool had_waited = v->has_told_unsaid;
	v->has_told_unsaid = !may_expunge;
	if ((s->enabled & IMAP_ENABLED_QRESYNC) && (had_waited || !may_expunge))
		buf_printf(&s->out, "* OK [HIGHESTMODSEQ %llu] Heard up to here\r\n", (unsigned long long)heard);
}

/* There is no \Recent in IMAP4rev2: RFC 9051 appendix E, 5. */
void imap_view_say_count(struct imap_session *s)
{
	buf_printf(&s->out, "* %u EXISTS\r\n", imap_view_count(&s->view));
	if (!(s->enabled & IMAP_ENABLED_REV2))
		buf_printf(&s->out, "* %u RECENT\r\n", imap_view_recent(&s->view));
}

static void say_new_messages(struct imap_session *s)
{
	struct imap_view *v = &s->view;
	if (!v->has_new_messages)
		return;
	v->has_new_messages = false;
	v->has_told_aside = s->input != IMAP_INPUT_IDLE;
	imap_view_say_count(s);
}

/* Thunderbird looks for new mail when EXISTS comes in IDLE, and takes no notice of one that comes with the answer to its STORE or APPEND:
 * the message stays unseen until the next one comes. RFC 3501 §5.2 lets the size be told at any time, and so it is told again. */
void imap_view_tell_again(struct imap_session *s)
{
	if (!s->view.uids || !s->view.has_told_aside)
		return;
	s->view.has_new_messages = true;
	say_new_messages(s);
}

static bool may_expunge_now(const struct imap_session *s)
{
	if (!s->running && s->input == IMAP_INPUT_COMMAND && imap_notify_delays_expunge(s))
		return false;
	return !s->running || s->is_uid || !(s->running->flags & IMAP_NO_EXPUNGE);
}

bool imap_view_refresh(struct imap_session *s, bool may_expunge)
{
	struct imap_view *v = &s->view;
	struct channel *store = s->connection->edge->store;
	if (!v->uids || !imap_notify_wants(s, IMAP_EVENT_NEW))
		return false;
	if (v->is_asking)
		return true;
	if (!v->is_stale || !store) {
		say_expunged(s, may_expunge);
		return false;
	}
	v->is_stale = false;
	v->is_asking = true;
	v->changes_request = ++s->request;
	channel_send(store, changes_ask, .session = s->connection->session, .request = v->changes_request, .since = v->modseq);
	return true;
}

static void take_keywords(struct imap_session *s, struct span packed)
{
	struct imap_view *v = &s->view;
	size_t before = v->keyword_count;
	set_keywords(v, packed);
	if (v->keyword_count == before)
		return;
	imap_view_say_flags(s);
}

void imap_view_changes(struct imap_session *s, const struct msg_changes *m)
{
	struct imap_view *v = &s->view;
	if (!v->is_asking || m->request != v->changes_request)
		return;
	struct unpacker u = {.rest = m->rows};
	take_keywords(s, m->keywords);
	while (u.rest.len && !u.bad) {
		struct imap_row row;
		imap_row_unpack(&u, &row);
		if (!u.bad)
			take_row(s, &row);
		if (s->out.len > IMAP_OUT_BYTES)
			imap_flush(s);
	}
	if (roaring_bitmap_is_empty(v->expunged))
		v->unsaid_modseq = v->modseq;
	for (size_t i = 0; i < ranges_count(m->expunged); i++) {
		uint32_t first, last;
		ranges_get(m->expunged, i, &first, &last);
		roaring_bitmap_add_range_closed(v->expunged, first, last);
	}
	if (!m->is_last)
		return;
	v->is_asking = false;
	v->modseq = m->highestmodseq;
	uint32_t first_new = v->has_new_messages ? v->uidnext : 0;
	add_recent(v, m->first_recent_uid > v->uidnext ? m->first_recent_uid : v->uidnext, m->uidnext);
	v->uidnext = m->uidnext;
	roaring_bitmap_clear(v->own);
	v->own_modseq = 0;
	/* messages that came and went since: the client has never heard of them */
	roaring_bitmap_and_inplace(v->expunged, v->uids);
	say_expunged(s, may_expunge_now(s));
	say_new_messages(s);
	imap_contexts_refresh(s);
	if (s->reply.len) {
		imap_say_reply(s);
		return;
	}
	imap_flush(s);
	if (!v->is_pushing)
		return;
	v->is_pushing = false;
	if (first_new)
		imap_notify_new_messages(s, first_new);
	if (!s->fetching)
		connection_continue(s->connection);
}
