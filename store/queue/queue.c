/* The life of queued messages: accepted, sent to accounts and to relay, tried again, bounced, gone. */
#include "store/queue/queue.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "base/random.h"
#include "store/queue/asleep.h"
#include "store/queue/message.h"
#include "store/queue/own.h"
#include "store/queue/schedule.h"
#include "store/trace.h"
#include "wire/smtp.h"

#include <stdio.h>
#include <stdlib.h>

enum { ASKED_MS = 1000 };

static void settle(struct queued *m);

/* ---- accepting ---- */

static void put_shared(struct batch *b, struct id128 blob, uint64_t received)
{
	BUF_AUTO key = {0}, value = {0};
	pack_u64(&value, received);
	queue_key(&key, 's', blob);
	batch_put(b, QUEUE_PARTITION, buf_span(&key), buf_span(&value));
}

void queue_put_shared(struct batch *b, struct engine *e, struct id128 blob)
{
	BUF_AUTO memory = {0};
	struct blob_head head = {0};
	struct error why = {0};
	if (blob_head_get(e, blob, &memory, &head, &why) > 0)
		put_shared(b, blob, head.received);
	else
		log_event(LOG_LEVEL_WARNING, "blob-damaged", log_c("why", why.text), log_c("so", "it is never swept"));
}

static void put_blob(struct batch *b, struct accepted *m, bool is_shared)
{
	BUF_AUTO key = {0};
	blob_head_put(b, m->blob, &m->head);
	queue_key(&key, 'g', m->blob);
	if (m->head.received)
		batch_delete(b, QUEUE_PARTITION, buf_span(&key));
	if (is_shared)
		put_shared(b, m->blob, m->head.received);
}

void queue_stage(struct batch *b, struct id128 blob)
{
	BUF_AUTO key = {0};
	queue_key(&key, 'g', blob);
	batch_put(b, QUEUE_PARTITION, buf_span(&key), SPAN(""));
}

void queue_unstage(struct batch *b, struct id128 blob)
{
	BUF_AUTO key = {0};
	queue_key(&key, 'g', blob);
	batch_delete(b, QUEUE_PARTITION, buf_span(&key));
}

void queue_share(struct store *s, struct accepted *m)
{
	struct batch b = {0};
	put_blob(&b, m, true);
	m->is_shared = true;
	store_commit(s, &b, NULL, NULL);
}

static void put_record(const struct queued *m, struct batch *b)
{
	BUF_AUTO key = {0}, value = {0};
	queue_key(&key, 'r', m->id);
	queued_pack(m, &value);
	batch_put(b, QUEUE_PARTITION, buf_span(&key), buf_span(&value));
}

static uint32_t return_path_bytes(const struct accepted *m)
{
	struct span start = m->head.whole.len ? m->head.whole : m->head.prefix;
	ssize_t end = span_starts_with(start, SPAN("Return-Path: ")) ? span_chr(start, '\n') : -1;
	return (uint32_t)(end + 1);
}

void queue_rewrite(struct queued *m, struct batch *b)
{
	m->size = m->message->size;
	m->received = m->message->head.received;
	put_blob(b, m->message, m->is_shared);
	put_record(m, b);
}

struct queued *queue_put_new(struct store *s, const struct queue_message *q, const struct targets *targets, struct batch *b)
{
	struct queued *m = queued_new(s->queue, q->delivery);
	BUF_AUTO key = {0};
	m->blob = q->message->blob;
	m->size = q->message->size;
	m->received = q->message->head.received;
	m->return_path_bytes = return_path_bytes(q->message);
	m->facts = q->facts;
	m->reverse_path = span_strdup(q->reverse_path);
	m->ret = q->ret;
	m->envid = q->envid.len ? span_strdup(q->envid) : NULL;
	m->priority = q->priority;
	m->submitter = q->submitter;
	m->created_ms = clock_monotonic_ms();
	m->hold_ms = (uint64_t)q->hold_s * 1000;
	m->recipients = xcalloc(targets->count, sizeof *m->recipients);
	for (size_t i = 0; i < targets->count; i++) {
		struct recipient *r = &m->recipients[m->recipient_count++];
		r->next_ms = q->hold_s ? m->created_ms + (int64_t)m->hold_ms : 0;
		r->account = targets->list[i].account;
		r->address = span_strdup(targets->list[i].address);
		r->notify = targets->list[i].notify;
		r->orcpt = targets->list[i].orcpt.len ? span_strdup(targets->list[i].orcpt) : NULL;
		r->via = targets->list[i].via.len ? span_strdup(targets->list[i].via) : NULL;
		if (targets->list[i].program.len)
			r->via = recipient_make_program(targets->list[i].program);
		if (targets->list[i].is_expanded) {
			r->state = RECIPIENT_DONE;
			r->report = REPORT_EXPANDED;
		}
		if (targets->list[i].is_gone) {
			r->state = RECIPIENT_FAILED;
			recipient_set_last(r, "5.1.1", SPAN("550 5.1.1 the mailbox has been removed"), SPAN(""));
		}
		m->is_shared |= r->account != 0;
	}
	q->message->is_shared = m->is_shared;
	put_blob(b, q->message, m->is_shared);
	put_record(m, b);
	queue_key(&key, 'd', m->id);
	batch_put(b, QUEUE_PARTITION, buf_span(&key), buf_span(&q->message->trace));
	m->message = q->message;
	m->is_new = true;
	map_put(&s->queue->messages, id128_hash(m->id), m);
	b->is_durable = true;
	return m;
}

struct acceptance {
	struct queued *message;
	loop_fn *done;
	void *context;
};

static void on_accepted(void *context)
{
	struct acceptance *a = context;
	a->done(a->context);
	queue_enter(a->message);
	free(a);
}

void queue_accept(struct store *s, const struct queue_message *q, const struct targets *targets, loop_fn *done, void *context)
{
	struct batch b = {0};
	struct acceptance *a = xcalloc(1, sizeof *a);
	*a = (struct acceptance){queue_put_new(s, q, targets, &b), done, context};
	store_commit(s, &b, on_accepted, a);
}

void queue_discard(struct store *s, struct id128 delivery, struct span trace, struct span why, loop_fn *done, void *context)
{
	struct batch b = {.is_durable = true};
	BUF_AUTO key = {0};
	queue_key(&key, 'd', delivery);
	batch_put(&b, QUEUE_PARTITION, buf_span(&key), trace);
	trace_event(&b, QUEUE_PARTITION, delivery, why);
	store_commit(s, &b, done, context);
}

/* ---- to accounts ---- */

struct fan_out {
	struct queued *message;
	uint32_t recipient;
};

static void on_appended(void *context, const struct append_result *result)
{
	struct fan_out *f = context;
	struct queued *m = f->message;
	struct recipient *r = &m->recipients[f->recipient];
	m->jobs--;
	if (result->outcome == DELIVERED) {
		r->state = RECIPIENT_DONE;
		r->report = r->notify & SMTP_NOTIFY_SUCCESS ? REPORT_DELIVERED : REPORT_NONE;
	} else {
		r->state = RECIPIENT_WAITING;
		r->next_ms = schedule_next(m->queue, ++r->attempts);
		recipient_set_last(r, "4.2.0", SPAN("the mailbox cannot be written now"), SPAN(""));
	}
	free(f);
	settle(m);
}

static struct accepted *message_of(struct queued *m)
{
	if (m->message) {
		__atomic_add_fetch(&m->message->users, 1, __ATOMIC_ACQ_REL);
		return m->message;
	}
	/* read back after a restart: the blob is there, and what filter found in it is found again when it is needed */
	struct accepted *a = accepted_new(m->id);
	BUF_AUTO key = {0};
	a->blob = m->blob;
	a->is_shared = true;
	a->is_junk = m->facts & FACT_JUNK;
	a->size = (uint32_t)m->size;
	queue_key(&key, 'd', m->id);
	engine_get(m->queue->store->engine, QUEUE_PARTITION, buf_span(&key), &a->trace, NULL);
	return a;
}

static void append_to(struct queued *m, uint32_t i)
{
	struct recipient *r = &m->recipients[i];
	struct store *s = m->queue->store;
	BUF_AUTO name = {0};
	if (directory_account_name(s, r->account, &name, NULL) == 0) {
		r->state = RECIPIENT_FAILED; /* removed since it was accepted */
		recipient_set_last(r, "5.1.1", SPAN("550 5.1.1 the mailbox has been removed"), SPAN(""));
		return;
	}
	struct fan_out *f = xcalloc(1, sizeof *f);
	*f = (struct fan_out){m, i};
	struct append *a = xcalloc(1, sizeof *a);
	*a = (struct append){.message = message_of(m), .account = r->account, .internaldate_ms = (uint64_t)queue_wall_ms(m->created_ms + (int64_t)m->hold_ms),
	                     .is_repeated = !m->message, .done = on_appended, .context = f};
	r->state = RECIPIENT_TRYING;
	m->jobs++;
	append_post(store_worker_of(s, r->account), a);
}

void queue_deliver_due(struct queued *m)
{
	int64_t now = clock_monotonic_ms();
	bool is_held = schedule_is_held(m); /* from its first moment on: by a milter, or with its sender */
	for (uint32_t i = 0; i < m->recipient_count && !is_held; i++) {
		struct recipient *r = &m->recipients[i];
		if (r->account && r->state == RECIPIENT_WAITING && r->next_ms <= now)
			append_to(m, i);
	}
	if (m->message) {
		accepted_release(m->message); /* what is tried later, or elsewhere, is read again */
		m->message = NULL;
	}
	if ((is_held || !schedule_jobs(m, now)) && m->jobs == 0)
		settle(m);
}

/* ---- settling ---- */

static void on_settled(void *context);

static bool all_done(const struct queued *m)
{
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].state != RECIPIENT_DONE || recipient_has_news(&m->recipients[i]))
			return false;
	return true;
}

static void expire(struct queued *m)
{
	int64_t lifetime_ms = (int64_t)child_config(m->queue->store->self)->queue_lifetime_s * 1000;
	if (queued_age_ms(m) < lifetime_ms || m->facts & FACT_HELD)
		return;
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		struct recipient *r = &m->recipients[i];
		if (r->state != RECIPIENT_WAITING || r->attempts == 0)
			continue;
		r->state = RECIPIENT_FAILED;
		/* RFC 3463 §3.5: delivery time expired */
		BUF_AUTO text = {0}, host = {0};
		buf_add_cstr(&text, recipient_text(r));
		buf_add_cstr(&host, recipient_host(r));
		recipient_set_last(r, "4.4.7", buf_span(&text), buf_span(&host));
	}
}

/* A bounce is a message: the disk may have no room for one, or the directory cannot say who its recipient is. The news wait; only for as long
 * as a table takes to answer, if one is asked. */
static void put_off_news(struct queued *m, bool is_asked)
{
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (recipient_has_news(&m->recipients[i]))
			m->recipients[i].next_ms = is_asked ? clock_monotonic_ms() + ASKED_MS : schedule_next(m->queue, m->recipients[i].attempts);
}

/* Once for each message that has waited for delay_warning. */
static struct queued *warn(struct queued *m, struct batch *b)
{
	int64_t after_ms = (int64_t)child_config(m->queue->store->self)->delay_warning_s * 1000;
	if (!after_ms || m->facts & (FACT_WARNED | FACT_HELD) || queued_age_ms(m) < after_ms)
		return NULL;
	struct queued *warning = bounce_make(m->queue->store, m, NEWS_DELAY, b);
	if (warning)
		m->facts |= FACT_WARNED;
	return warning;
}

static void delete_message(const struct queued *m, struct batch *b)
{
	BUF_AUTO key = {0};
	queue_key(&key, 'r', m->id);
	batch_delete(b, QUEUE_PARTITION, buf_span(&key));
	if (!m->is_shared)
		blob_delete(b, m->blob, m->received);
}

/* All that was to be told is told. */
static void forget_news(struct queued *m)
{
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		m->recipients[i].report = REPORT_NONE;
		if (m->recipients[i].state == RECIPIENT_FAILED)
			m->recipients[i].state = RECIPIENT_DONE;
	}
}

struct settlement {
	struct queued *message, *bounce, *report, *warning;
	struct relay_job *ended;
};

/* Writes the message's state after something has changed: bounces what failed, deletes what is over. */
static void settle(struct queued *m)
{
	struct store *s = m->queue->store;
	struct batch b = {.is_durable = true};
	struct settlement *settlement;
	if (m->is_writing) {
		m->is_changed = true;
		return;
	}
	expire(m);
	for (uint32_t i = 0; m->is_removed && i < m->recipient_count; i++)
		if (m->recipients[i].state != RECIPIENT_TRYING) {
			m->recipients[i].state = RECIPIENT_DONE;
			m->recipients[i].report = REPORT_NONE;
		}
	settlement = xcalloc(1, sizeof *settlement);
	settlement->message = m;
	settlement->ended = m->ended;
	m->ended = NULL;
	bool is_asked = false;
	if (engine_has_room(s->engine) && bounce_is_possible(s, m, &is_asked)) {
		settlement->bounce = bounce_make(s, m, NEWS_FAILURE, &b);
		settlement->report = bounce_make(s, m, NEWS_SUCCESS, &b);
		settlement->warning = warn(m, &b);
		forget_news(m);
	} else {
		put_off_news(m, is_asked);
	}
	m->is_over = all_done(m) && m->jobs == 0;
	if (m->is_over)
		delete_message(m, &b);
	else
		put_record(m, &b);
	buf_add(&b.operations, buf_span(&m->events));
	buf_clear(&m->events);
	m->is_writing = true;
	m->is_changed = false;
	schedule_remove(m);
	store_commit(s, &b, on_settled, settlement);
}

static void on_settled(void *context)
{
	struct settlement *settlement = context;
	struct queued *m = settlement->message;
	if (settlement->bounce)
		own_enter(settlement->bounce);
	if (settlement->report)
		own_enter(settlement->report);
	if (settlement->warning)
		own_enter(settlement->warning);
	schedule_settled(m->queue->store, settlement->ended);
	free(settlement);
	m->is_writing = false;
	if (m->is_over) {
		m->queue->count--;
		m->queue->held -= m->facts & FACT_HELD ? 1 : 0;
		map_take(&m->queue->messages, id128_hash(m->id));
		queued_free(m);
	} else if (m->is_changed) {
		settle(m);
	} else {
		schedule_add(m);
	}
}

void queue_settle(struct queued *m)
{
	settle(m);
}

void queue_enter(struct queued *m)
{
	m->queue->count++;
	m->queue->held += m->facts & FACT_HELD ? 1 : 0;
	m->is_new = false;
	if (m->is_released || m->is_removed)
		queue_settle(m); /* its record does not say so yet */
	else
		queue_deliver_due(m);
}

/* ---- starting ---- */

/* Pieces that were staged for messages that no crash let come to their end. */
static void sweep_staged(struct queue *q)
{
	struct engine_scan *scan = engine_scan_open(q->store->engine, QUEUE_PARTITION, SPAN("g"), SPAN("h"));
	struct span key, value;
	struct batch b = {0};
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct id128 blob;
		struct unpacker u = {.rest = span_skip(key, 1)};
		BUF_AUTO memory = {0};
		struct blob_head head;
		unpack_id128(&u, &blob);
		if (blob_head_get(q->store->engine, blob, &memory, &head, NULL) == 0) {
			struct blob_id engine_blob;
			memcpy(engine_blob.bytes, blob.bytes, sizeof blob.bytes);
			for (uint32_t piece = 1; buf_clear(&memory), engine_blob_get(q->store->engine, engine_blob, piece, &memory, NULL) > 0; piece++)
				batch_blob_delete(&b, blob, piece);
		}
		batch_delete(&b, QUEUE_PARTITION, key);
	}
	engine_scan_close(scan);
	if (!batch_is_empty(&b))
		store_commit(q->store, &b, NULL, NULL);
	batch_free(&b);
}

void queue_configure(struct store *s, const struct config *config)
{
	if (s->queue)
		s->queue->relay_host = span_cstr(config->relay_host);
}

struct queue *queue_open(struct store *s)
{
	struct queue *q = xcalloc(1, sizeof *q);
	q->store = s;
	q->has_directory = true;
	s->queue = q;
	queue_configure(s, child_config(s->self));
	schedule_open(q);
	sweep_staged(q);
	asleep_open(q);
	return q;
}

/* ---- questions ---- */

static bool has_key(struct store *s, struct span partition, char letter, struct id128 id)
{
	BUF_AUTO key = {0}, value = {0};
	queue_key(&key, letter, id);
	return engine_get(s->engine, partition, buf_span(&key), &value, NULL) > 0;
}

bool queue_has_delivery(struct store *s, struct id128 delivery)
{
	return has_key(s, QUEUE_PARTITION, 'd', delivery);
}

bool queue_account_has(struct store *s, uint64_t account, struct id128 delivery)
{
	char partition[32];
	snprintf(partition, sizeof partition, "a%016llx", (unsigned long long)account);
	return has_key(s, span_cstr(partition), 'd', delivery);
}

size_t queue_count(const struct store *s)
{
	return s->queue ? s->queue->count : 0;
}

int queue_walk_blobs(struct store *s, void (*each)(void *context, struct id128 blob), void *context)
{
	struct engine_scan *scan = engine_scan_open(s->engine, QUEUE_PARTITION, SPAN("r"), SPAN("s"));
	struct span key, value;
	struct id128 blob;
	bool is_shared, is_damaged = false;
	int more;
	while ((more = engine_scan_next(scan, &key, &value, NULL)) > 0) {
		if (queued_unpack_blob(value, &blob, &is_shared))
			is_damaged = true; /* whatever blob it names must stay */
		else if (is_shared)
			each(context, blob);
	}
	engine_scan_close(scan);
	return is_damaged ? -1 : more;
}
