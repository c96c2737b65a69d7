#include "store/recipient.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "store/directory/directory.h"
#include "store/greylist.h"
#include "store/queue/leg.h"
#include "store/session.h"
#include "store/usage.h"

#include <stdlib.h>

/* What was asked, while a table is asked for it. */
struct waiting {
	peer_id edge;
	struct arena memory;
	struct table_look look;
	union {
		struct msg_sender_ask sender;
		struct msg_rcpt_ask rcpt;
	};
};

static void wait_for_table(struct store_peer *edge, const struct table_look *look, struct waiting *w, table_waiter_fn *fn)
{
	w->edge = edge->id;
	w->look = *look;
	tables_wait(edge->store, look->question, fn, w);
}

static void free_waiting(struct waiting *w)
{
	arena_free(&w->memory);
	free(w);
}

/* ---- senders ---- */

static void on_sender_table(struct store *s, void *context);

static void look_for_sender(struct store_peer *edge, const struct msg_sender_ask *m, struct table_look *look)
{
	struct session *s = session_find(edge, m->session);
	/* the null reverse-path is nobody's and everybody's: notifications have it (RFC 5321 §4.5.5) */
	enum rcpt_outcome outcome = !s || !s->account ? RCPT_UNKNOWN : m->address.len == 0 ? RCPT_LOCAL : directory_owns(edge->store, s->account, m->address, look);
	if (outcome == RCPT_LATER && look->question) {
		struct waiting *w = xcalloc(1, sizeof *w);
		w->sender = *m;
		w->sender.address = arena_dup(&w->memory, m->address);
		wait_for_table(edge, look, w, on_sender_table);
		return;
	}
	channel_send(edge->channel, sender_answer, .token = m->token, .is_allowed = outcome == RCPT_LOCAL, .is_later = outcome == RCPT_LATER);
}

static void on_sender_table(struct store *s, void *context)
{
	struct waiting *w = context;
	struct store_peer *edge = store_peer(s, w->edge);
	if (edge)
		look_for_sender(edge, &w->sender, &w->look);
	free_waiting(w);
}

void recipient_sender_asked(struct store_peer *edge, const struct msg_sender_ask *m)
{
	look_for_sender(edge, m, &(struct table_look){.is_new = true});
}

/* ---- recipients ---- */

/* Recipients of what users send are counted as they are named: who names too many gets no further. */
static bool is_over_rate(struct store *s, uint64_t account)
{
	BUF_AUTO name = {0};
	enum rate_verdict verdict = rates_count(&s->rates, account, child_config(s->self)->recipients_per_hour, RATE_HOUR_MS, clock_monotonic_ms());
	if (verdict == RATE_FIRST_OVER) {
		directory_account_name(s, account, &name, NULL);
		log_event(LOG_LEVEL_WARNING, "sends-too-much", log_s("account", buf_span(&name)),
		          log_c("do", "if it is not its user: `carteiro user passwd`, and look into `carteiro queue list`"));
	}
	return verdict != RATE_OPEN;
}

/* Our domain that sends mail for this recipient on to another server: the one whose alias does, or its own; empty if all of it stays
 * here. */
static struct span forwarding_domain(const struct targets *targets, struct span recipient, struct buf *canonical)
{
	for (size_t i = 0; i < targets->count; i++) {
		const struct target *t = &targets->list[i];
		if (t->account || t->program.len)
			continue;
		if (t->via.len)
			return t->via;
		if (domain_canonical(span_skip(recipient, (size_t)(span_rchr(recipient, '@') + 1)), canonical, NULL) == 0)
			return buf_span(canonical);
	}
	return SPAN("");
}

/* What only goes elsewhere, and by a table goes nowhere, is refused here already. A table that is down hinders nobody: the queue waits for it. */
static enum rcpt_outcome check_way(struct store *s, struct targets *targets, enum rcpt_outcome outcome, struct arena *a)
{
	struct leg leg = {0};
	if ((outcome != RCPT_LOCAL && outcome != RCPT_REMOTE) || targets->count != 1 || targets->list[0].account || targets->list[0].program.len || !s->queue)
		return outcome;
	enum table_outcome way = leg_look(s->queue, targets->list[0].address, SPAN(""), false, &targets->look, a, &leg);
	if (way == TABLE_LATER && targets->look.question)
		return RCPT_LATER;
	return way == TABLE_REFUSED ? RCPT_NOWHERE : outcome;
}

static void on_rcpt_table(struct store *s, void *context);

static void look_for_recipient(struct store_peer *edge, const struct msg_rcpt_ask *m, const struct table_look *look)
{
	ARENA_AUTO a = {0};
	struct targets targets = {.look = *look};
	BUF_AUTO domain = {0};
	struct store *store = edge->store;
	struct session *s = session_find(edge, m->session);
	bool may_relay = edge->role == ROLE_EDGE_USER && (m->is_local || (s && s->account));
	enum rcpt_outcome outcome = check_way(store, &targets, directory_resolve(store, m->address, may_relay, &a, &targets), &a);
	if (outcome == RCPT_LATER && targets.look.question) {
		struct waiting *w = xcalloc(1, sizeof *w);
		w->rcpt = *m;
		w->rcpt.address = arena_dup(&w->memory, m->address);
		w->rcpt.stranger = arena_dup(&w->memory, m->stranger);
		w->rcpt.reverse_path = arena_dup(&w->memory, m->reverse_path);
		wait_for_table(edge, &targets.look, w, on_rcpt_table);
		return;
	}
	if ((outcome == RCPT_LOCAL || outcome == RCPT_REMOTE) && !engine_has_room(store->engine))
		outcome = RCPT_NO_SPACE;
	if (outcome == RCPT_LOCAL && targets.count == 1 && targets.list[0].account && !usage_has_room(store, targets.list[0].account, m->size))
		outcome = RCPT_FULL;
	if ((outcome == RCPT_LOCAL || outcome == RCPT_REMOTE) && s && s->account && is_over_rate(store, s->account))
		outcome = RCPT_RATE;
	if (outcome == RCPT_LOCAL && m->stranger.len && !greylist_lets_pass(store, m->stranger, m->reverse_path, m->address))
		outcome = RCPT_GREYLISTED;
	struct span forwarding = outcome == RCPT_LOCAL ? forwarding_domain(&targets, m->address, &domain) : SPAN("");
	channel_send(edge->channel, rcpt_answer, .token = m->token, .sequence = m->sequence, .outcome = (uint8_t)outcome,
	             .forwarded_by = span_slice(forwarding, 0, 255));
}

static void on_rcpt_table(struct store *s, void *context)
{
	struct waiting *w = context;
	struct store_peer *edge = store_peer(s, w->edge);
	if (edge)
		look_for_recipient(edge, &w->rcpt, &w->look);
	free_waiting(w);
}

void recipient_asked(struct store_peer *edge, const struct msg_rcpt_ask *m)
{
	look_for_recipient(edge, m, &(struct table_look){.is_new = true});
}
