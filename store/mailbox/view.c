/* Views, and the way of a message from an edge to its handler. */
#include "store/mailbox/view.h"

#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/indexer.h"
#include "store/mailbox/outline.h"
#include "store/store.h"

#include <stdlib.h>

struct message_job {
	struct job job;
	uint64_t session;
	struct view_place place;
	struct buf prefix;
	peer_id peer;
	uint16_t type;
	struct buf payload;
};

static const struct edge_to_store handlers = {MSG_MARKED_HANDLERS};

struct view *view_get(struct worker *w, uint64_t session, const struct view_place *place, peer_id peer)
{
	struct view *v = map_get(&w->views, place->key);
	if (v)
		return v;
	struct error why = {0};
	struct account *a = account_get(w, place->account, &why);
	if (!a) {
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_n("account", (int64_t)place->account), log_c("why", why.text),
		          log_c("do", "restore it from a backup"));
		return NULL;
	}
	v = xcalloc(1, sizeof *v);
	*v = (struct view){.account = a, .session = session, .key = place->key, .reader = place->reader, .is_near = place->is_near, .peer = peer,
	                   .prefix = span_strdup(place->prefix)};
	a->view_count++;
	map_put(&w->views, place->key, v);
	return v;
}

static void say_violation(struct worker *w, peer_id peer)
{
	struct parcel *p = parcel_new(peer);
	p->is_violation = true;
	worker_say(w, p);
}

static void run_message(struct worker *w, struct job *j)
{
	struct message_job *m = (struct message_job *)j;
	m->place.prefix = buf_span(&m->prefix);
	struct view *v = view_get(w, m->session, &m->place, m->peer);
	struct request r = {.worker = w, .view = v, .account = v ? v->account : NULL};
	if (!v) {
		struct parcel *p = parcel_new(m->peer);
		msg_session_ended_pack(&p->frames, 0, &(struct msg_session_ended){.session = m->session, .why = SPAN("the account cannot be read")});
		worker_say(w, p);
	} else {
		r.account->acting = v;
		bool is_bad = edge_to_store_dispatch(&handlers, &r, m->type, buf_span(&m->payload)) != 0;
		r.account->acting = NULL;
		if (is_bad) {
			say_violation(w, m->peer);
		} else {
			account_say(r.account, m->peer, &r.out);
			account_settle(r.account);
		}
	}
	buf_free(&r.out);
	buf_free(&m->prefix);
	buf_free(&m->payload);
	free(m);
}

void view_post_message(struct worker *w, uint64_t session, const struct view_place *place, peer_id peer, uint16_t type, struct span payload)
{
	struct message_job *m = xcalloc(1, sizeof *m);
	*m = (struct message_job){.job.run = run_message, .session = session, .place = *place, .peer = peer, .type = type};
	buf_add(&m->prefix, place->prefix);
	buf_add(&m->payload, payload);
	worker_post(w, &m->job);
}

/* What it holds. */
static void free_cursor(struct cursor *c)
{
	buf_free(&c->ranges);
	columns_free(c->envelopes);
	c->envelopes = NULL;
}

static void free_view(struct view *v)
{
	v->account->view_count--;
	free_cursor(&v->cursor);
	free(v->prefix);
	free(v);
}

struct view *view_keep(struct view *v)
{
	v->kept++;
	return v;
}

void view_let_go(struct view *v)
{
	v->kept--;
	view_release(v);
}

void view_release(struct view *v)
{
	if (v->is_closed && !v->cursor.is_waiting && !v->searches && !v->kept)
		free_view(v);
}

static void watch(struct view *v, bool is_on);

static void run_close(struct worker *w, struct job *j)
{
	struct message_job *m = (struct message_job *)j;
	struct view *v = map_take(&w->views, m->place.key);
	if (v) {
		view_close_mailbox(v);
		if (v->is_watching)
			watch(v, false);
		account_settle(v->account);
		v->is_closed = true;
		if (v->searches)
			view_stop_searches(v);
		else
			view_release(v);
	}
	free(m);
}

void view_post_close(struct worker *w, uint64_t key)
{
	struct message_job *m = xcalloc(1, sizeof *m);
	*m = (struct message_job){.job.run = run_close, .place.key = key};
	worker_post(w, &m->job);
}

struct cursor *cursor_begin(struct request *r, uint32_t request, struct span ranges, uint64_t changed_since, void (*run)(struct worker *w, struct job *j))
{
	struct cursor *c = &r->view->cursor;
	if (!request_mailbox(r, request))
		return NULL;
	if (c->is_active || c->is_waiting || !ranges_are_valid(ranges)) {
		request_done(r, request, REQUEST_FAILED, "one at a time");
		return NULL;
	}
	*c = (struct cursor){.job.run = run, .view = r->view, .request = request, .changed_since = changed_since, .next_uid = 1, .is_active = true, .is_waiting = true};
	buf_add(&c->ranges, ranges);
	return c;
}

void cursor_end(struct cursor *c)
{
	c->is_active = c->is_waiting = false;
	free_cursor(c);
	view_release(c->view);
}

bool view_may_read(const struct view *v, const struct mailbox *m)
{
	return acl_rights(m, v->reader, v->is_near) & RIGHT_READ;
}

void view_say_done(struct view *v, uint32_t request, enum request_outcome outcome, const char *text)
{
	struct buf out = {0};
	msg_request_done_pack(&out, 0, &(struct msg_request_done){.session = v->session, .request = request, .outcome = (uint8_t)outcome, .text = span_cstr(text)});
	view_say(v, &out);
}

void view_say(struct view *v, struct buf *out)
{
	if (v->is_closed)
		buf_free(out);
	else
		account_say(v->account, v->peer, out);
}

void request_done(struct request *r, uint32_t request, enum request_outcome outcome, const char *text)
{
	request_say(r, request_done, .session = r->view->session, .request = request, .outcome = (uint8_t)outcome, .text = span_cstr(text));
}

struct mailbox *request_mailbox(struct request *r, uint32_t request)
{
	struct error why = {0};
	struct mailbox *m = r->view->mailbox;
	if (!m || m->is_gone) {
		request_done(r, request, REQUEST_NO_MAILBOX, "the mailbox is gone");
		return NULL;
	}
	if (!view_may_read(r->view, m)) {
		request_done(r, request, REQUEST_NO_MAILBOX, "it may not be read any more");
		return NULL;
	}
	if (!mailbox_load(m, &why)) {
		log_event(LOG_LEVEL_ERROR, "mailbox-damaged", log_c("account", r->account->partition), log_c("why", why.text));
		request_done(r, request, REQUEST_FAILED, "the mailbox cannot be read");
		return NULL;
	}
	if (!m->indexing || m->is_indexing_paused)
		indexer_wake(m); /* it is in memory since now (SELECT had its outline), or there was no filter */
	return m;
}

bool view_add_name(const struct view *v, struct span name, struct buf *out)
{
	buf_clear(out);
	buf_add_cstr(out, v->prefix);
	buf_add(out, name);
	return out->len <= MAILBOX_NAME_BYTES_MOST;
}

bool request_is_read_only(struct request *r, uint32_t request)
{
	if (r->view->is_read_only)
		request_done(r, request, REQUEST_READ_ONLY, "the mailbox is open for reading only");
	return r->view->is_read_only;
}

void view_forget_expunged(struct mailbox *m)
{
	uint64_t heard = UINT64_MAX;
	size_t known = 0;
	for (const struct view *v = m->views; v; v = v->next)
		heard = v->heard_modseq < heard ? v->heard_modseq : heard;
	while (known < m->expunged_count && m->expunged[known].modseq <= heard)
		known++;
	m->expunged_count -= known;
	if (m->expunged_count) {
		memmove(m->expunged, m->expunged + known, m->expunged_count * sizeof *m->expunged);
		return;
	}
	free(m->expunged);
	m->expunged = NULL;
	m->expunged_room = 0;
}

void view_leave_mailbox(struct view *v)
{
	struct mailbox *m = v->mailbox;
	if (!m)
		return;
	for (struct view **at = &m->views; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			break;
		}
	v->mailbox = NULL;
	v->next = NULL;
	v->is_told = false;
	view_forget_expunged(m);
	if (m->is_gone && !m->views)
		mailbox_free(m);
}

void view_close_mailbox(struct view *v)
{
	struct mailbox *m = v->mailbox;
	if (m && !m->is_gone && m->is_record_stale)
		mailbox_put_recent(m);
	if (m && !m->is_gone)
		outline_put(m);
	view_leave_mailbox(v);
}

void view_mailbox_gone(struct mailbox *m)
{
	if (!m->views)
		mailbox_free(m);
}

void account_tell_watchers(struct account *a, uint8_t kind, struct span name, struct span other)
{
	for (const struct view *v = a->watchers; v; v = v->next_watcher) {
		if (v == a->acting)
			continue;
		struct buf out = {0};
		struct msg_mailbox_event event = {.session = v->session, .kind = kind, .name = name, .other = other,
		                                  .is_subscribed = account_subscription(a, name) >= 0};
		msg_mailbox_event_pack(&out, 0, &event);
		account_say(a, v->peer, &out);
	}
}

static void tell_watchers_of_messages(struct mailbox *m, unsigned changes)
{
	struct account *a = m->account;
	for (const struct view *v = a->watchers; v; v = v->next_watcher) {
		if (v == a->acting || v->mailbox == m)
			continue;
		struct buf out = {0};
		struct msg_mailbox_event event = {.session = v->session, .kind = MAILBOX_EVENT_MESSAGES, .changes = (uint8_t)changes, .name = span_cstr(m->name),
		                                  .is_subscribed = account_subscription(a, span_cstr(m->name)) >= 0, .messages = m->messages, .unseen = m->unseen,
		                                  .uidnext = m->uidnext, .uidvalidity = m->uidvalidity, .highestmodseq = m->highestmodseq};
		msg_mailbox_event_pack(&out, 0, &event);
		account_say(a, v->peer, &out);
	}
}

void mailbox_notify(struct mailbox *m, unsigned changes)
{
	for (struct view *v = m->views; v; v = v->next) {
		if (v->is_told)
			continue;
		v->is_told = true;
		struct buf out = {0};
		msg_mailbox_changed_pack(&out, 0, &(struct msg_mailbox_changed){.session = v->session});
		account_say(m->account, v->peer, &out);
	}
	if (changes && m->account->watchers)
		tell_watchers_of_messages(m, changes);
}

static void watch(struct view *v, bool is_on)
{
	struct view **at = &v->account->watchers;
	while (*at && *at != v)
		at = &(*at)->next_watcher;
	if (is_on && !*at)
		*at = v;
	else if (!is_on && *at)
		*at = v->next_watcher;
	v->next_watcher = is_on ? v->next_watcher : NULL;
	v->is_watching = is_on;
}

void notify_set_asked(void *context, const struct msg_notify_set *msg)
{
	struct request *r = context;
	watch(r->view, msg->is_on);
	request_done(r, msg->request, REQUEST_OK, "");
}
