/* The arguments of NOTIFY: see imap_notify.h. RFC 5465 §8. */
#include "wire/imap_notify.h"

static bool take_mailboxes(struct imap_parser *p, struct imap_notify_group *g)
{
	bool is_list;
	if (!imap_take_space(p))
		return false;
	is_list = imap_next_is(p, '(');
	g->mailboxes = arena_alloc_array(p->arena, IMAP_NOTIFY_MAILBOXES_MAX, sizeof *g->mailboxes);
	p->rest = span_skip(p->rest, is_list);
	do {
		if (g->count == IMAP_NOTIFY_MAILBOXES_MAX)
			return imap_fail(p, "Too many mailboxes");
		if (!imap_take_mailbox(p, &g->mailboxes[g->count++]))
			return false;
	} while (is_list && imap_next_is(p, ' ') && imap_take_space(p));
	return !is_list || imap_take_char(p, ')');
}

static bool take_filter(struct imap_parser *p, struct imap_notify_group *g)
{
	static const struct {
		const char *name;
		enum imap_notify_filter filter;
	} filters[] = {
		{"SELECTED-DELAYED", IMAP_NOTIFY_SELECTED_DELAYED}, {"SELECTED", IMAP_NOTIFY_SELECTED}, {"INBOXES", IMAP_NOTIFY_INBOXES},
		{"PERSONAL", IMAP_NOTIFY_PERSONAL}, {"SUBSCRIBED", IMAP_NOTIFY_SUBSCRIBED}, {"SUBTREE", IMAP_NOTIFY_SUBTREE}, {"MAILBOXES", IMAP_NOTIFY_MAILBOXES},
	};
	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		if (imap_take_word(p, filters[i].name)) {
			g->filter = filters[i].filter;
			return g->filter < IMAP_NOTIFY_SUBTREE || take_mailboxes(p, g);
		}
	return imap_fail(p, "There is no such set of mailboxes");
}

/* [SP "(" fetch-att *(SP fetch-att) ")"], behind MessageNew. */
static bool take_fetch(struct imap_parser *p, struct imap_notify_group *g)
{
	struct imap_fetch fetch;
	if (!span_starts_with(p->rest, SPAN(" (")))
		return true;
	struct span before = span_skip(p->rest, 1);
	if (!imap_take_space(p) || !imap_take_fetch(p, &fetch))
		return false;
	g->fetch = arena_dup(p->arena, span_slice(before, 0, before.len - p->rest.len));
	return true;
}

static bool take_event(struct imap_parser *p, struct imap_notify *n, struct imap_notify_group *g)
{
	static const struct {
		const char *name;
		enum imap_notify_event event;
	} events[] = {
		{"MessageNew", IMAP_EVENT_NEW}, {"MessageExpunge", IMAP_EVENT_EXPUNGE}, {"FlagChange", IMAP_EVENT_FLAGS}, {"MailboxName", IMAP_EVENT_NAME},
		{"SubscriptionChange", IMAP_EVENT_SUBSCRIPTION}, {"MailboxMetadataChange", IMAP_EVENT_METADATA}, {"ServerMetadataChange", IMAP_EVENT_SERVER_METADATA},
	};
	struct span name;
	if (!imap_take_atom(p, &name))
		return false;
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		if (span_equal_nocase(name, span_cstr(events[i].name))) {
			g->events |= events[i].event;
			return events[i].event != IMAP_EVENT_NEW || take_fetch(p, g);
		}
	n->is_bad_event = true; /* AnnotationChange is one that is not done here: RFC 5257 */
	return true;
}

/* "(" event *(SP event) ")" / "NONE"; the RFC's example leaves the parentheses out. */
static bool take_events(struct imap_parser *p, struct imap_notify *n, struct imap_notify_group *g)
{
	bool is_list = imap_next_is(p, '(');
	if (imap_take_word(p, "NONE"))
		return true;
	p->rest = span_skip(p->rest, is_list);
	do {
		if (!take_event(p, n, g))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	bool has_new = g->events & IMAP_EVENT_NEW, has_expunge = g->events & IMAP_EVENT_EXPUNGE;
	/* RFC 5465 §5 */
	if (has_new != has_expunge || ((g->events & IMAP_EVENT_FLAGS) && !has_new))
		return imap_fail(p, "MessageNew and MessageExpunge go together, and FlagChange needs both");
	if (g->filter <= IMAP_NOTIFY_SELECTED_DELAYED && (g->events & ~(unsigned)(IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE | IMAP_EVENT_FLAGS)))
		return imap_fail(p, "Of the selected mailbox there are events of messages only");
	return !is_list || imap_take_char(p, ')');
}

bool imap_take_notify(struct imap_parser *p, struct imap_notify *out)
{
	*out = (struct imap_notify){0};
	out->is_none = imap_take_word(p, "NONE");
	if (out->is_none)
		return true;
	if (!imap_take_word(p, "SET"))
		return imap_fail(p, "Expected SET or NONE");
	if (!imap_take_space(p))
		return false;
	out->has_status = imap_take_word(p, "STATUS");
	if (out->has_status && !imap_take_space(p))
		return false;
	out->groups = arena_alloc_array(p->arena, IMAP_NOTIFY_GROUPS_MAX, sizeof *out->groups);
	do {
		struct imap_notify_group *g = &out->groups[out->count];
		if (out->count++ == IMAP_NOTIFY_GROUPS_MAX)
			return imap_fail(p, "Too many groups of events");
		if (!imap_take_char(p, '(') || !take_filter(p, g) || !imap_take_space(p) || !take_events(p, out, g) || !imap_take_char(p, ')'))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return true;
}
