/* Messages in pieces to filter and store. */
#include "edge/delivery.h"

#include "base/arena.h"
#include "base/die.h"
#include "base/log.h"

#include <stdlib.h>

enum { PIECE_BYTES = 65536 };

struct delivery {
	struct edge_process *edge;
	uint64_t token; /* of the connection; 0: it has gone */
	struct id128 id;
	struct delivery_events events;
	unsigned filter;
	uint8_t kind, facts, flags, ret, priority;
	uint32_t hold_s;
	struct buf reverse_path, helo, with, mailbox, keywords, envid, forwarded_by;
	uint64_t internaldate_ms;
	uint32_t uid;
	struct buf unique_id, source;
	struct arena memory;
	struct delivery_recipient *recipients;
	size_t recipient_count;
	struct buf piece;
	uint64_t size;
	unsigned store_window, filter_window;
	unsigned answers_left;
	bool *is_answered;       /* of LMTP: which recipients */
	bool has_begun, is_whole, is_blocked;
	bool is_lost; /* a process lost it before it was whole: nothing is stored, the rest is swallowed, the answer is "later" */
};

static void free_delivery(struct delivery *d)
{
	map_take(&d->edge->deliveries, id128_hash(d->id));
	struct buf *bufs[] = {&d->reverse_path, &d->helo, &d->with, &d->mailbox, &d->keywords, &d->envid, &d->forwarded_by, &d->piece,
	                      &d->unique_id, &d->source};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	arena_free(&d->memory);
	free(d);
}

static bool pick_filter(struct edge_process *e, unsigned *filter)
{
	for (unsigned i = 0; i < EDGE_FILTERS_MOST; i++) {
		*filter = (e->filter_turn + i) % EDGE_FILTERS_MOST;
		if (e->filters[*filter]) {
			e->filter_turn = *filter + 1;
			return true;
		}
	}
	return false;
}

struct delivery *delivery_new(struct connection *c, const struct delivery_facts *facts, const struct delivery_events *events)
{
	struct edge_process *e = c->edge;
	unsigned filter;
	if (!e->store || !pick_filter(e, &filter))
		return NULL;
	struct delivery *d = xcalloc(1, sizeof *d);
	*d = (struct delivery){.edge = e, .token = c->token, .id = id128_new(), .events = *events, .filter = filter,
	                       .kind = (uint8_t)facts->kind, .facts = facts->facts, .flags = facts->flags,
	                       .internaldate_ms = facts->internaldate_ms, .store_window = DELIVERY_WINDOW_PIECES, .filter_window = DELIVERY_WINDOW_PIECES};
	buf_add(&d->reverse_path, facts->reverse_path);
	buf_add(&d->helo, facts->helo);
	buf_add(&d->with, facts->with);
	buf_add(&d->mailbox, facts->mailbox);
	buf_add(&d->keywords, facts->keywords);
	d->ret = facts->ret;
	d->priority = facts->priority;
	d->hold_s = facts->hold_s;
	buf_add(&d->envid, facts->envid);
	d->uid = facts->uid;
	buf_add(&d->unique_id, facts->unique_id);
	buf_add(&d->source, facts->source);
	buf_add(&d->forwarded_by, facts->forwarded_by);
	d->recipients = arena_alloc_array(&d->memory, facts->recipient_count, sizeof *d->recipients);
	for (; d->recipient_count < facts->recipient_count; d->recipient_count++) {
		const struct delivery_recipient *r = &facts->recipients[d->recipient_count];
		d->recipients[d->recipient_count] = (struct delivery_recipient){
			.address = arena_dup(&d->memory, r->address), .notify = r->notify, .orcpt = arena_dup(&d->memory, r->orcpt)};
	}
	d->is_answered = arena_alloc_array(&d->memory, facts->recipient_count, sizeof *d->is_answered);
	d->answers_left = d->kind == DELIVERY_LMTP && d->recipient_count > 1 ? (unsigned)d->recipient_count : 1;
	map_put(&e->deliveries, id128_hash(d->id), d);
	return d;
}

struct id128 delivery_id(const struct delivery *d)
{
	return d->id;
}

uint64_t delivery_size(const struct delivery *d)
{
	return d->size;
}

/* What milters are asked about: not what a neighbour delivers, nor what a user puts into a mailbox. */
static bool is_for_milters(const struct delivery *d)
{
	return child_config(d->edge->self)->milters[0] && (d->kind == DELIVERY_SMTP || d->kind == DELIVERY_SUBMISSION || d->kind == DELIVERY_LOCAL);
}

static void begin(struct delivery *d)
{
	struct edge_process *e = d->edge;
	size_t for_milters = is_for_milters(d) ? d->recipient_count : 0;
	struct connection *c = connection_of_token(e, d->token);
	char tls[128] = "";
	if (c)
		stream_tls_text(c->stream, tls, sizeof tls);
	d->has_begun = true;
	channel_send(e->store, delivery_begin, .delivery = d->id, .token = d->token, .session = c ? c->session : 0, .kind = d->kind,
	             .filter = (uint8_t)d->filter, .facts = d->facts, .reverse_path = buf_span(&d->reverse_path),
	             .client_address = span_cstr(c ? c->address : ""), .mailbox = buf_span(&d->mailbox), .flags = d->flags,
	             .keywords = buf_span(&d->keywords), .internaldate_ms = d->internaldate_ms, .ret = d->ret, .envid = buf_span(&d->envid),
	             .priority = d->priority, .hold_s = d->hold_s, .uid = d->uid, .unique_id = buf_span(&d->unique_id),
	             .source = buf_span(&d->source));
	for (size_t i = 0; i < d->recipient_count; i++)
		channel_send(e->store, delivery_rcpt, .delivery = d->id, .address = d->recipients[i].address,
		             .notify = d->recipients[i].notify, .orcpt = d->recipients[i].orcpt);
	channel_send(e->filters[d->filter], judge_begin, .delivery = d->id, .kind = d->kind, .facts = d->facts,
	             .reverse_path = buf_span(&d->reverse_path), .client_address = span_cstr(c ? c->address : ""),
	             .helo = span_slice(buf_span(&d->helo), 0, 255), .with = buf_span(&d->with), .tls = span_cstr(tls),
	             .recipient = d->recipient_count == 1 ? d->recipients[0].address : SPAN(""), .priority = d->priority,
	             .user = c ? buf_span(&c->user) : SPAN(""), .recipients = (uint32_t)for_milters,
	             .forwarded_by = buf_span(&d->forwarded_by));
	for (size_t i = 0; i < for_milters; i++)
		channel_send(e->filters[d->filter], judge_rcpt, .delivery = d->id, .address = d->recipients[i].address);
}

static void send_piece(struct delivery *d)
{
	if (!d->has_begun)
		begin(d);
	if (d->piece.len) {
		channel_send(d->edge->store, delivery_piece, .delivery = d->id, .bytes = buf_span(&d->piece));
		channel_send(d->edge->filters[d->filter], judge_piece, .delivery = d->id, .bytes = buf_span(&d->piece));
		d->store_window--;
		d->filter_window--;
	}
	buf_clear(&d->piece);
}

static bool is_reachable(const struct delivery *d)
{
	return d->edge->store && d->edge->filters[d->filter] && !d->is_lost;
}

static bool has_room(const struct delivery *d)
{
	return (d->store_window && d->filter_window) || !is_reachable(d);
}

bool delivery_write(struct delivery *d, struct span bytes)
{
	d->size += bytes.len;
	while (bytes.len && is_reachable(d)) {
		struct span part = span_slice(bytes, 0, PIECE_BYTES - d->piece.len);
		buf_add(&d->piece, part);
		bytes = span_skip(bytes, part.len);
		if (d->piece.len < PIECE_BYTES)
			break;
		if (!has_room(d)) {
			/* the caller stops after these: one piece's worth is kept here, the rest goes beyond the window */
			d->store_window++;
			d->filter_window++;
		}
		send_piece(d);
	}
	d->is_blocked = !has_room(d);
	return !d->is_blocked;
}

/* The outcome is this process's own finding: nothing was stored, or nobody knows. */
static void report(struct delivery *d, enum delivery_outcome outcome)
{
	struct connection *c = connection_of_token(d->edge, d->token);
	struct msg_delivery_result result = {.delivery = d->id, .token = d->token, .recipient = DELIVERY_ALL_RECIPIENTS, .outcome = (uint8_t)outcome};
	struct delivery_events events = d->events;
	free_delivery(d);
	if (c)
		events.done(c, &result);
}

/* Tells whoever still has something of it. */
static void give_up(struct delivery *d)
{
	if (d->has_begun && d->edge->store)
		channel_send(d->edge->store, delivery_cancel, .delivery = d->id);
	if (d->has_begun && d->edge->filters[d->filter])
		channel_send(d->edge->filters[d->filter], judge_cancel, .delivery = d->id);
}

static void end(struct delivery *d, bool is_parked)
{
	if (!is_reachable(d)) {
		give_up(d);
		report(d, DELIVERY_LATER);
		return;
	}
	d->is_whole = true;
	d->store_window++; /* the last piece is never held back */
	d->filter_window++;
	send_piece(d);
	channel_send(d->edge->store, delivery_end, .delivery = d->id, .size = d->size, .is_parked = is_parked);
	channel_send(d->edge->filters[d->filter], judge_end, .delivery = d->id, .size = d->size);
}

void delivery_end(struct delivery *d)
{
	end(d, false);
}

void delivery_park(struct delivery *d)
{
	end(d, true);
}

void delivery_cancel(struct delivery *d)
{
	d->token = 0;
	if (d->is_whole)
		return; /* store's answer ends it */
	give_up(d);
	free_delivery(d);
}

static struct delivery *find(struct edge_process *e, struct id128 id)
{
	struct delivery *d = map_get(&e->deliveries, id128_hash(id));
	return d && id128_equal(d->id, id) ? d : NULL;
}

static void unblock(struct delivery *d)
{
	struct connection *c = connection_of_token(d->edge, d->token);
	if (!d->is_blocked || !has_room(d))
		return;
	d->is_blocked = false;
	if (c && !d->is_whole)
		d->events.writable(c);
}

void delivery_store_credit(struct edge_process *e, const struct msg_delivery_credit *m)
{
	struct delivery *d = find(e, m->delivery);
	if (!d)
		return;
	d->store_window += m->pieces < DELIVERY_WINDOW_PIECES ? m->pieces : DELIVERY_WINDOW_PIECES;
	unblock(d);
}

void delivery_filter_credit(struct edge_process *e, const struct msg_judge_credit *m)
{
	struct delivery *d = find(e, m->delivery);
	if (!d)
		return;
	d->filter_window += m->pieces < DELIVERY_WINDOW_PIECES ? m->pieces : DELIVERY_WINDOW_PIECES;
	unblock(d);
}

void delivery_result(struct edge_process *e, const struct msg_delivery_result *m)
{
	struct delivery *d = find(e, m->delivery);
	if (!d)
		return;
	struct connection *c = connection_of_token(e, d->token);
	struct delivery_events events = d->events;
	/* an answer for all ends it at once, and so does one before the message was whole (its filter died) */
	if (m->recipient == DELIVERY_ALL_RECIPIENTS)
		d->answers_left = 1;
	if (!d->is_whole) {
		d->is_lost = true;
		unblock(d);
		return;
	}
	if (m->recipient < d->recipient_count) {
		if (d->is_answered[m->recipient])
			return;
		d->is_answered[m->recipient] = true;
	}
	if (--d->answers_left == 0)
		free_delivery(d);
	if (c)
		events.done(c, m);
}

void delivery_filter_gone(struct edge_process *e, unsigned filter)
{
	size_t at = 0;
	struct delivery *d;
	while ((d = map_next(&e->deliveries, &at))) {
		if (d->filter != filter)
			continue;
		if (d->is_whole) {
			if (e->store)
				channel_send(e->store, delivery_filter_lost, .delivery = d->id);
			continue;
		}
		d->is_lost = true;
		unblock(d);
	}
}

void delivery_store_gone(struct edge_process *e)
{
	size_t at = 0;
	struct delivery *d;
	while ((d = map_next(&e->deliveries, &at))) {
		d->is_lost = true;
		unblock(d);
	}
}

/* RFC 5321 §4.2.5: after the final dot the answer must say what is true. A message that the old store may have written is
 * asked for; one that was not whole cannot have been. */
void delivery_store_attached(struct edge_process *e)
{
	size_t at = 0;
	struct delivery *d;
	while ((d = map_next(&e->deliveries, &at))) {
		struct connection *c = connection_of_token(e, d->token);
		if (!d->is_whole)
			continue;
		bool is_each = d->kind == DELIVERY_LMTP && d->recipient_count > 1;
		for (size_t i = 0; i < (is_each ? d->recipient_count : 1); i++)
			if (!is_each || !d->is_answered[i])
				channel_send(e->store, delivery_query, .delivery = d->id, .token = d->token, .session = c ? c->session : 0,
				             .recipient = is_each ? (uint32_t)i : DELIVERY_ALL_RECIPIENTS,
				             .address = d->recipient_count ? d->recipients[i].address : SPAN(""));
	}
}
