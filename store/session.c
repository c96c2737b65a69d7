/* The table of sessions. */
#include "store/session.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/random.h"
#include "store/directory/app_password.h"
#include "store/directory/options.h"
#include "store/mailbox/view.h"
#include "store/share.h"

#include <stdlib.h>

enum { EXPIRY_LOOK_S = 3600 }; /* it is looked that often at least, since the wall clock may be set */

void session_opened(struct store_peer *edge, const struct msg_session_open *m)
{
	struct session *s = xcalloc(1, sizeof *s);
	do
		s->id = random_u64();
	while (s->id == 0 || map_get(&edge->store->sessions, s->id));
	s->token = m->token;
	s->peer = edge->id;
	map_put(&edge->store->sessions, s->id, s);
	channel_send(edge->channel, session_opened, .token = m->token, .session = s->id);
}

struct session *session_find(struct store_peer *edge, uint64_t id)
{
	struct session *s = map_get(&edge->store->sessions, id);
	return s && s->peer == edge->id ? s : NULL;
}

static void end(struct store *store, struct session *s)
{
	if (s->account)
		view_post_close(store_worker_of(store, s->account), s->id);
	share_leave(store, s);
	map_take(&store->sessions, s->id);
	free(s);
}

void session_closed(struct store_peer *edge, uint64_t id)
{
	struct session *s = session_find(edge, id);
	if (s)
		end(edge->store, s);
}

uint64_t session_credential(const struct store *s, uint64_t account)
{
	return 1 + (uintptr_t)map_get(&s->credential_changes, account);
}

/* ---- the passwords of applications expire ---- */

static void tell_and_end(struct store *store, struct session *s, const char *why)
{
	struct store_peer *edge = store_peer(store, s->peer);
	if (edge)
		channel_send(edge->channel, session_ended, .session = s->id, .why = span_cstr(why));
	end(store, s);
}

static void on_expiry(void *context);

/* One timer for all: it is due when the next of them expires. */
static void expect_expiry(struct store *store, int64_t expires_s)
{
	int64_t in_s = expires_s - clock_wall_s();
	if (!expires_s || (store->session_expiry_s && store->session_expiry_s <= expires_s))
		return;
	if (!store->session_expiry)
		store->session_expiry = timer_new(store->loop, on_expiry, store);
	store->session_expiry_s = expires_s;
	timer_set(store->session_expiry, in_s <= 0 ? 0 : in_s > EXPIRY_LOOK_S ? EXPIRY_LOOK_S * 1000 : in_s * 1000);
}

static void on_expiry(void *context)
{
	struct store *store = context;
	int64_t now_s = clock_wall_s(), next_s = 0;
	size_t at = 0;
	struct session *s;
	while ((s = map_next(&store->sessions, &at))) {
		if (s->expires_s && s->expires_s <= now_s)
			tell_and_end(store, s, "the application's password has expired");
		else if (s->expires_s && (!next_s || s->expires_s < next_s))
			next_s = s->expires_s;
	}
	store->session_expiry_s = 0;
	expect_expiry(store, next_s);
}

/* ---- binding ---- */

bool session_bind(struct store *store, const struct msg_session_bind *m)
{
	struct session *s = map_get(&store->sessions, m->session);
	BUF_AUTO name = {0};
	int64_t expires_s = 0;
	if (!s || s->account || m->credential != session_credential(store, m->account))
		return false;
	if (m->master && (m->master_credential != session_credential(store, m->master) || !options_is_master(store, m->master)))
		return false;
	if (m->app.len && app_password_find(store, m->account, m->app, m->protocol, &name, &expires_s) != APP_RIGHT)
		return false;
	s->account = m->account;
	s->master = m->master;
	s->is_administrator = m->is_administrator;
	s->has_app = m->app.len == sizeof s->app;
	if (s->has_app) {
		memcpy(s->app, m->app.ptr, sizeof s->app);
		s->expires_s = expires_s;
		expect_expiry(store, expires_s);
		app_password_used(store, m->account, m->app, m->protocol);
	}
	return true;
}

void session_peer_gone(struct store *store, peer_id peer)
{
	size_t at = 0;
	struct session *s;
	while ((s = map_next(&store->sessions, &at)))
		if (s->peer == peer)
			end(store, s);
}

void session_end_account(struct store *store, uint64_t account, const char *why)
{
	size_t at = 0;
	struct session *s;
	map_put(&store->credential_changes, account, (void *)(uintptr_t)session_credential(store, account));
	while ((s = map_next(&store->sessions, &at)))
		if (s->account == account || s->master == account)
			tell_and_end(store, s, why);
}

void session_end_master(struct store *store, uint64_t master, const char *why)
{
	size_t at = 0;
	struct session *s;
	while ((s = map_next(&store->sessions, &at)))
		if (s->master == master)
			tell_and_end(store, s, why);
}

void session_end_app(struct store *store, uint64_t account, struct span digest, const char *why)
{
	size_t at = 0;
	struct session *s;
	while ((s = map_next(&store->sessions, &at)))
		if (s->account == account && s->has_app && span_equal(span_of(s->app, sizeof s->app), digest))
			tell_and_end(store, s, why);
}
