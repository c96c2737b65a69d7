/* The mailboxes of an account: listing, creating, deleting, renaming, subscribing (RFC 3501 §6.3.3 to §6.3.9). */
#include "base/die.h"
#include "base/log.h"
#include "base/utf8.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"
#include "wire/namespace.h"

#include <stdlib.h>

/* A name is only ever a name: no part of it reaches a file system. Empty levels and control characters are refused. */
static const char *fault_of_name(struct span name)
{
	unsigned depth = 1;
	if (name.len == 0 || name.len > MAILBOX_NAME_BYTES_MOST)
		return "a mailbox name has 1 to 1000 bytes";
	if (!utf8_is_valid(name))
		return "a mailbox name is UTF-8";
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c < ' ' || c == 0x7f)
			return "a mailbox name has no control characters";
		if (c == '/' && (i == 0 || i == name.len - 1 || name.ptr[i - 1] == '/'))
			return "a mailbox name has no empty level";
		depth += c == '/';
	}
	if (namespace_is_reserved(name))
		return "such names are those of other users' mailboxes";
	return depth > MAILBOX_DEPTH_MOST ? "too many levels" : NULL;
}

static bool is_below(const char *name, struct span parent)
{
	struct span n = span_cstr(name);
	return n.len > parent.len && span_starts_with(n, parent) && n.ptr[parent.len] == '/';
}

static bool has_children(const struct account *a, struct span name)
{
	for (size_t i = 0; i < a->mailbox_count; i++)
		if (is_below(a->mailboxes[i]->name, name))
			return true;
	return false;
}

/* RFC 3501 §6.3.4: a mailbox that is deleted while there are others below it leaves its name, which is \Noselect then. It
 * is stored nowhere: it is there as long as they are. */
static bool is_name(const struct account *a, struct span name)
{
	return mailbox_find(a, name) || has_children(a, name);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How many names stand above these, which are put in order: all that begin with the same "level/" stand together then. */
static size_t count_levels(const char **names, size_t count)
{
	size_t levels = 0;
	if (count)
		qsort(names, count, sizeof *names, by_bytes);
	for (size_t i = 0; i < count; i++) {
		size_t same = 0;
		while (i && names[i][same] && names[i][same] == names[i - 1][same])
			same++;
		for (const char *c = names[i] + same; *c; c++)
			levels += *c == '/';
	}
	return levels;
}

/* Whether there may be one more of these names, with all that may stand above it. Levels are bounded like names are, since LIST
 * tells them too, and one name can have many that are no mailboxes. */
static bool has_room_beside(const char **names, size_t count)
{
	return count + MAILBOX_DEPTH_MOST <= MAILBOXES_MOST && count_levels(names, count) + MAILBOX_DEPTH_MOST <= MAILBOXES_MOST;
}

static bool has_room(const struct account *a)
{
	const char **names = xcalloc(a->mailbox_count + 1, sizeof *names);
	for (size_t i = 0; i < a->mailbox_count; i++)
		names[i] = a->mailboxes[i]->name;
	bool result = has_room_beside(names, a->mailbox_count);
	free(names);
	return result;
}

static bool may_subscribe(const struct account *a)
{
	const char **names = xcalloc(a->subscription_count + 1, sizeof *names);
	for (size_t i = 0; i < a->subscription_count; i++)
		names[i] = a->subscriptions[i];
	bool result = has_room_beside(names, a->subscription_count);
	free(names);
	return result;
}

/* Subscriptions and uses of other people's mailboxes are theirs; what may not be read is not told of. */
static void say_row(struct request *r, uint32_t request, struct mailbox *m, bool wants_recent)
{
	const struct view *v = r->view;
	unsigned rights = acl_rights(m, v->reader, v->is_near);
	bool is_own = !v->reader;
	BUF_AUTO name = {0};
	if (!view_add_name(v, span_cstr(m->name), &name))
		return;
	if (!(rights & RIGHT_READ)) {
		request_say(r, mailbox_row, .session = v->session, .request = request, .name = buf_span(&name), .exists = 1, .id = m->id, .owner = v->reader ? m->account->id : 0, .rights = (uint16_t)rights);
		return;
	}
	request_say(r, mailbox_row, .session = v->session, .request = request, .name = buf_span(&name), .rights = (uint16_t)rights,
	            .special_use = is_own ? m->special_use : USE_NONE, .is_subscribed = is_own && account_subscription(r->account, span_cstr(m->name)) >= 0, .exists = 1,
	            .messages = m->messages, .unseen = is_own ? m->unseen : seen_unseen(m, v->reader), .deleted = m->deleted, .deleted_size = m->deleted_size, .uidnext = m->uidnext, .recent = wants_recent ? mailbox_recent(m) : 0,
	            .uidvalidity = m->uidvalidity, .highestmodseq = m->highestmodseq, .size = m->size, .id = m->id, .owner = is_own ? 0 : m->account->id);
}

/* Behind the mailboxes come the names that are subscribed and have none. */
static void say_all(struct request *r, uint32_t request, bool wants_recent)
{
	struct account *a = r->account;
	const struct view *v = r->view;
	if (v->reader) {
		for (size_t i = 0; i < a->mailbox_count; i++)
			if (acl_rights(a->mailboxes[i], v->reader, v->is_near) & RIGHT_LOOKUP)
				say_row(r, request, a->mailboxes[i], wants_recent);
		return;
	}
	bool *has_mailbox = xcalloc(a->subscription_count + 1, sizeof *has_mailbox);
	for (size_t i = 0; i < a->mailbox_count; i++) {
		ssize_t subscription = account_subscription(a, span_cstr(a->mailboxes[i]->name));
		if (subscription >= 0)
			has_mailbox[subscription] = true;
		say_row(r, request, a->mailboxes[i], wants_recent);
	}
	for (size_t i = 0; i < a->subscription_count; i++)
		if (!has_mailbox[i])
			request_say(r, mailbox_row, .session = r->view->session, .request = request,
			            .name = span_cstr(a->subscriptions[i]), .is_subscribed = 1);
	free(has_mailbox);
}

void mailbox_list_asked(void *context, const struct msg_mailbox_list_ask *msg)
{
	struct request *r = context;
	if (!msg->name.len) {
		say_all(r, msg->request, msg->wants_recent);
		request_done(r, msg->request, REQUEST_OK, "");
		return;
	}
	struct mailbox *m = request_find(r, msg->request, msg->name, msg->needs_rights);
	if (!m)
		return;
	say_row(r, msg->request, m, msg->wants_recent);
	request_done(r, msg->request, REQUEST_OK, "");
}

static bool needs_levels(const struct account *a, struct span name)
{
	size_t n = name.len;
	while (n && name.ptr[n - 1] != '/')
		n--;
	return n && !is_name(a, span_slice(name, 0, n - 1));
}

/* The levels above a name, as far as they are missing (RFC 3501 §6.3.3). One that is a name without a mailbox stays one. */
static void add_parents(struct account *a, struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '/' && !is_name(a, span_slice(name, 0, i)))
			mailbox_add(a, span_slice(name, 0, i), USE_NONE);
}

/* The levels above come into being with it. */
struct mailbox *mailbox_make(struct account *a, struct span name, uint8_t special_use)
{
	add_parents(a, name);
	return mailbox_add(a, name, special_use);
}

/* RFC 4314 §4: in other people's mailboxes the nearest one above must allow it; beside them nothing comes into being. The answer is the same whether there is
 * one above, hidden or not, that does not. */
static bool may_create(struct request *r, uint32_t request, struct span name)
{
	const struct view *v = r->view;
	const struct mailbox *parent = acl_parent(r->account, name);
	if (!v->reader || (parent && acl_rights(parent, v->reader, v->is_near) & RIGHT_CREATE))
		return true;
	request_done(r, request, REQUEST_NO_PERMISSION, "");
	return false;
}

/* A name that is taken, by a mailbox or by what lies below it. Where this reader may know of neither, he only may not have it: that something is in the way cannot be
 * kept from him, since he may create mailboxes beside it, but not what (RFC 4314 §6). */
static void say_taken(struct request *r, uint32_t request, struct span name)
{
	const struct view *v = r->view;
	bool knows = false;
	for (size_t i = 0; i < r->account->mailbox_count && !knows; i++) {
		const struct mailbox *m = r->account->mailboxes[i];
		knows = (span_equal(span_cstr(m->name), mailbox_canonical(name)) || is_below(m->name, name)) && acl_lets_know(acl_rights(m, v->reader, v->is_near));
	}
	request_done(r, request, knows ? REQUEST_EXISTS : REQUEST_NO_PERMISSION, knows ? "there is a mailbox of that name" : "");
}

void mailbox_create_asked(void *context, const struct msg_mailbox_create *msg)
{
	struct request *r = context;
	struct span name = msg->name;
	const char *fault = fault_of_name(name);
	if (fault) {
		request_done(r, msg->request, REQUEST_BAD_NAME, fault);
	} else if (!may_create(r, msg->request, name)) {
		return;
	} else if (mailbox_find(r->account, name)) {
		say_taken(r, msg->request, name);
	} else if (msg->special_use && r->view->reader) {
		request_done(r, msg->request, REQUEST_NO_PERMISSION, ""); /* what a mailbox is for is its owner's to say */
	} else if (msg->special_use && mailbox_of_use(r->account, msg->special_use)) {
		request_done(r, msg->request, REQUEST_BAD_USE, "another mailbox has that use");
	} else if (!has_room(r->account)) {
		request_done(r, msg->request, REQUEST_LIMIT, "too many mailboxes");
	} else {
		say_row(r, msg->request, mailbox_make(r->account, name, msg->special_use), false);
		request_done(r, msg->request, REQUEST_OK, "");
	}
}

void mailbox_delete_asked(void *context, const struct msg_mailbox_delete *msg)
{
	struct request *r = context;
	struct mailbox *m = mailbox_find(r->account, msg->name);
	struct error why = {0};
	if (!m && !r->view->reader && has_children(r->account, msg->name)) {
		/* RFC 3501 §6.3.4: it is \Noselect, and there are names below it */
		request_done(r, msg->request, REQUEST_HAS_CHILDREN, "there are mailboxes below it");
	} else if (!m) {
		request_done(r, msg->request, REQUEST_NO_MAILBOX, "there is no mailbox of that name");
	} else if (span_equal(span_cstr(m->name), SPAN("INBOX"))) {
		request_done(r, msg->request, REQUEST_BAD_NAME, "INBOX stays");
	} else if (request_lacks(r, msg->request, m, RIGHT_DELETE_MAILBOX)) {
		return;
	} else if (!mailbox_load(m, &why)) {
		/* what cannot be read could not be brought back */
		log_event(LOG_LEVEL_ERROR, "mailbox-damaged", log_c("account", r->account->partition), log_c("why", why.text), log_c("do", "carteiro salvage"));
		request_done(r, msg->request, REQUEST_FAILED, "the mailbox cannot be read");
	} else {
		bool is_own = r->view->mailbox == m;
		if (is_own)
			view_leave_mailbox(r->view);
		mailbox_notify(m, 0);
		mailbox_erase(m, false);
		request_done(r, msg->request, is_own ? REQUEST_OK_LEFT : REQUEST_OK, "");
	}
}

static void set_name(struct mailbox *m, struct span name)
{
	char *old = m->name;
	m->name = span_strdup(name);
	mailbox_put(m);
	account_tell_watchers(m->account, MAILBOX_EVENT_RENAMED, name, span_cstr(old));
	free(old);
}

/* RFC 3501 §6.3.5: renaming INBOX moves its messages to a new mailbox. INBOX itself stays, with its UIDVALIDITY: whoever has it
 * selected sees it become empty, and what is delivered next. */
static void rename_inbox(struct request *r, uint32_t request, struct mailbox *inbox, struct span to)
{
	struct error why = {0};
	if (!mailbox_load(inbox, &why)) {
		request_done(r, request, REQUEST_FAILED, why.text);
		return;
	}
	struct mailbox *made = mailbox_make(r->account, to, USE_NONE);
	mailbox_move_all(inbox, made);
	metadata_copy(inbox, made); /* RFC 5464 §4.1 */
	request_done(r, request, REQUEST_OK, "");
}

/* What a mailbox below `old` is called when that is called `to`. */
static void moved_name(const struct mailbox *below, struct span old, struct span to, struct buf *out)
{
	buf_clear(out);
	buf_add(out, to);
	buf_add(out, span_skip(span_cstr(below->name), old.len));
}

/* RFC 3501 §6.3.5: what lies below is renamed too, also below a name without a mailbox (m is NULL then). It needs no right to that: RFC 4314 §4 asks for "x" on the
 * mailbox itself, and lets those below keep their lists; Dovecot and Cyrus take them along too. */
static void rename_with_children(struct account *a, struct mailbox *m, struct span from, struct span to)
{
	BUF_AUTO old = {0}, name = {0};
	buf_add(&old, from);
	add_parents(a, to);
	if (m)
		set_name(m, to);
	for (size_t i = 0; i < a->mailbox_count; i++) {
		if (!is_below(a->mailboxes[i]->name, buf_span(&old)))
			continue;
		moved_name(a->mailboxes[i], buf_span(&old), to, &name);
		set_name(a->mailboxes[i], buf_span(&name));
	}
}

/* What is wrong with the names that the mailboxes below would get; NULL: nothing. */
static const char *fault_of_children(const struct account *a, struct span from, struct span to)
{
	BUF_AUTO name = {0};
	const char *fault = NULL;
	for (size_t i = 0; i < a->mailbox_count && !fault; i++) {
		if (!is_below(a->mailboxes[i]->name, from))
			continue;
		moved_name(a->mailboxes[i], from, to, &name);
		fault = fault_of_name(buf_span(&name));
	}
	return fault;
}

void mailbox_rename_asked(void *context, const struct msg_mailbox_rename *msg)
{
	struct request *r = context;
	struct account *a = r->account;
	struct span to = msg->to;
	const char *fault = fault_of_name(to);
	struct mailbox *m = mailbox_find(a, msg->from);
	struct span from = m ? span_cstr(m->name) : msg->from;
	bool is_inbox = m && span_equal(from, SPAN("INBOX"));
	BUF_AUTO name = {0};
	buf_add(&name, to);
	if (!fault && !is_inbox)
		fault = fault_of_children(a, from, to);
	if (!m && (r->view->reader || !has_children(a, from))) {
		request_done(r, msg->request, REQUEST_NO_MAILBOX, "there is no mailbox of that name");
	} else if ((m && request_lacks(r, msg->request, m, RIGHT_DELETE_MAILBOX)) || !may_create(r, msg->request, to)) {
		return;
	} else if (fault || is_below(buf_cstr(&name), from)) {
		request_done(r, msg->request, REQUEST_BAD_NAME, fault ? fault : "a mailbox cannot go below itself");
	} else if (is_name(a, to)) {
		/* also where it is a name without a mailbox: what lies below it could be in the way */
		say_taken(r, msg->request, to);
	} else if ((is_inbox || needs_levels(a, to)) && !has_room(a)) {
		request_done(r, msg->request, REQUEST_LIMIT, "too many mailboxes");
	} else if (is_inbox) {
		rename_inbox(r, msg->request, m, to);
	} else {
		rename_with_children(a, m, from, to);
		request_done(r, msg->request, REQUEST_OK, "");
	}
}

/* RFC 3501 §6.3.6 and §6.3.7: what can be subscribed is looked at once; a name stays subscribed whatever becomes of it. Whether other people's
 * mailboxes are there is not looked at (RFC 4314 §4 allows it), so that it is not told either. */
void mailbox_subscribe_asked(void *context, const struct msg_mailbox_subscribe *msg)
{
	struct request *r = context;
	struct account *a = r->account;
	bool is_subscribed = account_subscription(a, msg->name) >= 0;
	if (!msg->is_subscribed) {
		account_unsubscribe(a, msg->name);
	} else if (!is_subscribed && !is_name(a, msg->name) && !namespace_is_reserved(msg->name)) {
		request_done(r, msg->request, REQUEST_NO_MAILBOX, "there is no mailbox of that name");
		return;
	} else if (!is_subscribed && !may_subscribe(a)) {
		request_done(r, msg->request, REQUEST_LIMIT, "too many subscriptions");
		return;
	} else {
		account_subscribe(a, msg->name);
	}
	request_done(r, msg->request, REQUEST_OK, "");
}
