#include "store/queue/leg.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/random.h"
#include "store/directory/route.h"
#include "store/queue/schedule.h"
#include "wire/program.h"

#include <stdlib.h>

enum {
	ASKING_MS = 45 * 1000, /* longer than resolve takes; less than puts the message to sleep */
	BUSY_MS = 1000,
};

static void take_route(struct leg *leg, struct span next_hop, enum route route)
{
	leg->next_hop = next_hop;
	leg->route = route;
}

/* The tables' route of a recipient; TABLE_NONE for what is no address there. */
static enum table_outcome find_in_tables(struct store *s, struct span recipient, struct table_look *look, struct arena *a, struct span *hop)
{
	struct address address;
	struct table_said said;
	BUF_AUTO canonical = {0};
	if (address_parse_mailbox(recipient, ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) || address_literal_is_valid(address.domain) ||
	    address_canonical(&address, &canonical, NULL))
		return TABLE_NONE;
	tables_find(s, TABLE_ROUTE, buf_span(&canonical), look, &said);
	*hop = said.count ? arena_dup(a, span_slice(said.targets[0], 0, NEXT_HOP_BYTES_MOST)) : SPAN("");
	return said.outcome;
}

enum table_outcome leg_look(const struct queue *q, struct span recipient, struct span sender, bool is_forwarded, struct table_look *look, struct arena *a,
                            struct leg *leg)
{
	BUF_AUTO hop = {0}, unused = {0};
	struct span domain = address_domain(recipient), table_hop = SPAN("");
	sender = address_domain(sender);
	*leg = (struct leg){.via = leg->via, .index = leg->index, .next_hop = domain, .route = ROUTE_DOMAIN, .tls = ROUTE_TLS_USUAL};
	enum domain_use use = q->has_directory ? directory_use_of(q->store, domain, look, &hop) : DOMAIN_ELSEWHERE;
	/* whether its sender is one of ours will be asked when it leaves (directory_forward_sender) */
	if (use != DOMAIN_LATER && is_forwarded && sender.len)
		use = directory_use_of(q->store, sender, look, &unused) == DOMAIN_LATER ? DOMAIN_LATER : use;
	if (use == DOMAIN_LATER)
		return TABLE_LATER;
	if (hop.len) {
		take_route(leg, arena_dup(a, buf_span(&hop)), ROUTE_RELAYED);
		return TABLE_FOUND;
	}
	const struct route_row *routed = q->has_directory ? route_of_domain(q->store, domain) : NULL;
	enum table_outcome found = q->has_directory && !routed ? find_in_tables(q->store, recipient, look, a, &table_hop) : TABLE_NONE;
	if (found == TABLE_LATER || found == TABLE_REFUSED)
		return found;
	if (q->has_directory && !routed && found == TABLE_NONE)
		routed = route_of_rest(q->store, sender);
	leg->tls = routed ? routed->tls : ROUTE_TLS_USUAL;
	if (table_hop.len || (routed && routed->next_hop.len))
		take_route(leg, table_hop.len ? table_hop : arena_dup(a, routed->next_hop), ROUTE_ROUTED);
	else if (q->relay_host.len && !routed && found == TABLE_NONE)
		take_route(leg, q->relay_host, ROUTE_RELAY_HOST);
	return TABLE_FOUND;
}

/* ---- waiting ---- */

struct waiting {
	struct id128 id;
};

static void on_answer(struct store *s, void *context)
{
	struct waiting *w = context;
	struct queued *m = map_get(&s->queue->messages, id128_hash(w->id));
	bool is_due = false;
	for (uint32_t i = 0; m && id128_equal(m->id, w->id) && i < m->recipient_count; i++) {
		struct recipient *r = &m->recipients[i];
		if (!r->is_asking)
			continue;
		r->is_asking = false;
		is_due |= r->state == RECIPIENT_WAITING;
		if (r->state == RECIPIENT_WAITING)
			r->next_ms = 0;
	}
	if (is_due && !m->is_writing && !m->is_new)
		schedule_add(m); /* else that follows the writing */
	free(w);
}

/* question: 0 if there is none yet: it is tried again soon. */
static void wait_for_answer(struct queued *m, struct recipient *r, uint64_t question)
{
	r->is_asking = true;
	r->next_ms = clock_monotonic_ms() + (question ? ASKING_MS : BUSY_MS + (int64_t)random_below(BUSY_MS));
	if (!question)
		return;
	struct waiting *w = xcalloc(1, sizeof *w);
	w->id = m->id;
	tables_wait(m->queue->store, question, on_answer, w);
}

/* Programs of one user have a line of their own, as hosts of one domain have. */
static bool find_program(struct queued *m, struct recipient *r, struct arena *a, struct leg *out)
{
	struct span program = recipient_program(r), *words = NULL;
	size_t colon = (size_t)span_chr(program, ':');
	*out = (struct leg){.via = out->via, .index = out->index, .next_hop = span_slice(program, 0, colon + 1), .route = ROUTE_PROGRAM};
	bool is_allowed = program_words(span_skip(program, colon + 1), a, &words, NULL) > 0 && program_is_allowed(child_config(m->queue->store->self)->pipes, words[0]);
	if (is_allowed)
		return true;
	r->next_ms = schedule_next(m->queue, ++r->attempts);
	recipient_set_last(r, "4.3.5", SPAN("the setting pipes does not have the program"), SPAN(""));
	return false;
}

bool leg_find(struct queued *m, struct recipient *r, struct arena *a, struct leg *out)
{
	struct table_look look = {.is_new = true};
	BUF_AUTO why = {0};
	r->is_asking = false;
	if (recipient_program(r).len)
		return find_program(m, r, a, out);
	switch (leg_look(m->queue, span_cstr(r->address), span_cstr(m->reverse_path), r->via, &look, a, out)) {
	case TABLE_NONE: case TABLE_FOUND: case TABLE_RELAYED:
		return true;
	case TABLE_REFUSED:
		r->state = RECIPIENT_FAILED;
		recipient_set_last(r, "5.1.2", SPAN("550 5.1.2 a table says that no mail goes there"), SPAN(""));
		return false;
	case TABLE_LATER:
		break;
	}
	if (look.question || look.is_busy) {
		wait_for_answer(m, r, look.question);
		return false;
	}
	r->next_ms = schedule_next(m->queue, ++r->attempts);
	buf_printf(&why, "where it goes cannot be looked up now%s%s", look.table && *look.table ? ": " : "", look.table ? look.table : "");
	recipient_set_last(r, "4.3.0", buf_span(&why), SPAN(""));
	return false;
}

bool leg_is_all_asking(const struct queued *m)
{
	bool is_asking = false;
	if (m->jobs || m->is_writing || m->is_changed || m->ended || m->events.len || m->is_removed || m->is_new)
		return false;
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		const struct recipient *r = &m->recipients[i];
		bool is_waiting_for_time = r->state == RECIPIENT_WAITING && (r->is_asking || r->next_ms > clock_monotonic_ms());
		if (r->state != RECIPIENT_DONE && !is_waiting_for_time)
			return false;
		if (recipient_has_news(r))
			return false;
		is_asking |= r->is_asking;
	}
	return is_asking;
}
