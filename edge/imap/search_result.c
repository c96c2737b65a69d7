/* What a search has found, as ESEARCH tells it (RFC 4466 §2.6.2, RFC 4731), and what of it is saved (RFC 5182). */
#include "edge/imap/search.h"

#include "base/die.h"
#include "ipc/words.h"
#include "wire/imap_structure.h"

#include <roaring/roaring.h>
#include <stdlib.h>

enum { NUMBERING_SPARSE_MOST = 8 /* a table has no more than so many places for each message */ };

/* ---- numbers ---- */

void imap_search_number_all(const struct imap_view *v, struct imap_numbering *out)
{
	uint64_t count = roaring_bitmap_get_cardinality(v->uids);
	if (out->numbers || count == 0)
		return;
	uint32_t first = roaring_bitmap_minimum(v->uids), last = roaring_bitmap_maximum(v->uids);
	if ((uint64_t)last - first >= count * NUMBERING_SPARSE_MOST)
		return;
	*out = (struct imap_numbering){.first = first, .count = (size_t)(last - first) + 1};
	out->numbers = xcalloc(out->count, sizeof *out->numbers);
	roaring_uint32_iterator_t *i = roaring_create_iterator(v->uids);
	for (uint32_t number = 1; i->has_value; roaring_advance_uint32_iterator(i))
		out->numbers[i->current_value - first] = number++;
	roaring_free_uint32_iterator(i);
}

uint32_t imap_search_number(struct imap_session *s, const struct imap_numbering *n, uint32_t uid, bool is_uid)
{
	uint32_t number = !n->numbers ? imap_view_sequence(&s->view, uid) :
	                  uid >= n->first && uid - n->first < n->count ? n->numbers[uid - n->first] : 0;
	return is_uid && number ? uid : number;
}

/* RFC 5267 §3.2: where numbers ascend by one, they are a range. */
void imap_search_add_numbers(struct buf *out, const uint32_t *numbers, size_t count)
{
	for (size_t i = 0, next; i < count; i = next) {
		for (next = i + 1; next < count && numbers[next] == numbers[next - 1] + 1; next++)
			;
		if (i)
			buf_add_char(out, ',');
		buf_add_number(out, numbers[i]);
		if (next - i > 1) {
			buf_add_char(out, ':');
			buf_add_number(out, numbers[next - 1]);
		}
	}
}

/* ---- results ---- */

static const uint32_t *found_of(const struct imap_searching *w, size_t *count)
{
	*count = w->found.len / sizeof(uint32_t);
	return (const uint32_t *)w->found.ptr;
}

/* The part of a result of that size which PARTIAL asks for. */
static void partial_of(const struct imap_partial *p, size_t size, size_t *from, size_t *count)
{
	size_t first = p->first - 1, last = p->last < size ? p->last : size;
	*count = first < last ? last - first : 0;
	*from = *count == 0 ? 0 : p->is_from_end ? size - last : first;
}

static void add_one(struct imap_session *s, const char *name, uint32_t number)
{
	buf_printf(&s->out, " %s %u", name, number);
}

static void add_scores(struct imap_session *s, const struct imap_searching *w, size_t from, size_t count)
{
	buf_add_cstr(&s->out, " RELEVANCY (");
	for (size_t i = from; i < from + count && i < w->scores.len; i++) {
		if (i > from)
			buf_add_char(&s->out, ' ');
		buf_add_number(&s->out, (unsigned char)w->scores.ptr[i]);
	}
	buf_add_char(&s->out, ')');
}

/* RFC 7162 §3.1.10: of MIN and MAX alone, those of these messages; otherwise the highest of all. */
static uint64_t modseq_to_tell(const struct imap_searching *w, const struct msg_search_done *m)
{
	unsigned ends = w->what.want & (IMAP_RETURN_MIN | IMAP_RETURN_MAX);
	if (!ends || (w->what.want & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT | IMAP_RETURN_PARTIAL)))
		return m->modseq;
	uint64_t first = ends & IMAP_RETURN_MIN ? m->first_modseq : 0, last = ends & IMAP_RETURN_MAX ? m->last_modseq : 0;
	return first > last ? first : last;
}

static void add_correlator(struct imap_session *s, const struct msg_search_done *m, struct span mailbox)
{
	buf_add_cstr(&s->out, "* ESEARCH (TAG ");
	imap_render_string(s->tag, 0, &s->out);
	if (mailbox.len) {
		buf_add_cstr(&s->out, " MAILBOX ");
		imap_add_mailbox_name(s, mailbox);
		buf_printf(&s->out, " UIDVALIDITY %u", m->uidvalidity);
	}
	buf_add_char(&s->out, ')');
}

/* The numbers of everything, in their order; those that the client has not heard of are left out. */
static size_t number_found(struct imap_session *s, struct imap_searching *w, bool is_uid, uint32_t **numbers)
{
	size_t count, kept = 0;
	const uint32_t *found = found_of(w, &count);
	*numbers = xcalloc(count + 1, sizeof **numbers);
	imap_search_number_all(&s->view, &w->numbering);
	for (size_t i = 0; i < count; i++) {
		uint32_t number = imap_search_number(s, &w->numbering, found[i], is_uid);
		if (number)
			(*numbers)[kept++] = number;
	}
	return kept;
}

void imap_search_say_result(struct imap_session *s, struct imap_searching *w, const struct msg_search_done *m, struct span mailbox)
{
	bool is_elsewhere = w->is_esearch && w->mailboxes && w->mailboxes[w->next_mailbox].len;
	bool is_uid = s->is_uid || w->is_esearch;
	unsigned want = w->what.want;
	uint32_t *own = NULL;
	size_t count, from = 0, part = 0;
	const uint32_t *numbers = found_of(w, &count);
	if (!is_elsewhere) {
		count = number_found(s, w, is_uid, &own);
		numbers = own;
	}
	/* RFC 7377 §2.1: of mailboxes without a match nothing is said. RFC 5182 §2.2: SAVE alone asks for no data */
	if ((w->is_esearch && count == 0) || want == IMAP_RETURN_SAVE) {
		free(own);
		return;
	}
	add_correlator(s, m, mailbox);
	if (is_uid)
		buf_add_cstr(&s->out, " UID");
	if ((want & IMAP_RETURN_MIN) && count)
		add_one(s, "MIN", numbers[0]);
	if ((want & IMAP_RETURN_MAX) && count)
		add_one(s, "MAX", numbers[count - 1]);
	if (want & IMAP_RETURN_COUNT)
		add_one(s, "COUNT", (uint32_t)count);
	if ((want & IMAP_RETURN_ALL) && count) {
		buf_add_cstr(&s->out, " ALL ");
		imap_search_add_numbers(&s->out, numbers, count);
	}
	if (want & IMAP_RETURN_PARTIAL) {
		partial_of(&w->what.partial, count, &from, &part);
		buf_printf(&s->out, " PARTIAL (%.*s ", SPAN_ARG(w->what.partial_label));
		if (part)
			imap_search_add_numbers(&s->out, numbers + from, part);
		else
			buf_add_cstr(&s->out, "NIL");
		buf_add_char(&s->out, ')');
	}
	if (want & IMAP_RETURN_RELEVANCY)
		add_scores(s, w, from, want & IMAP_RETURN_PARTIAL ? part : count);
	if (w->what.has_modseq && count)
		buf_printf(&s->out, " MODSEQ %llu", (unsigned long long)modseq_to_tell(w, m));
	buf_add_cstr(&s->out, "\r\n");
	imap_flush(s);
	free(own);
}

void imap_search_save(struct imap_session *s, const struct imap_searching *w)
{
	struct imap_searches *all = imap_searches_of(s);
	unsigned want = w->what.want;
	size_t count, from = 0, part = 0;
	const uint32_t *found = found_of(w, &count);
	if (!all->saved)
		all->saved = roaring_bitmap_create();
	roaring_bitmap_clear(all->saved);
	/* RFC 5182 §2.4, RFC 9394 §3.2: MIN, MAX and PARTIAL save what they tell, if nothing else is told */
	if (!(want & (IMAP_RETURN_MIN | IMAP_RETURN_MAX | IMAP_RETURN_PARTIAL)) || (want & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT))) {
		roaring_bitmap_add_many(all->saved, count, found);
		return;
	}
	if ((want & IMAP_RETURN_MIN) && count)
		roaring_bitmap_add(all->saved, found[0]);
	if ((want & IMAP_RETURN_MAX) && count)
		roaring_bitmap_add(all->saved, found[count - 1]);
	if (want & IMAP_RETURN_PARTIAL)
		partial_of(&w->what.partial, count, &from, &part);
	roaring_bitmap_add_many(all->saved, part, found + from);
}

uint32_t imap_search_saved(const struct imap_view *v, struct buf *ranges)
{
	if (!v->searches || !v->searches->saved)
		return 0;
	roaring_bitmap_t *there = roaring_bitmap_and(v->searches->saved, v->uids);
	uint32_t count = (uint32_t)roaring_bitmap_get_cardinality(there);
	roaring_uint32_iterator_t *i = roaring_create_iterator(there);
	for (; i->has_value; roaring_advance_uint32_iterator(i))
		ranges_add(ranges, i->current_value);
	roaring_free_uint32_iterator(i);
	roaring_bitmap_free(there);
	return count;
}
