/* Results that are followed: RETURN (UPDATE) of RFC 5267 §4.3. What has changed in the mailbox is collected while the client is told of it; then
 * store is asked which of these messages match now, for one context after the other, and the difference is told: ADDTO and REMOVEFROM.
 * Of a sorted result the whole order is asked for again when something may have come to it, since positions are told. */
#include "edge/imap/search.h"

#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "wire/imap_structure.h"

#include <roaring/roaring.h>
#include <stdlib.h>

enum { CONTEXTS_MOST = 8, RANGES_BYTES_MOST = 65536 - 8, CANCELLED_MOST = 64 };

struct imap_context {
	struct imap_context *next;
	struct buf tag;
	bool is_uid;
	enum search_order order;
	struct buf program, keys;
	roaring_bitmap_t *uids;  /* the result, as the client knows it */
	struct buf sorted;       /* u32 UIDs: the same in its order, if that is not the mailbox's */
	/* under way */
	bool is_due, has_answer;
	uint32_t request;        /* 0: none */
	roaring_bitmap_t *asked; /* UIDs that may have changed */
	struct buf found;
};

struct imap_searches *imap_searches_of(struct imap_session *s)
{
	if (!s->view.searches)
		s->view.searches = xcalloc(1, sizeof *s->view.searches);
	return s->view.searches;
}

static void free_context(struct imap_context *c)
{
	buf_free(&c->tag);
	buf_free(&c->program);
	buf_free(&c->keys);
	buf_free(&c->sorted);
	buf_free(&c->found);
	roaring_bitmap_free(c->uids);
	if (c->asked)
		roaring_bitmap_free(c->asked);
	free(c);
}

void imap_searches_free(struct imap_view *v)
{
	struct imap_searches *all = v->searches;
	if (!all)
		return;
	for (struct imap_context *c = all->contexts, *next; c; c = next) {
		next = c->next;
		free_context(c);
	}
	if (all->saved)
		roaring_bitmap_free(all->saved);
	if (all->changed)
		roaring_bitmap_free(all->changed);
	free(all);
	v->searches = NULL;
}

/* ---- beginning and ending ---- */

bool imap_context_has_tag(const struct imap_session *s, struct span tag)
{
	const struct imap_searches *all = s->view.searches;
	for (const struct imap_context *c = all ? all->contexts : NULL; c; c = c->next)
		if (span_equal(buf_span(&c->tag), tag))
			return true;
	return false;
}

void imap_context_begin(struct imap_session *s, const struct imap_searching *w)
{
	struct imap_searches *all = imap_searches_of(s);
	unsigned count = 0;
	for (const struct imap_context *c = all->contexts; c; c = c->next)
		count++;
	if (count == CONTEXTS_MOST) {
		buf_add_cstr(&s->out, "* NO [NOUPDATE "); /* RFC 5267 §4.3.1 */
		imap_render_string(s->tag, 0, &s->out);
		buf_add_cstr(&s->out, "] Too many searches are followed\r\n");
		return;
	}
	struct imap_context *c = xcalloc(1, sizeof *c);
	*c = (struct imap_context){.next = all->contexts, .is_uid = s->is_uid || w->is_esearch, .order = w->order, .uids = roaring_bitmap_create()};
	buf_add(&c->tag, s->tag);
	buf_add(&c->program, buf_span(&w->program));
	buf_add(&c->keys, buf_span(&w->keys));
	roaring_bitmap_add_many(c->uids, w->found.len / sizeof(uint32_t), (const uint32_t *)w->found.ptr);
	if (c->order == SEARCH_SORTED)
		buf_add(&c->sorted, buf_span(&w->found));
	all->contexts = c;
}

void imap_cancel_update(struct imap_session *s, struct imap_parser *p)
{
	struct span tags[CANCELLED_MOST];
	size_t count;
	if (!imap_take_tags(p, tags, CANCELLED_MOST, &count)) {
		imap_bad(s, p);
		return;
	}
	struct imap_searches *all = imap_searches_of(s);
	for (struct imap_context **at = &all->contexts; *at;) {
		struct imap_context *c = *at;
		bool is_cancelled = false;
		for (size_t i = 0; i < count; i++)
			is_cancelled |= span_equal(buf_span(&c->tag), tags[i]);
		if (!is_cancelled) {
			at = &c->next;
			continue;
		}
		all->is_asking &= c->request == 0;
		*at = c->next;
		free_context(c);
	}
	imap_ok(s, "No further updates");
	imap_contexts_refresh(s);
}

/* ---- telling ---- */

static void begin_response(struct imap_session *s, const struct imap_context *c, bool *has_begun)
{
	if (!*has_begun) {
		buf_add_cstr(&s->out, "* ESEARCH (TAG ");
		imap_render_string(buf_span(&c->tag), 0, &s->out);
		buf_add_cstr(&s->out, c->is_uid ? ") UID" : ")");
	}
	*has_begun = true;
}

static void end_response(struct imap_session *s, bool has_begun)
{
	if (has_begun)
		buf_add_cstr(&s->out, "\r\n");
	if (s->out.len > IMAP_OUT_BYTES)
		imap_flush(s);
}

static uint32_t number_of(struct imap_session *s, const struct imap_context *c, uint32_t uid)
{
	return c->is_uid ? uid : imap_view_sequence(&s->view, uid);
}

/* " REMOVEFROM (0 5:7)": of a result in mailbox order the position may be left open (RFC 5267 §4.3.3). */
static void say_set(struct imap_session *s, const struct imap_context *c, const char *item, const roaring_bitmap_t *uids)
{
	uint64_t count = roaring_bitmap_get_cardinality(uids);
	uint32_t *numbers = xcalloc(count + 1, sizeof *numbers);
	roaring_bitmap_to_uint32_array(uids, numbers);
	for (uint64_t i = 0; i < count; i++)
		numbers[i] = number_of(s, c, numbers[i]);
	buf_printf(&s->out, " %s (0 ", item);
	imap_search_add_numbers(&s->out, numbers, count);
	buf_add_char(&s->out, ')');
	free(numbers);
}

/* Takes UIDs out of the result. Of a sorted one from the last on, so that the positions of those still to come stay. */
static void say_removed(struct imap_session *s, struct imap_context *c, const roaring_bitmap_t *gone, bool *has_begun)
{
	if (roaring_bitmap_is_empty(gone))
		return;
	begin_response(s, c, has_begun);
	if (c->order != SEARCH_SORTED) {
		say_set(s, c, "REMOVEFROM", gone);
	} else {
		uint32_t *list = (uint32_t *)c->sorted.ptr;
		size_t count = c->sorted.len / sizeof *list, kept = 0;
		const char *gap = " REMOVEFROM (";
		for (size_t i = count; i-- > 0;)
			if (roaring_bitmap_contains(gone, list[i])) {
				buf_printf(&s->out, "%s%zu %u", gap, i + 1, number_of(s, c, list[i]));
				gap = " ";
			}
		for (size_t i = 0; i < count; i++)
			if (!roaring_bitmap_contains(gone, list[i]))
				list[kept++] = list[i];
		c->sorted.len = kept * sizeof *list;
		buf_add_char(&s->out, ')');
	}
	roaring_bitmap_andnot_inplace(c->uids, gone);
}

/* Puts UIDs into the result: of a sorted one each at its place in the new order, from the first on. */
static void say_added(struct imap_session *s, struct imap_context *c, const roaring_bitmap_t *added, bool *has_begun)
{
	if (roaring_bitmap_is_empty(added))
		return;
	begin_response(s, c, has_begun);
	if (c->order != SEARCH_SORTED) {
		say_set(s, c, "ADDTO", added);
	} else {
		const uint32_t *list = (const uint32_t *)c->sorted.ptr;
		size_t count = c->sorted.len / sizeof *list;
		const char *gap = " ADDTO (";
		for (size_t i = 0, next; i < count; i = next) {
			next = i + 1;
			if (!roaring_bitmap_contains(added, list[i]))
				continue;
			BUF_AUTO numbers = {0};
			for (; i < count && roaring_bitmap_contains(added, list[i]); i++) {
				uint32_t number = number_of(s, c, list[i]);
				buf_add(&numbers, span_of(&number, sizeof number));
			}
			next = i;
			buf_printf(&s->out, "%s%zu ", gap, i - numbers.len / sizeof(uint32_t) + 1);
			imap_search_add_numbers(&s->out, (const uint32_t *)numbers.ptr, numbers.len / sizeof(uint32_t));
			gap = " ";
		}
		buf_add_char(&s->out, ')');
	}
	roaring_bitmap_or_inplace(c->uids, added);
}

/* Before the EXPUNGEs: RFC 5267 §4.3.4. */
void imap_contexts_expunged(struct imap_session *s)
{
	struct imap_searches *all = s->view.searches;
	for (struct imap_context *c = all ? all->contexts : NULL; c; c = c->next) {
		roaring_bitmap_t *gone = roaring_bitmap_and(c->uids, s->view.expunged);
		bool has_begun = false;
		say_removed(s, c, gone, &has_begun);
		end_response(s, has_begun);
		roaring_bitmap_free(gone);
	}
}

/* ---- asking ---- */

void imap_contexts_changed(struct imap_session *s, uint32_t uid)
{
	struct imap_searches *all = s->view.searches;
	if (!all || !all->contexts)
		return;
	if (!all->changed)
		all->changed = roaring_bitmap_create();
	roaring_bitmap_add(all->changed, uid);
}

/* The program for those messages alone; if they are too many ranges, for all between the first and the last of them. */
static void narrow_program(struct imap_context *c, struct buf *program)
{
	BUF_AUTO ranges = {0};
	roaring_uint32_iterator_t *i = roaring_create_iterator(c->asked);
	for (; i->has_value && ranges.len <= RANGES_BYTES_MOST; roaring_advance_uint32_iterator(i))
		ranges_add(&ranges, i->current_value);
	roaring_free_uint32_iterator(i);
	if (ranges.len > RANGES_BYTES_MOST) {
		uint32_t first = roaring_bitmap_minimum(c->asked), last = roaring_bitmap_maximum(c->asked);
		buf_clear(&ranges);
		ranges_add_range(&ranges, first, last);
		roaring_bitmap_add_range_closed(c->asked, first, last);
	}
	pack_u8(program, SEARCH_AND);
	pack_u32(program, 2);
	pack_u8(program, SEARCH_UIDS);
	pack_bytes(program, buf_span(&ranges));
	buf_add(program, buf_span(&c->program));
}

static void ask(struct imap_session *s, struct imap_context *c)
{
	struct imap_searches *all = s->view.searches;
	struct channel *store = s->connection->edge->store;
	BUF_AUTO program = {0};
	if (!store || roaring_bitmap_is_empty(s->view.uids))
		return;
	if (c->order == SEARCH_SORTED)
		buf_add(&program, buf_span(&c->program));
	else
		narrow_program(c, &program);
	buf_clear(&c->found);
	c->is_due = false;
	c->request = IMAP_CONTEXT_REQUEST | ++all->last_request;
	all->is_asking = true;
	channel_send(store, search_ask, .session = s->connection->session, .request = c->request,
	             .uid_most = roaring_bitmap_maximum(s->view.uids), .program = buf_span(&program), .order = (uint8_t)c->order,
	             .keys = buf_span(&c->keys));
}

static void take_changed(struct imap_searches *all)
{
	for (struct imap_context *c = all->contexts; c; c = c->next) {
		if (!c->asked)
			c->asked = roaring_bitmap_create();
		roaring_bitmap_or_inplace(c->asked, all->changed);
		c->is_due = true;
	}
	roaring_bitmap_clear(all->changed);
}

static void say_answers(struct imap_session *s);

void imap_contexts_refresh(struct imap_session *s)
{
	struct imap_searches *all = s->view.searches;
	say_answers(s); /* what waits is of the question before */
	if (!all || all->is_asking)
		return;
	if (all->changed && !roaring_bitmap_is_empty(all->changed))
		take_changed(all);
	for (struct imap_context *c = all->contexts; c; c = c->next)
		if (c->is_due) {
			ask(s, c);
			return;
		}
}

/* ---- answers ---- */

static struct imap_context *context_of(struct imap_session *s, uint32_t request)
{
	struct imap_searches *all = s->view.searches;
	for (struct imap_context *c = all ? all->contexts : NULL; c; c = c->next)
		if (c->request == request)
			return c;
	return NULL;
}

void imap_contexts_found(struct imap_session *s, const struct msg_search_found *m)
{
	struct imap_context *c = context_of(s, m->request);
	if (c)
		buf_add(&c->found, m->found);
}

/* The messages found, without those that the client has been told are gone. */
static roaring_bitmap_t *found_uids(struct imap_session *s, struct imap_context *c)
{
	roaring_bitmap_t *uids = roaring_bitmap_create();
	struct unpacker u = {.rest = buf_span(&c->found)};
	while (u.rest.len && !u.bad) {
		uint32_t first = unpack_u32(&u), last = c->order == SEARCH_SORTED ? first : unpack_u32(&u);
		if (!u.bad)
			roaring_bitmap_add_range_closed(uids, first, last);
	}
	roaring_bitmap_and_inplace(uids, s->view.uids);
	return uids;
}

static void take_order(struct imap_context *c, const roaring_bitmap_t *uids)
{
	struct unpacker u = {.rest = buf_span(&c->found)};
	buf_clear(&c->sorted);
	while (u.rest.len && !u.bad) {
		uint32_t uid = unpack_u32(&u);
		if (roaring_bitmap_contains(uids, uid))
			buf_add(&c->sorted, span_of(&uid, sizeof uid));
	}
}

static void apply(struct imap_session *s, struct imap_context *c)
{
	roaring_bitmap_t *now = found_uids(s, c), *gone = roaring_bitmap_andnot(c->uids, now), *added = roaring_bitmap_andnot(now, c->uids);
	bool has_begun = false;
	if (c->order != SEARCH_SORTED)
		roaring_bitmap_and_inplace(gone, c->asked); /* of the others nothing was asked */
	say_removed(s, c, gone, &has_begun);
	if (c->order == SEARCH_SORTED)
		take_order(c, now);
	say_added(s, c, added, &has_begun);
	end_response(s, has_begun);
	roaring_bitmap_free(now);
	roaring_bitmap_free(gone);
	roaring_bitmap_free(added);
	roaring_bitmap_clear(c->asked);
	buf_free(&c->found);
	c->has_answer = false;
}

static void say_answers(struct imap_session *s)
{
	struct imap_searches *all = s->view.searches;
	for (struct imap_context *c = all ? all->contexts : NULL; c; c = c->next)
		if (c->has_answer)
			apply(s, c);
}

/* In the middle of another command's answer it waits until that ends. */
static void say_if_possible(struct imap_session *s)
{
	if (s->running && s->input != IMAP_INPUT_IDLE)
		return;
	imap_contexts_refresh(s);
	imap_flush(s);
}

void imap_contexts_searched(struct imap_session *s, const struct msg_search_done *m)
{
	struct imap_context *c = context_of(s, m->request);
	if (!c)
		return;
	c->request = 0;
	c->has_answer = true;
	s->view.searches->is_asking = false;
	say_if_possible(s);
}

void imap_contexts_failed(struct imap_session *s, const struct msg_request_done *m)
{
	struct imap_context *c = context_of(s, m->request);
	if (!c)
		return;
	/* with the next change it is tried again, for these messages too */
	c->request = 0;
	s->view.searches->is_asking = false;
}
