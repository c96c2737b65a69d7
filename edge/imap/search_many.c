/* ESEARCH over several mailboxes: RFC 7377. store is asked which there are, then searches them one after the other. */
#include "edge/imap/search.h"

#include "base/pack.h"
#include "ipc/words.h"

static void search_next(struct imap_session *s);

static bool is_below(struct span name, struct span top, bool only_one_level)
{
	if (!span_starts_with(name, top) || name.len <= top.len || name.ptr[top.len] != '/')
		return false;
	return !only_one_level || span_chr(span_skip(name, top.len + 1), '/') < 0;
}

/* RFC 7377 §2.2. Inboxes are where mail is delivered to: INBOX, and Junk. */
static bool is_in_source(const struct imap_session *s, const struct imap_search_source *source, const struct msg_mailbox_row *m)
{
	switch (source->source) {
	case IMAP_SOURCE_SELECTED: return imap_is_selected(s, m);
	case IMAP_SOURCE_INBOXES: return span_equal(m->name, SPAN("INBOX")) || m->special_use == USE_JUNK;
	case IMAP_SOURCE_PERSONAL: return !m->owner;
	case IMAP_SOURCE_SUBSCRIBED: return m->is_subscribed;
	case IMAP_SOURCE_SUBTREE: case IMAP_SOURCE_SUBTREE_ONE: case IMAP_SOURCE_MAILBOXES: break;
	}
	for (size_t i = 0; i < source->name_count; i++) {
		struct span name = source->names[i];
		if (span_equal(m->name, name) || (source->source != IMAP_SOURCE_MAILBOXES &&
		                                  is_below(m->name, name, source->source == IMAP_SOURCE_SUBTREE_ONE)))
			return true;
	}
	return false;
}

static void add_mailbox(struct imap_session *s, struct imap_searching *w, struct span name)
{
	if (w->mailbox_count == w->mailbox_room) {
		size_t room = w->mailbox_room ? w->mailbox_room * 2 : 16;
		struct span *list = arena_alloc_array(&s->arena, room, sizeof *list);
		if (w->mailbox_count)
			memcpy(list, w->mailboxes, w->mailbox_count * sizeof *list);
		w->mailboxes = list;
		w->mailbox_room = room;
	}
	w->mailboxes[w->mailbox_count++] = name;
}

static void on_row(struct imap_session *s, const struct msg_mailbox_row *m)
{
	struct imap_searching *w = s->searching;
	bool is_selected = imap_is_selected(s, m), is_wanted = w->what.source_count == 0 && is_selected;
	if (!m->exists)
		return;
	for (size_t i = 0; i < w->what.source_count && !is_wanted; i++)
		is_wanted = is_in_source(s, &w->what.sources[i], m);
	if (is_selected)
		w->selected_name = arena_dup(&s->arena, m->name);
	if (is_wanted)
		add_mailbox(s, w, is_selected ? SPAN("") : arena_dup(&s->arena, m->name));
}

/* Sources that can be in other people's mailboxes. */
static bool wants_others(const struct imap_session *s, const struct imap_searching *w)
{
	bool result = s->state == IMAP_SELECTED && s->view.owner;
	for (size_t i = 0; i < w->what.source_count; i++)
		for (size_t n = 0; n < w->what.sources[i].name_count; n++)
			result |= namespace_is_reserved(w->what.sources[i].names[n]);
	return result;
}

static void on_listed(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome == REQUEST_OK)
		search_next(s);
	else
		imap_no_outcome(s, m, false);
}

void imap_search_many(struct imap_session *s)
{
	struct imap_all_mailboxes *all = arena_alloc(&s->arena, sizeof *all);
	*all = (struct imap_all_mailboxes){.row = on_row, .done = on_listed, .has_others = wants_others(s, s->searching)};
	imap_ask_all_mailboxes(s, all);
}

/* ---- one after the other ---- */

static void on_found(struct imap_session *s, const struct msg_search_found *m)
{
	struct imap_searching *w = s->searching;
	buf_add(&w->scores, m->scores);
	for (size_t i = 0; i < ranges_count(m->found); i++) {
		uint32_t first, last;
		ranges_get(m->found, i, &first, &last);
		for (uint64_t uid = first; uid <= last; uid++) {
			uint32_t one = (uint32_t)uid;
			buf_add(&w->found, span_of(&one, sizeof one));
		}
	}
}

static void on_searched(struct imap_session *s, const struct msg_search_done *m)
{
	struct imap_searching *w = s->searching;
	struct span name = w->mailboxes[w->next_mailbox];
	if (name.len == 0 && (w->what.want & IMAP_RETURN_SAVE))
		imap_search_save(s, w);
	imap_search_say_result(s, w, m, name.len ? name : w->selected_name);
	if (name.len == 0 && (w->what.want & IMAP_RETURN_UPDATE))
		imap_context_begin(s, w);
	w->next_mailbox++;
	search_next(s);
}

/* A mailbox that has gone meanwhile has no matches. */
static void on_not_searched(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome != REQUEST_NO_MAILBOX) {
		imap_no_outcome(s, m, false);
		return;
	}
	s->searching->next_mailbox++;
	search_next(s);
}

static void search_next(struct imap_session *s)
{
	static const struct imap_answers answers = {.found = on_found, .searched = on_searched, .done = on_not_searched};
	struct imap_searching *w = s->searching;
	if (w->next_mailbox == w->mailbox_count) {
		imap_ok(s, "%s done", s->running->name);
		return;
	}
	struct span name = w->mailboxes[w->next_mailbox];
	buf_clear(&w->program);
	buf_clear(&w->found);
	buf_clear(&w->scores);
	if (imap_search_pack(s, w->what.root, name.len > 0, &w->program))
		imap_search_ask(s, &answers, name);
}
