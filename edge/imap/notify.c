/* NOTIFY: RFC 5465. store tells of every change in the account (mailbox_event) as long as somebody wants to know; what a client has asked for
 * is chosen here, and said between commands, or ahead of the reply to the one that runs. */
#include "edge/imap/notify.h"

#include "base/die.h"

#include <stdlib.h>

enum { NOTICES_BYTES_MOST = 256 * 1024 }; /* that wait; with more the client has to look for itself: RFC 5465 §5.8 */

static const struct imap_notify_group *group_of_selected(const struct imap_session *s)
{
	const struct imap_notifying *n = s->notifying;
	for (size_t i = 0; n && i < n->what.count; i++)
		if (n->what.groups[i].filter <= IMAP_NOTIFY_SELECTED_DELAYED)
			return &n->what.groups[i];
	return NULL;
}

bool imap_notify_wants(const struct imap_session *s, enum imap_notify_event event)
{
	const struct imap_notify_group *g = group_of_selected(s);
	return !s->notifying || (g && (g->events & event));
}

bool imap_notify_pushes(const struct imap_session *s)
{
	const struct imap_notify_group *g = group_of_selected(s);
	return g && g->events;
}

bool imap_notify_delays_expunge(const struct imap_session *s)
{
	const struct imap_notify_group *g = group_of_selected(s);
	return g && g->filter == IMAP_NOTIFY_SELECTED_DELAYED;
}

static bool is_below_or_at(struct span name, struct span top)
{
	return span_equal(name, top) || (name.len > top.len && span_starts_with(name, top) && name.ptr[top.len] == '/');
}

static bool matches(const struct imap_notify_group *g, struct span name, bool is_subscribed)
{
	switch (g->filter) {
	case IMAP_NOTIFY_SELECTED: case IMAP_NOTIFY_SELECTED_DELAYED: return false;
	case IMAP_NOTIFY_INBOXES: return span_equal(name, SPAN("INBOX")); /* where mail is delivered without being filed */
	case IMAP_NOTIFY_PERSONAL: return true;
	case IMAP_NOTIFY_SUBSCRIBED: return is_subscribed;
	case IMAP_NOTIFY_SUBTREE: case IMAP_NOTIFY_MAILBOXES: break;
	}
	for (size_t i = 0; i < g->count; i++)
		if (g->filter == IMAP_NOTIFY_SUBTREE ? is_below_or_at(name, g->mailboxes[i]) : span_equal(name, g->mailboxes[i]))
			return true;
	return false;
}

/* The first group that a mailbox is in says what is told of it. */
static unsigned wanted_events(const struct imap_session *s, struct span name, bool is_subscribed)
{
	const struct imap_notifying *n = s->notifying;
	for (size_t i = 0; n && i < n->what.count; i++)
		if (matches(&n->what.groups[i], name, is_subscribed))
			return n->what.groups[i].events;
	return 0;
}

/* ---- saying ---- */

static unsigned status_items(const struct imap_session *s, unsigned events)
{
	unsigned items = IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY;
	if (events & IMAP_EVENT_FLAGS)
		items |= IMAP_STATUS_UNSEEN;
	return items | (s->enabled & IMAP_ENABLED_CONDSTORE ? IMAP_STATUS_HIGHESTMODSEQ : 0);
}

static void say_list(struct imap_session *s, const char *attributes, struct span name, struct span old_name)
{
	buf_printf(&s->out, "* LIST (%s) \"/\" ", attributes);
	imap_add_mailbox_name(s, name);
	if (old_name.len) {
		buf_add_cstr(&s->out, " (\"OLDNAME\" (");
		imap_add_mailbox_name(s, old_name);
		buf_add_cstr(&s->out, "))");
	}
	buf_add_cstr(&s->out, "\r\n");
}

static void say_metadata(struct imap_session *s, struct span name, struct span entry)
{
	buf_add_cstr(&s->out, "* METADATA ");
	if (name.len)
		imap_add_mailbox_name(s, name);
	else
		buf_add_cstr(&s->out, "\"\"");
	buf_add_char(&s->out, ' ');
	buf_add(&s->out, entry);
	buf_add_cstr(&s->out, "\r\n");
}

static void say_event(struct imap_session *s, const struct msg_mailbox_event *m, unsigned wanted)
{
	switch ((enum mailbox_event_kind)m->kind) {
	case MAILBOX_EVENT_MESSAGES:
		if (wanted & m->changes) {
			struct msg_mailbox_row row = {.name = m->name, .messages = m->messages, .uidnext = m->uidnext, .uidvalidity = m->uidvalidity,
			                              .unseen = m->unseen, .highestmodseq = m->highestmodseq};
			imap_say_status(s, &row, status_items(s, wanted & m->changes));
		}
		break;
	case MAILBOX_EVENT_CREATED: case MAILBOX_EVENT_RENAMED: case MAILBOX_EVENT_DELETED:
		if (wanted & IMAP_EVENT_NAME)
			say_list(s, m->kind == MAILBOX_EVENT_DELETED ? "\\NonExistent" : m->is_subscribed ? "\\Subscribed" : "", m->name, m->other);
		break;
	case MAILBOX_EVENT_SUBSCRIBED:
		if (wanted & IMAP_EVENT_SUBSCRIPTION)
			say_list(s, m->is_subscribed ? "\\Subscribed" : "", m->name, SPAN(""));
		break;
	case MAILBOX_EVENT_METADATA:
		if (wanted & IMAP_EVENT_METADATA)
			say_metadata(s, m->name, m->other);
		break;
	case MAILBOX_EVENT_SERVER_METADATA: say_metadata(s, SPAN(""), m->other); break;
	}
}

/* What is said of the server goes to whoever has asked for it with any mailboxes. */
static bool wants_server_metadata(const struct imap_session *s)
{
	bool result = false;
	for (size_t i = 0; i < s->notifying->what.count; i++)
		result |= (s->notifying->what.groups[i].events & IMAP_EVENT_SERVER_METADATA) != 0;
	return result;
}

static void give_up(struct imap_session *s)
{
	struct channel *store = s->connection->edge->store;
	if (store)
		channel_send(store, notify_set, .session = s->connection->session);
	imap_notify_free(s);
	buf_add_cstr(&s->out, "* OK [NOTIFICATIONOVERFLOW] Too much happens: NOTIFY is off\r\n");
}

void imap_notify_event(struct imap_session *s, const struct msg_mailbox_event *m)
{
	struct imap_notifying *n = s->notifying;
	if (!n || s->connection->is_closing)
		return;
	/* made in s->out, kept until it can be said */
	struct buf out = s->out;
	s->out = n->notices;
	if (m->kind != MAILBOX_EVENT_SERVER_METADATA)
		say_event(s, m, wanted_events(s, m->name, m->is_subscribed));
	else if (wants_server_metadata(s))
		say_event(s, m, 0);
	n->notices = s->out;
	s->out = out;
	imap_notify_flush(s);
}

void imap_notify_flush(struct imap_session *s)
{
	struct imap_notifying *n = s->notifying;
	bool is_between = !s->running && s->input == IMAP_INPUT_COMMAND && !s->fetching;
	if (!n || n->notices.len == 0)
		return;
	if (n->notices.len > NOTICES_BYTES_MOST) {
		give_up(s);
	} else if ((is_between || s->input == IMAP_INPUT_IDLE) && connection_backlog(s->connection) < CONNECTION_BACKLOG_MOST) {
		buf_add(&s->out, buf_span(&n->notices));
		buf_clear(&n->notices);
	} else {
		return;
	}
	imap_flush(s);
}

void imap_notify_add(struct imap_session *s)
{
	struct imap_notifying *n = s->notifying;
	if (!n || n->notices.len == 0)
		return;
	buf_add(&s->out, buf_span(&n->notices));
	buf_free(&n->notices);
}

void imap_notify_free(struct imap_session *s)
{
	struct imap_notifying *n = s->notifying;
	if (!n)
		return;
	arena_free(&n->memory);
	buf_free(&n->notices);
	free(n);
	s->notifying = NULL;
}

/* ---- new messages in the selected mailbox ---- */

static void end_fetch(struct imap_session *s)
{
	s->answers = NULL;
	imap_fetch_free(s);
	imap_flush(s);
	arena_free(&s->arena);
	connection_continue(s->connection);
}

void imap_notify_new_messages(struct imap_session *s, uint32_t first_uid)
{
	const struct imap_notify_group *g = group_of_selected(s);
	struct imap_parser p = {.arena = &s->arena};
	struct imap_fetch what;
	if (!g || !g->fetch.len || s->running || s->fetching || s->input != IMAP_INPUT_COMMAND || s->connection->is_closing)
		return;
	p.rest = g->fetch;
	if (!imap_take_fetch(&p, &what))
		return;
	imap_fetch_new(s, &what, first_uid, end_fetch);
}

/* ---- the command ---- */

static void on_row(struct imap_session *s, const struct msg_mailbox_row *m)
{
	unsigned events = m->exists ? wanted_events(s, m->name, m->is_subscribed) : 0;
	bool is_selected = imap_is_selected(s, m);
	if ((events & IMAP_EVENT_NEW) && !is_selected)
		imap_say_status(s, m, status_items(s, events));
}

static void on_watching(struct imap_session *s, const struct msg_request_done *m)
{
	static const struct imap_answers answers = {.row = on_row, .done = imap_done_plainly};
	if (m->outcome == REQUEST_OK && s->notifying && s->notifying->what.has_status)
		imap_ask(s, &answers, mailbox_list_ask, .name = SPAN(""));
	else
		imap_done_plainly(s, m);
}

void imap_notify(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.done = on_watching};
	struct imap_notifying *n = xcalloc(1, sizeof *n);
	struct arena *command = p->arena;
	p->arena = &n->memory;
	bool is_good = imap_take_space(p) && imap_take_notify(p, &n->what) && imap_take_end(p);
	p->arena = command;
	if (!is_good || n->what.is_bad_event) {
		arena_free(&n->memory);
		free(n);
		if (!is_good)
			imap_bad(s, p);
		else
			imap_no(s, "[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)] "
			           "One of these events is not known");
		return;
	}
	imap_notify_free(s);
	if (n->what.is_none) {
		arena_free(&n->memory);
		free(n);
		n = NULL;
	}
	s->notifying = n;
	s->view.is_stale = s->view.uids != NULL; /* it is a NOOP too: RFC 5465 §3.1 */
	imap_ask(s, &answers, notify_set, .is_on = n != NULL);
}
