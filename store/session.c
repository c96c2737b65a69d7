/* The table of sessions. */
#include "store/session.h"

#include "base/die.h"
#include "base/random.h"
#include "store/mailbox/view.h"

#include <stdlib.h>

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

bool session_bind(struct store *store, uint64_t id, uint64_t account, uint64_t credential)
{
	struct session *s = map_get(&store->sessions, id);
	if (!s || s->account || credential != session_credential(store, account))
		return false;
	s->account = account;
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
	while ((s = map_next(&store->sessions, &at))) {
		if (s->account != account)
			continue;
		struct store_peer *edge = store_peer(store, s->peer);
		if (edge)
			channel_send(edge->channel, session_ended, .session = s->id, .why = span_cstr(why));
		end(store, s);
	}
}
