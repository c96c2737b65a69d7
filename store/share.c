/* Sessions in other accounts: see share.h. */
#include "store/share.h"

#include "base/die.h"
#include "base/pack.h"
#include "base/random.h"
#include "ipc/frame.h"
#include "store/directory/directory.h"
#include "store/directory/options.h"
#include "store/directory/shares.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/cross_copy.h"
#include "store/mailbox/view.h"
#include "store/usage.h"
#include "wire/namespace.h"

#include <stdlib.h>

enum { GUESTS_MOST = 100, SHARES_MOST = 5000 };

/* A view in somebody else's account. */
struct guest {
	uint64_t account, key;
	bool is_near;
	char *prefix;
};

/* ---- places ---- */

static struct view_place own_place(const struct session *s)
{
	return (struct view_place){.account = s->account, .key = s->id};
}

static struct view_place guest_place(const struct session *s, const struct guest *g)
{
	return (struct view_place){.account = g->account, .key = g->key, .reader = s->account, .is_near = g->is_near, .prefix = span_cstr(g->prefix)};
}

struct view_place share_open_place(const struct session *s)
{
	return s->open_guest ? guest_place(s, &s->guests[s->open_guest - 1]) : own_place(s);
}

static void close_guest(struct store *store, struct session *s, size_t at)
{
	view_post_close(store_worker_of(store, s->guests[at].account), s->guests[at].key);
	free(s->guests[at].prefix);
	memmove(&s->guests[at], &s->guests[at + 1], (--s->guest_count - at) * sizeof *s->guests);
	s->open_guest -= s->open_guest > at + 1;
}

void share_leave(struct store *store, struct session *s)
{
	s->open_guest = 0;
	while (s->guest_count)
		close_guest(store, s, s->guest_count - 1);
	free(s->guests);
	s->guests = NULL;
}

static struct guest *add_guest(struct store *store, struct session *s, const struct guest *g)
{
	if (s->guest_count == GUESTS_MOST)
		close_guest(store, s, s->open_guest == 1);
	s->guests = xrealloc_array(s->guests, s->guest_count + 1, sizeof *s->guests);
	s->guests[s->guest_count] = *g;
	return &s->guests[s->guest_count++];
}

/* The account whose name the mailbox's has, if it lets this one in. */
static struct guest *find_guest(struct store *store, struct session *s, enum namespace n, struct span owner)
{
	BUF_AUTO name = {0}, own = {0}, prefix = {0};
	ARENA_AUTO a = {0};
	struct directory_entry entry;
	if (directory_canonical(owner, false, &name, NULL) || directory_get(store, buf_span(&name), &a, &entry, NULL) <= 0 || entry.is_alias ||
	    entry.account == s->account || options_is_shared(store, entry.account) != (n == NAMESPACE_SHARED) ||
	    directory_account_name(store, s->account, &own, NULL) <= 0 || !shares_have(store, s->account, address_domain(buf_span(&own)), entry.account))
		return NULL;
	for (size_t i = 0; i < s->guest_count; i++)
		if (s->guests[i].account == entry.account)
			return &s->guests[i];
	namespace_add_prefix(n, buf_span(&name), &prefix);
	struct guest g = {.account = entry.account, .key = random_u64(), .is_near = span_equal(address_domain(buf_span(&own)), address_domain(buf_span(&name))),
	                  .prefix = span_strdup(buf_span(&prefix))};
	return add_guest(store, s, &g);
}

enum share_outcome share_find(struct store *store, struct session *s, struct span name, struct view_place *place, struct span *rest)
{
	struct span owner;
	enum namespace n = namespace_of(name, &owner, rest);
	struct guest *found = NULL;
	*place = own_place(s);
	if (n == NAMESPACE_PERSONAL) {
		*rest = name;
		return SHARE_OWN;
	}
	for (size_t i = 0; i < s->guest_count && !found; i++)
		found = span_starts_with(name, span_cstr(s->guests[i].prefix)) ? &s->guests[i] : NULL;
	if (!found)
		found = find_guest(store, s, n, owner);
	if (!found)
		return SHARE_NONE;
	*place = guest_place(s, found);
	return SHARE_FOUND;
}

/* ---- messages ---- */

struct routing {
	struct store *store;
	struct store_peer *edge;
	struct session *session;
	uint16_t type;
	uint32_t request;
	struct span payload;
};

static void fail(const struct routing *r, enum request_outcome outcome)
{
	channel_send(r->edge->channel, request_done, .session = r->session->id, .request = r->request, .outcome = (uint8_t)outcome);
}

static void post(const struct routing *r, const struct view_place *place, struct span payload)
{
	/* so that the worker knows its limits as they are now */
	if (r->type == MSG_COPY_ASK || r->type == MSG_QUOTA_ASK)
		usage_of_account(r->store, place->account);
	view_post_message(store_worker_of(r->store, place->account), r->session->id, place, r->edge->id, r->type, payload);
}

/* Posts what a msg_..._pack has made of it anew. */
static void post_frame(const struct routing *r, const struct view_place *place, const struct buf *frame)
{
	post(r, place, span_skip(buf_span(frame), FRAME_HEAD_BYTES));
}

static void post_with_name(const struct routing *r, const struct view_place *place, size_t at, struct span name, struct span rest)
{
	BUF_AUTO payload = {0};
	buf_add(&payload, span_slice(r->payload, 0, at));
	pack_bytes(&payload, rest);
	buf_add(&payload, span_skip(r->payload, at + sizeof(uint32_t) + name.len));
	post(r, place, buf_span(&payload));
}

static size_t number_of(const struct session *s, const struct view_place *place)
{
	for (size_t i = 0; i < s->guest_count; i++)
		if (s->guests[i].key == place->key)
			return i + 1;
	return 0;
}

/* The mailbox that was open elsewhere is left. */
static void move_open_place(const struct routing *r, const struct view_place *place)
{
	struct session *s = r->session;
	struct view_place before = share_open_place(s);
	BUF_AUTO frame = {0};
	if (before.key != place->key) {
		msg_mailbox_close_pack(&frame, 0, &(struct msg_mailbox_close){.session = s->id});
		view_post_message(store_worker_of(r->store, before.account), s->id, &before, r->edge->id, MSG_MAILBOX_CLOSE, span_skip(buf_span(&frame), FRAME_HEAD_BYTES));
	}
	s->open_guest = number_of(s, place);
}

/* Both names are of one account: messages do not change their owner by a rename. */
static int post_rename(const struct routing *r)
{
	struct msg_mailbox_rename m;
	struct view_place from, to;
	BUF_AUTO frame = {0};
	if (msg_mailbox_rename_unpack(r->payload, &m))
		return -1;
	enum share_outcome found = share_find(r->store, r->session, m.from, &from, &m.from);
	enum share_outcome goes = share_find(r->store, r->session, m.to, &to, &m.to);
	if (found == SHARE_NONE) {
		fail(r, REQUEST_NO_MAILBOX);
	} else if (goes == SHARE_NONE || from.key != to.key) {
		fail(r, REQUEST_BAD_NAME);
	} else {
		msg_mailbox_rename_pack(&frame, 0, &m);
		post_frame(r, &from, &frame);
	}
	return 0;
}

static int post_copy(const struct routing *r)
{
	struct msg_copy_ask m;
	struct view_place from = share_open_place(r->session), to;
	BUF_AUTO frame = {0};
	if (msg_copy_ask_unpack(r->payload, &m))
		return -1;
	if (share_find(r->store, r->session, m.mailbox, &to, &m.mailbox) == SHARE_NONE) {
		fail(r, REQUEST_NO_MAILBOX);
	} else if (from.key == to.key) {
		msg_copy_ask_pack(&frame, 0, &m);
		post_frame(r, &from, &frame);
	} else {
		usage_of_account(r->store, to.account);
		cross_copy_post(r->store, r->edge->id, &from, &to, &m);
	}
	return 0;
}

/* ---- lists of rights ---- */

uint64_t share_identity(struct store *s, struct span identifier, struct buf *canonical)
{
	ARENA_AUTO a = {0};
	BUF_AUTO name = {0};
	struct directory_entry entry;
	uint64_t identity = 0;
	bool is_negative = span_starts_with(identifier, SPAN("-"));
	buf_add(canonical, span_slice(identifier, 0, is_negative));
	identifier = span_skip(identifier, is_negative);
	if (span_equal(identifier, SPAN("anyone")))
		identity = ACL_ANYONE;
	else if (directory_login(s, identifier, &a, &entry, &name, NULL) > 0 && !entry.is_alias)
		identity = entry.account;
	buf_add(canonical, name.len ? buf_span(&name) : identifier); /* one that is removed can be taken out of a list still */
	canonical->len = canonical->len < ACL_IDENTIFIER_BYTES_MOST ? canonical->len : ACL_IDENTIFIER_BYTES_MOST;
	return identity;
}

static int post_acl_set(const struct routing *r)
{
	struct msg_acl_set m;
	struct view_place place;
	BUF_AUTO identifier = {0}, frame = {0};
	if (msg_acl_set_unpack(r->payload, &m))
		return -1;
	if (share_find(r->store, r->session, m.mailbox, &place, &m.mailbox) == SHARE_NONE) {
		fail(r, REQUEST_NO_MAILBOX);
		return 0;
	}
	m.identity = share_identity(r->store, m.identifier, &identifier);
	m.identifier = buf_span(&identifier);
	msg_acl_set_pack(&frame, 0, &m);
	post_frame(r, &place, &frame);
	return 0;
}

static int post_acl_get(const struct routing *r)
{
	struct msg_acl_get m;
	struct view_place place;
	BUF_AUTO owner = {0}, frame = {0};
	if (msg_acl_get_unpack(r->payload, &m))
		return -1;
	if (share_find(r->store, r->session, m.mailbox, &place, &m.mailbox) == SHARE_NONE || directory_account_name(r->store, place.account, &owner, NULL) <= 0) {
		fail(r, REQUEST_NO_MAILBOX);
		return 0;
	}
	m.owner = buf_span(&owner);
	msg_acl_get_pack(&frame, 0, &m);
	post_frame(r, &place, &frame);
	return 0;
}

/* ---- whose mailboxes there are ---- */

struct telling {
	const struct routing *routing;
	struct map told;
};

static void tell_share(void *context, uint64_t owner)
{
	struct telling *t = context;
	const struct routing *r = t->routing;
	BUF_AUTO name = {0}, prefix = {0};
	if (owner == r->session->account || map_get(&t->told, owner) || t->told.count >= SHARES_MOST || directory_account_name(r->store, owner, &name, NULL) <= 0)
		return;
	map_put(&t->told, owner, t);
	namespace_add_prefix(options_is_shared(r->store, owner) ? NAMESPACE_SHARED : NAMESPACE_OTHERS, buf_span(&name), &prefix);
	channel_send(r->edge->channel, share_row, .session = r->session->id, .request = r->request, .prefix = buf_span(&prefix));
}

void share_tell(struct store_peer *edge, struct session *s, uint32_t request)
{
	const struct routing r = {.store = edge->store, .edge = edge, .session = s, .request = request};
	struct telling t = {.routing = &r};
	BUF_AUTO own = {0};
	if (directory_account_name(r.store, s->account, &own, NULL) > 0)
		shares_walk(r.store, s->account, address_domain(buf_span(&own)), tell_share, &t);
	map_free(&t.told);
	fail(&r, REQUEST_OK);
}

/* LIST needs no right to what it asks about, since each mailbox tells by itself who may know of it. */
static bool asks_for_none(struct span payload)
{
	struct msg_mailbox_list_ask m;
	return msg_mailbox_list_ask_unpack(payload, &m) == 0 && m.needs_rights == 0;
}

int share_post(struct store_peer *edge, struct session *s, uint16_t type, struct span payload)
{
	struct unpacker u = {.rest = span_skip(payload, sizeof s->id)};
	struct routing r = {.store = edge->store, .edge = edge, .session = s, .type = type, .payload = payload};
	struct view_place place = msg_mark(type) == MSG_MARK_OPEN ? share_open_place(s) : own_place(s);
	struct span name, rest;
	size_t at;
	r.request = u.rest.len >= sizeof r.request ? unpack_u32(&u) : 0;
	switch (type) {
	case MSG_MAILBOX_RENAME: return post_rename(&r);
	case MSG_COPY_ASK: return post_copy(&r);
	case MSG_ACL_SET: return post_acl_set(&r);
	case MSG_ACL_GET: return post_acl_get(&r);
	}
	if (!msg_find_mailbox(type, payload, &at, &name) || (name.len == 0 && type != MSG_MAILBOX_OPEN)) {
		post(&r, &place, payload);
		if (type == MSG_MAILBOX_CLOSE)
			s->open_guest = 0;
		return 0;
	}
	enum share_outcome found = share_find(r.store, s, name, &place, &rest);
	/* all of somebody's mailboxes are what LIST asks for, and no mailbox */
	bool is_for_all = name.len && name.ptr[name.len - 1] == '/' && (type == MSG_METADATA_GET || (type == MSG_MAILBOX_LIST_ASK && asks_for_none(payload)));
	if (found == SHARE_NONE || (found == SHARE_FOUND && rest.len == 0 && !is_for_all)) {
		fail(&r, REQUEST_NO_MAILBOX);
		return 0;
	}
	if (type == MSG_MAILBOX_OPEN)
		move_open_place(&r, &place);
	if (found == SHARE_OWN)
		post(&r, &place, payload);
	else
		post_with_name(&r, &place, at, name, rest);
	return 0;
}
