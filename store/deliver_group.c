/* Several messages that one command appends, or one that takes another's place (RFC 3502, RFC 8508): each was staged and judged by
 * itself and is parked; all enter the mailbox in one batch, or none. */
#include "store/delivery.h"

#include "base/die.h"
#include "ipc/words.h"
#include "store/mailbox/append.h"
#include "store/mailbox/view.h"
#include "store/share.h"

#include <stdlib.h>

struct group {
	struct store *store;
	peer_id edge;
	uint64_t session;
	uint32_t request;
	size_t left;      /* results that are still to come: all in one turn */
	struct buf uids;  /* ranges */
	bool is_refused;  /* what it asks for cannot be */
};

static enum request_outcome request_outcome(enum delivery_outcome outcome)
{
	switch (outcome) {
	case DELIVERED: case DELIVERY_DISCARDED: return REQUEST_OK;
	case DELIVERY_NO_MAILBOX: return REQUEST_NO_MAILBOX;
	case DELIVERY_NO_SPACE: return REQUEST_NO_SPACE;
	case DELIVERY_NO_PERMISSION: return REQUEST_NO_PERMISSION;
	case DELIVERY_UNKNOWN: return REQUEST_EXPUNGED;
	default: return REQUEST_FAILED;
	}
}

static void say_outcome(struct group *g, const struct append_result *result)
{
	struct store_peer *edge = store_peer(g->store, g->edge);
	enum request_outcome outcome = g->is_refused ? REQUEST_BAD_NAME : request_outcome(result->outcome);
	if (!edge)
		return;
	if (outcome == REQUEST_OK)
		channel_send(edge->channel, copy_done, .session = g->session, .request = g->request, .uidvalidity = result->uidvalidity, .to = buf_span(&g->uids));
	else
		channel_send(edge->channel, request_done, .session = g->session, .request = g->request, .outcome = (uint8_t)outcome);
}

struct member {
	struct group *group;
	struct delivery *delivery;
};

static void on_appended(void *context, const struct append_result *result)
{
	struct member *member = context;
	struct group *g = member->group;
	struct delivery *d = member->delivery;
	free(member);
	if (result->outcome == DELIVERED)
		ranges_add(&g->uids, result->uid);
	deliver_log(d, DELIVERY_ALL_RECIPIENTS, result->outcome);
	deliver_written(d, result->outcome);
	deliver_free(d);
	if (--g->left)
		return;
	say_outcome(g, result);
	buf_free(&g->uids);
	free(g);
}

static struct append *add_member(struct group *g, struct delivery *d)
{
	struct accepted *m = deliver_accept(d);
	if (!m)
		return NULL;
	struct member *member = xcalloc(1, sizeof *member);
	*member = (struct member){g, d};
	d->is_sent_on = true;
	d->waiting = 1;
	g->left++;
	return deliver_append(d, m, d->account, on_appended, member);
}

int deliver_group(struct store_peer *edge, const struct msg_append_ask *m)
{
	struct unpacker u = {.rest = m->deliveries};
	struct append *first = NULL, **last = &first;
	uint64_t account = 0;
	bool is_whole = m->deliveries.len && m->deliveries.len % sizeof(struct id128) == 0;
	struct group *g = xcalloc(1, sizeof *g);
	*g = (struct group){.store = edge->store, .edge = edge->id, .session = m->session, .request = m->request};
	while (is_whole && u.rest.len) {
		struct id128 id;
		unpack_id128(&u, &id);
		struct delivery *d = deliver_parked(edge, m->session, id);
		*last = d ? add_member(g, d) : NULL;
		is_whole = *last != NULL;
		if (!is_whole)
			break;
		account = d->account;
		last = &(*last)->next;
	}
	if (!is_whole) {
		/* the store has been another one when they were parked, or filter's cuts make no sense: nothing is kept */
		if (first) {
			append_drop(first);
		} else {
			say_outcome(g, &(struct append_result){.outcome = DELIVERY_LATER});
			free(g);
		}
		return 0;
	}
	struct session *session = session_find(edge, m->session);
	struct view_place open = session ? share_open_place(session) : (struct view_place){0};
	if (m->replaced_uid && open.account != account) {
		/* accounts have batches of their own */
		g->is_refused = true;
		append_drop(first);
		return 0;
	}
	first->view = open.key;
	first->replaced_uid = m->replaced_uid;
	append_post(store_worker_of(edge->store, account), first);
	return 0;
}
