/* SEARCH, SORT, THREAD and ESEARCH (RFC 3501 §6.4.4, RFC 5256, RFC 7377): the keys become a program for store; the answer is UIDs, in the
 * order that was asked for. */
#include "edge/imap/search.h"

#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"

#include <roaring/roaring.h>
#include <stdlib.h>

enum { LONG_ANSWER_BYTES = 4096 };

void imap_search_free(struct imap_session *s)
{
	struct imap_searching *w = s->searching;
	if (!w)
		return;
	buf_free(&w->program);
	buf_free(&w->keys);
	buf_free(&w->found);
	buf_free(&w->scores);
	free(w->numbering.numbers);
	free(w);
	s->searching = NULL;
}

/* ---- plain answers ---- */

static const char *const names[] = {[SEARCH_BY_UID] = "SEARCH", [SEARCH_SORTED] = "SORT", [SEARCH_THREADED] = "THREAD"};

static void begin(struct imap_session *s, struct imap_searching *w)
{
	if (!w->has_begun)
		buf_printf(&s->out, "* %s", names[w->order]);
	w->has_begun = true;
}

static void say_number(struct imap_session *s, const struct imap_searching *w, uint32_t uid)
{
	uint32_t number = imap_search_number(s, &w->numbering, uid, s->is_uid);
	if (!number)
		return;
	buf_add_char(&s->out, ' ');
	buf_add_number(&s->out, number);
	if (s->out.len > IMAP_OUT_BYTES)
		imap_flush(s);
}

/* RFC 5256 §5, thread-list: a space stands between numbers, and between a number and a list, and in front of all. */
static void say_thread_mark(struct imap_session *s, struct imap_searching *w, uint32_t mark)
{
	if (mark == THREAD_OPEN || mark == THREAD_CLOSE) {
		if (mark == THREAD_OPEN && w->has_space)
			buf_add_char(&s->out, ' ');
		buf_add_char(&s->out, mark == THREAD_OPEN ? '(' : ')');
		w->has_space = false;
	} else {
		if (w->has_space)
			buf_add_char(&s->out, ' ');
		buf_add_number(&s->out, imap_search_number(s, &w->numbering, mark, s->is_uid));
		w->has_space = true;
	}
	if (s->out.len > IMAP_OUT_BYTES)
		imap_flush(s);
}

static void say_found(struct imap_session *s, struct imap_searching *w, struct span found)
{
	struct unpacker u = {.rest = found};
	if (found.len >= LONG_ANSWER_BYTES || w->numbering.numbers)
		imap_search_number_all(&s->view, &w->numbering);
	if (!w->has_begun)
		w->has_space = w->order == SEARCH_THREADED && found.len;
	begin(s, w);
	while (u.rest.len && !u.bad) {
		uint32_t first = unpack_u32(&u);
		if (w->order == SEARCH_THREADED) {
			say_thread_mark(s, w, first);
			continue;
		}
		uint32_t last = w->order == SEARCH_BY_UID ? unpack_u32(&u) : first;
		for (uint64_t uid = first; uid <= last && !u.bad; uid++)
			say_number(s, w, (uint32_t)uid);
	}
}

/* ---- collecting ---- */

static void collect(struct imap_searching *w, const struct msg_search_found *m)
{
	struct unpacker u = {.rest = m->found};
	buf_add(&w->scores, m->scores);
	while (u.rest.len && !u.bad) {
		uint32_t first = unpack_u32(&u), last = w->order == SEARCH_BY_UID ? unpack_u32(&u) : first;
		for (uint64_t uid = first; uid <= last && !u.bad; uid++) {
			uint32_t one = (uint32_t)uid;
			buf_add(&w->found, span_of(&one, sizeof one));
		}
	}
}

static void on_found(struct imap_session *s, const struct msg_search_found *m)
{
	struct imap_searching *w = s->searching;
	if (w->is_plain)
		say_found(s, w, m->found);
	else
		collect(w, m);
}

/* ---- the end ---- */

static void on_searched(struct imap_session *s, const struct msg_search_done *m)
{
	struct imap_searching *w = s->searching;
	if (w->what.want & IMAP_RETURN_SAVE)
		imap_search_save(s, w);
	if (!w->is_plain) {
		imap_search_say_result(s, w, m, w->is_esearch ? w->selected_name : SPAN(""));
	} else {
		begin(s, w);
		/* RFC 7162 §3.1.6 and §3.1.9 */
		if (w->what.has_modseq && m->modseq && w->order != SEARCH_THREADED)
			buf_printf(&s->out, " (MODSEQ %llu)", (unsigned long long)m->modseq);
		buf_add_cstr(&s->out, "\r\n");
	}
	if (w->what.want & IMAP_RETURN_UPDATE)
		imap_context_begin(s, w);
	imap_ok(s, "%s done", s->running->name);
}

/* RFC 5182 §2.1: what was saved before is forgotten. */
static void forget_saved(struct imap_session *s, const struct imap_search *what)
{
	if ((what->want & IMAP_RETURN_SAVE) && s->view.searches && s->view.searches->saved)
		roaring_bitmap_clear(s->view.searches->saved);
}

static void on_done(struct imap_session *s, const struct msg_request_done *m)
{
	struct imap_searching *w = s->searching;
	if (w->has_begun)
		buf_add_cstr(&s->out, "\r\n");
	forget_saved(s, &w->what);
	imap_no_outcome(s, m, false);
}

/* ---- the commands ---- */

void imap_search_ask(struct imap_session *s, const struct imap_answers *answers, struct span mailbox)
{
	const struct imap_searching *w = s->searching;
	const struct imap_view *v = &s->view;
	uint32_t uid_most = mailbox.len ? UINT32_MAX : imap_view_count(v) ? roaring_bitmap_maximum(v->uids) : 0;
	imap_ask(s, answers, search_ask, .mailbox = mailbox, .uid_most = uid_most, .program = buf_span(&w->program), .order = (uint8_t)w->order,
	         .thread = (uint8_t)w->what.thread, .keys = buf_span(&w->keys));
}

static void pack_keys(const struct imap_search *what, struct buf *out)
{
	static const enum sort_key keys[] = {
		[IMAP_SORT_ARRIVAL] = SORT_ARRIVAL, [IMAP_SORT_CC] = SORT_CC, [IMAP_SORT_DATE] = SORT_DATE, [IMAP_SORT_FROM] = SORT_FROM,
		[IMAP_SORT_SIZE] = SORT_SIZE, [IMAP_SORT_SUBJECT] = SORT_SUBJECT, [IMAP_SORT_TO] = SORT_TO,
		[IMAP_SORT_DISPLAY_FROM] = SORT_DISPLAY_FROM, [IMAP_SORT_DISPLAY_TO] = SORT_DISPLAY_TO, [IMAP_SORT_RELEVANCY] = SORT_RELEVANCY,
	};
	for (size_t i = 0; i < what->sort_count; i++)
		pack_u8(out, (uint8_t)(keys[what->sort[i].sort] | (what->sort[i].is_reverse ? SORT_REVERSE : 0)));
}

/* False after the reply: what stands in the command's way. */
static bool is_allowed(struct imap_session *s, const struct imap_search *what)
{
	/* RFC 6855 §3 */
	if (what->has_charset && (s->enabled & IMAP_ENABLED_UTF8)) {
		imap_bad_text(s, "After ENABLE UTF8=ACCEPT a search has no charset");
		return false;
	}
	if (what->is_bad_charset) {
		forget_saved(s, what);
		imap_no(s, "[BADCHARSET (UTF-8 US-ASCII)] The charset is not known");
		return false;
	}
	/* RFC 5267 §4.3 */
	if ((what->want & IMAP_RETURN_UPDATE) && imap_context_has_tag(s, s->tag)) {
		imap_bad_text(s, "That tag is one of a search that is followed");
		return false;
	}
	return true;
}

static struct imap_searching *new_searching(struct imap_session *s, const struct imap_search *what, enum search_order order)
{
	struct imap_searching *w = xcalloc(1, sizeof *w);
	*w = (struct imap_searching){.what = *what, .order = order};
	/* RFC 9051 §6.4.4: with IMAP4rev2 the answer to every SEARCH is ESEARCH */
	bool is_rev2 = order == SEARCH_BY_UID && (s->enabled & IMAP_ENABLED_REV2);
	w->is_plain = !what->is_extended && !is_rev2;
	if (!what->is_extended)
		w->what.want = IMAP_RETURN_ALL;
	pack_keys(what, &w->keys);
	s->searching = w;
	/* RFC 7162 §3.1 */
	if (what->has_modseq)
		imap_enable_now(s, IMAP_ENABLED_CONDSTORE);
	return w;
}

static void search(struct imap_session *s, const struct imap_search *what, enum search_order order)
{
	static const struct imap_answers answers = {.found = on_found, .searched = on_searched, .done = on_done};
	if (!is_allowed(s, what))
		return;
	struct imap_searching *w = new_searching(s, what, order);
	if (imap_search_pack(s, what->root, false, &w->program))
		imap_search_ask(s, &answers, SPAN(""));
}

typedef bool take_fn(struct imap_parser *p, struct imap_search *out);

/* False after the BAD. */
static bool take(struct imap_session *s, struct imap_parser *p, take_fn *take_arguments, struct imap_search *out)
{
	if (imap_take_space(p) && take_arguments(p, out))
		return true;
	imap_bad(s, p);
	return false;
}

void imap_search(struct imap_session *s, struct imap_parser *p)
{
	struct imap_search what;
	if (take(s, p, imap_take_search, &what))
		search(s, &what, SEARCH_BY_UID);
}

void imap_sort(struct imap_session *s, struct imap_parser *p)
{
	struct imap_search what;
	if (take(s, p, imap_take_sort, &what))
		search(s, &what, SEARCH_SORTED);
}

void imap_thread(struct imap_session *s, struct imap_parser *p)
{
	struct imap_search what;
	if (take(s, p, imap_take_thread, &what))
		search(s, &what, SEARCH_THREADED);
}

void imap_esearch(struct imap_session *s, struct imap_parser *p)
{
	struct imap_search what;
	bool has_selected = false, has_others = false;
	if (!take(s, p, imap_take_esearch, &what))
		return;
	for (size_t i = 0; i < what.source_count; i++) {
		has_selected |= what.sources[i].source == IMAP_SOURCE_SELECTED;
		has_others |= what.sources[i].source != IMAP_SOURCE_SELECTED;
	}
	has_selected |= what.source_count == 0;
	/* RFC 7377 §2.2 */
	if (s->state != IMAP_SELECTED && (has_selected || (what.want & IMAP_RETURN_UPDATE)))
		imap_bad_text(s, "Select a mailbox first");
	else if (has_others && (what.want & IMAP_RETURN_SAVE))
		imap_bad_text(s, "SAVE goes with the selected mailbox only");
	else if (is_allowed(s, &what)) {
		struct imap_searching *w = new_searching(s, &what, SEARCH_BY_UID);
		w->is_esearch = true;
		w->is_plain = false;
		imap_search_many(s);
	}
}
