/* LIST and LSUB: RFC 3501 §6.3.8 and §6.3.9, RFC 5258, RFC 3348, RFC 5819, RFC 6154, RFC 8440. store tells all names, the account's own and then
 * those of each who lets it see some of his; what matches is chosen here. */
#include "wire/imap_list.h"

#include "edge/imap/session.h"
#include "ipc/words.h"
#include "wire/rights.h"

#include <stdlib.h>

struct listed {
	struct listed *next; /* in the order in which they came */
	struct span name;
	const struct msg_mailbox_row *row; /* if its STATUS is to be told */
	uint8_t special_use;
	uint16_t rights;
	bool is_subscribed, exists;
};

/* An entry of METADATA, as it came. */
struct annotation {
	struct annotation *next;
	struct span mailbox, entry, value;
};

struct listing {
	struct imap_list what;
	bool is_lsub;
	struct listed *first, **last;
	size_t count;
	struct listed **sorted;
	struct imap_pattern **patterns;
	struct annotation *annotations, **last_annotation;
	struct imap_all_mailboxes all;
};

static void add(struct imap_session *s, const struct listed *one)
{
	struct listing *w = s->work;
	struct listed *l = arena_alloc(&s->arena, sizeof *l);
	*l = *one;
	*w->last = l;
	w->last = &l->next;
	w->count++;
}

static void on_row(struct imap_session *s, const struct msg_mailbox_row *m)
{
	const struct listing *w = s->work;
	struct span name = arena_dup(&s->arena, m->name);
	struct msg_mailbox_row *row = NULL;
	if (w->what.status_items && m->exists && m->rights & RIGHT_READ) {
		row = arena_alloc(&s->arena, sizeof *row);
		*row = *m;
		row->name = name;
	}
	add(s, &(struct listed){.name = name, .row = row, .special_use = m->special_use, .is_subscribed = m->is_subscribed, .exists = m->exists, .rights = m->rights});
}

/* By name, with what lies below a mailbox directly behind it. */
static int by_name(const void *a, const void *b)
{
	struct span x = (*(struct listed *const *)a)->name, y = (*(struct listed *const *)b)->name;
	size_t i = 0;
	while (i < x.len && i < y.len && x.ptr[i] == y.ptr[i])
		i++;
	int left = i < x.len ? x.ptr[i] == '/' ? 1 : (unsigned char)x.ptr[i] + 1 : 0;
	int right = i < y.len ? y.ptr[i] == '/' ? 1 : (unsigned char)y.ptr[i] + 1 : 0;
	return left - right;
}

static bool is_below(struct span name, struct span parent)
{
	return name.len > parent.len && name.ptr[parent.len] == '/' && span_starts_with(name, parent);
}

static void sort(struct imap_session *s, struct listing *w)
{
	size_t n = 0;
	w->sorted = arena_alloc_array(&s->arena, w->count, sizeof(struct listed *));
	for (struct listed *l = w->first; l; l = l->next)
		w->sorted[n++] = l;
	if (n)
		qsort(w->sorted, n, sizeof(struct listed *), by_name);
}

/* A subscribed name of somebody else's came with the account's own, and again as his mailbox. */
static void join_doubles(struct listing *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->count; i++) {
		struct listed *l = w->sorted[i], *before = n ? w->sorted[n - 1] : NULL;
		if (!before || !span_equal(before->name, l->name)) {
			w->sorted[n++] = l;
			continue;
		}
		bool is_subscribed = before->is_subscribed || l->is_subscribed;
		if (l->exists)
			w->sorted[n - 1] = l;
		w->sorted[n - 1]->is_subscribed = is_subscribed;
	}
	w->first = NULL;
	w->last = &w->first;
	w->count = n;
	for (size_t i = 0; i < n; i++) {
		*w->last = w->sorted[i];
		w->last = &w->sorted[i]->next;
		*w->last = NULL;
	}
}

/* Adds the levels above names that are no rows of their own: those of mailboxes (RFC 3501 §6.3.8), and those of subscriptions,
 * which RECURSIVEMATCH may tell (RFC 5258 §3.1, example 8). Since what lies below a name stands directly behind it, a level is
 * missing where the first name below it does not follow it. store bounds how many there can be. */
static void add_missing_levels(struct imap_session *s, struct listing *w)
{
	size_t count = w->count;
	for (size_t at = 0; at < count; at++) {
		struct span name = w->sorted[at]->name, before = at ? w->sorted[at - 1]->name : SPAN("");
		for (size_t i = 1; i < name.len; i++) {
			struct span level = span_slice(name, 0, i);
			if (name.ptr[i] == '/' && !span_equal(before, level) && !is_below(before, level))
				add(s, &(struct listed){.name = level});
		}
	}
	if (w->count > count)
		sort(s, w);
}

static bool has_children(const struct listing *w, size_t at)
{
	for (size_t i = at + 1; i < w->count && is_below(w->sorted[i]->name, w->sorted[at]->name); i++)
		if (w->sorted[i]->exists)
			return true;
	return false;
}

static bool is_selected(const struct listing *w, size_t at)
{
	const struct listed *l = w->sorted[at];
	unsigned options = w->what.options;
	if ((options & IMAP_LIST_SUBSCRIBED) && !l->is_subscribed)
		return false;
	if ((options & IMAP_LIST_SPECIAL_USE) && l->special_use == USE_NONE)
		return false;
	/* RFC 3501 §6.3.4: a name above others is there without a mailbox too */
	return l->exists || (options & IMAP_LIST_SUBSCRIBED) || has_children(w, at);
}

static bool matches(const struct listing *w, struct span name)
{
	for (size_t i = 0; i < w->what.pattern_count; i++)
		if (w->patterns[i] && imap_pattern_matches(w->patterns[i], name))
			return true;
	return false;
}

static void say_name(struct imap_session *s, struct span name)
{
	buf_add_cstr(&s->out, " \"/\" ");
	imap_add_mailbox_name(s, name);
}

static void say_listed(struct imap_session *s, const struct listing *w, size_t at, bool has_selected_below)
{
	static const char *const uses[] = {[USE_DRAFTS] = " \\Drafts", [USE_SENT] = " \\Sent", [USE_JUNK] = " \\Junk",
	                                   [USE_TRASH] = " \\Trash", [USE_ARCHIVE] = " \\Archive"};
	const struct listed *l = w->sorted[at];
	buf_printf(&s->out, "* LIST (%s", has_children(w, at) ? "\\HasChildren" : "\\HasNoChildren");
	/* RFC 5258 §3: \NonExistent implies \Noselect, for those who know it */
	if (!l->exists)
		buf_add_cstr(&s->out, w->what.is_extended ? " \\NonExistent" : " \\Noselect");
	if (l->is_subscribed && (w->what.options & IMAP_LIST_RETURN_SUBSCRIBED))
		buf_add_cstr(&s->out, " \\Subscribed");
	if (l->special_use && l->special_use < sizeof uses / sizeof uses[0])
		buf_add_cstr(&s->out, uses[l->special_use]);
	buf_add_char(&s->out, ')');
	say_name(s, l->name);
	/* RFC 5258 §3.5 */
	if (has_selected_below)
		buf_printf(&s->out, " (\"CHILDINFO\" (\"%s\"))", w->what.options & IMAP_LIST_SUBSCRIBED ? "SUBSCRIBED" : "SPECIAL-USE");
	buf_add_cstr(&s->out, "\r\n");
}

/* Looks for selected names below one; only for those that are not said themselves, if `only_unsaid`. */
static bool has_selected_below(const struct listing *w, size_t at, bool only_unsaid)
{
	if (!(w->what.options & IMAP_LIST_RECURSIVE))
		return false;
	for (size_t i = at + 1; i < w->count && is_below(w->sorted[i]->name, w->sorted[at]->name); i++)
		if (is_selected(w, i) && !(only_unsaid && matches(w, w->sorted[i]->name)))
			return true;
	return false;
}

/* RFC 9590 §3: all that was asked for in one response. */
static void say_annotations(struct imap_session *s, const struct listing *w, struct span name)
{
	const char *gap = " (";
	for (const struct annotation *a = w->annotations; a; a = a->next) {
		if (!span_equal(a->mailbox, name))
			continue;
		if (gap[1] == '(') {
			buf_add_cstr(&s->out, "* METADATA ");
			imap_add_mailbox_name(s, name);
		}
		buf_add_cstr(&s->out, gap);
		imap_add_metadata(s, a->entry, a->value);
		gap = " ";
	}
	if (gap[1] != '(')
		buf_add_cstr(&s->out, ")\r\n");
}

static void say_list(struct imap_session *s, const struct listing *w)
{
	for (size_t i = 0; i < w->count; i++) {
		if (!matches(w, w->sorted[i]->name))
			continue;
		/* RFC 5258 §3.5: one that is not selected itself is said only for what the client does not see below it */
		bool is_said = is_selected(w, i) || has_selected_below(w, i, true);
		if (is_said)
			say_listed(s, w, i, has_selected_below(w, i, false));
		if (is_said && is_selected(w, i) && w->sorted[i]->row)
			imap_say_status(s, w->sorted[i]->row, w->what.status_items); /* RFC 5819 §2 */
		if (is_said && is_selected(w, i) && w->sorted[i]->exists && w->what.options & IMAP_LIST_RETURN_MYRIGHTS)
			imap_say_rights(s, w->sorted[i]->name, w->sorted[i]->rights); /* RFC 8440 §3 */
		if (is_said && w->sorted[i]->exists)
			say_annotations(s, w, w->sorted[i]->name);
		if (s->out.len > IMAP_OUT_BYTES)
			imap_flush(s);
	}
}

/* RFC 3501 §6.3.9: with "%" a level above a subscribed name is told too, as \Noselect. */
static void say_levels_above(struct imap_session *s, const struct listing *w, struct span name, struct span *said)
{
	for (size_t i = 1; i < name.len; i++) {
		struct span level = span_slice(name, 0, i);
		if (name.ptr[i] != '/' || span_equal(level, *said) || is_below(*said, level) || !matches(w, level))
			continue;
		buf_add_cstr(&s->out, "* LSUB (\\Noselect)");
		say_name(s, level);
		buf_add_cstr(&s->out, "\r\n");
		*said = level;
	}
}

static void say_lsub(struct imap_session *s, const struct listing *w)
{
	struct span said = {0};
	for (size_t i = 0; i < w->count; i++) {
		struct span name = w->sorted[i]->name;
		if (!w->sorted[i]->is_subscribed)
			continue;
		if (matches(w, name)) {
			buf_add_cstr(&s->out, "* LSUB ()");
			say_name(s, name);
			buf_add_cstr(&s->out, "\r\n");
			said = name;
		} else {
			say_levels_above(s, w, name, &said);
		}
	}
}

static void on_annotation(struct imap_session *s, const struct msg_metadata_row *m)
{
	struct listing *w = s->work;
	struct annotation *a = arena_alloc(&s->arena, sizeof *a);
	*a = (struct annotation){.mailbox = arena_dup(&s->arena, m->mailbox), .entry = arena_dup(&s->arena, m->entry), .value = arena_dup(&s->arena, m->value)};
	*w->last_annotation = a;
	w->last_annotation = &a->next;
}

static void say(struct imap_session *s, const struct msg_request_done *m);

/* One question after the other: the account's own annotations, then those of each who shares some of his mailboxes. */
static void next_annotations(struct imap_session *s, const struct msg_request_done *m)
{
	static const struct imap_answers answers = {.metadata = on_annotation, .done = next_annotations};
	struct listing *w = s->work;
	BUF_AUTO entries = {0};
	struct span prefix;
	(void)m;
	if (!imap_next_share(&w->all, &prefix)) {
		say(s, &(struct msg_request_done){.outcome = REQUEST_OK});
		return;
	}
	words_pack(&entries, w->what.entries, w->what.entry_count);
	imap_ask(s, &answers, metadata_get, .mailbox = prefix, .scope = METADATA_OF_ALL, .entries = buf_span(&entries));
}

static void ask_annotations(struct imap_session *s, struct listing *w)
{
	static const struct imap_answers answers = {.metadata = on_annotation, .done = next_annotations};
	BUF_AUTO entries = {0};
	imap_first_share(&w->all);
	words_pack(&entries, w->what.entries, w->what.entry_count);
	imap_ask(s, &answers, metadata_get, .scope = METADATA_OF_ALL, .entries = buf_span(&entries));
}

static void on_done(struct imap_session *s, const struct msg_request_done *m)
{
	struct listing *w = s->work;
	if (m->outcome == REQUEST_OK && w->what.entry_count)
		ask_annotations(s, w);
	else
		say(s, m);
}

/* Whether what stands before the first wildcard can be the beginning of such a name. */
static bool may_match_below(struct span pattern, struct span prefix)
{
	size_t n = 0;
	while (n < pattern.len && n < prefix.len && pattern.ptr[n] == prefix.ptr[n])
		n++;
	return n == pattern.len || n == prefix.len || pattern.ptr[n] == '*' || pattern.ptr[n] == '%';
}

/* LSUB tells of names alone, which are the account's own. */
static bool wants_others(const struct listing *w)
{
	for (size_t i = 0; i < w->what.pattern_count && !w->is_lsub; i++)
		if (w->what.patterns[i].ptr && (may_match_below(w->what.patterns[i], SPAN(NAMESPACE_OTHERS_PREFIX)) ||
		                                may_match_below(w->what.patterns[i], SPAN(NAMESPACE_SHARED_PREFIX))))
			return true;
	return false;
}

static void say(struct imap_session *s, const struct msg_request_done *m)
{
	struct listing *w = s->work;
	if (m->outcome != REQUEST_OK) {
		imap_no_outcome(s, m, false);
		return;
	}
	sort(s, w);
	join_doubles(w);
	if (!w->is_lsub)
		add_missing_levels(s, w);
	w->patterns = arena_alloc_array(&s->arena, w->what.pattern_count, sizeof(struct imap_pattern *));
	for (size_t i = 0; i < w->what.pattern_count; i++)
		w->patterns[i] = w->what.patterns[i].ptr ? imap_pattern_new(w->what.patterns[i]) : NULL;
	if (w->is_lsub)
		say_lsub(s, w);
	else
		say_list(s, w);
	for (size_t i = 0; i < w->what.pattern_count; i++)
		imap_pattern_free(w->patterns[i]);
	imap_done_plainly(s, m);
}

static void list(struct imap_session *s, struct imap_parser *p, bool is_lsub)
{
	struct listing *w = arena_alloc(&s->arena, sizeof *w);
	w->is_lsub = is_lsub;
	w->last = &w->first;
	w->last_annotation = &w->annotations;
	if (!imap_take_space(p) || !imap_take_list(p, is_lsub, &w->what)) {
		imap_bad(s, p);
		return;
	}
	/* RFC 3501 §6.3.8: an empty name asks for the delimiter */
	if (w->what.is_root) {
		buf_printf(&s->out, "* %s (\\Noselect) \"/\" \"\"\r\n", s->running->name);
		imap_ok(s, "%s done", s->running->name);
		return;
	}
	s->work = w;
	w->all = (struct imap_all_mailboxes){.row = on_row, .done = on_done, .wants_recent = (w->what.status_items & IMAP_STATUS_RECENT) != 0, .has_others = wants_others(w)};
	imap_ask_all_mailboxes(s, &w->all);
}

void imap_list(struct imap_session *s, struct imap_parser *p)
{
	list(s, p, false);
}

void imap_lsub(struct imap_session *s, struct imap_parser *p)
{
	list(s, p, true);
}
