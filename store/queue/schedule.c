/* Due times in a heap, and jobs for relay: one a message and domain. */
#include "store/queue/schedule.h"

#include "base/checked.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/random.h"
#include "store/habit.h"
#include "store/queue/asleep.h"
#include "store/queue/leg.h"
#include "store/trace.h"
#include "wire/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	AWAKE_MS = 60 * 1000,   /* what is due within that stays in memory */
	AT_ONCE = 200,          /* messages: then other work has its turn */
	AT_ONCE_BESIDE = 20,    /* the same while relay is at work: waking what is due must not slow down what is ready */
	PAUSE_MS = 5,
	READY_MOST = 50000,     /* jobs that wait for relay: more messages are left asleep until some of these are done */
	LOOK_AGAIN_MS = 1000,
	UNREAD_MS = 60 * 1000,  /* until what could not be read is read again */
};

/* ---- when ---- */

void schedule_set_timer(struct queue *q)
{
	if (!q->due.count)
		return;
	int64_t in = q->due.list[0].at_ms - clock_monotonic_ms();
	timer_set(q->timer, q->domains.ready_count >= READY_MOST ? LOOK_AGAIN_MS : in < 0 ? 0 : in);
}

void schedule_remove(struct queued *m)
{
	if (m->due_at)
		due_take(&m->queue->due, m->due_at - 1);
}

int64_t schedule_due_ms(const struct queued *m)
{
	int64_t due = INT64_MAX;
	for (uint32_t i = 0; i < m->recipient_count && !(m->facts & FACT_HELD); i++) {
		const struct recipient *r = &m->recipients[i];
		if ((r->state == RECIPIENT_WAITING || recipient_has_news(r)) && r->next_ms < due)
			due = r->next_ms;
	}
	return due;
}

/* Its record is written, and nobody has it in his hands. */
static bool may_sleep(const struct queued *m)
{
	return !m->jobs && !m->is_writing && !m->is_changed && !m->message && !m->ended && !m->events.len && !m->is_removed &&
	       !m->is_new && map_get(&m->queue->messages, id128_hash(m->id)) == m;
}

void schedule_add(struct queued *m)
{
	struct queue *q = m->queue;
	struct due d = {.at_ms = schedule_due_ms(m), .id = m->id, .message = m};
	schedule_remove(m);
	if (d.at_ms > clock_monotonic_ms() + AWAKE_MS && may_sleep(m)) {
		d.message = NULL;
		asleep_put(m);
	}
	if (d.at_ms == INT64_MAX)
		return;
	due_put(&q->due, &d);
	schedule_set_timer(q);
}

static void begin(struct queue *q, const struct due *d)
{
	bool was_asleep = !d->message, is_unread = false;
	struct queued *m = was_asleep ? asleep_wake(q, d->id, &is_unread) : d->message;
	if (is_unread) {
		struct due later = {.at_ms = clock_monotonic_ms() + UNREAD_MS, .id = d->id, .is_hurried = d->is_hurried};
		due_put(&q->due, &later);
		schedule_set_timer(q);
	}
	if (!m || (was_asleep && (m->due_at || m->jobs || m->is_writing)))
		return; /* it has gone, or was woken before: then it has a time of its own, or gets one */
	if (d->is_hurried)
		queued_hurry(m);
	if (was_asleep && schedule_due_ms(m) > clock_monotonic_ms())
		schedule_add(m); /* held, or put off, since its time was noted */
	else
		queue_deliver_due(m);
}

static void on_timer(void *context)
{
	struct queue *q = context;
	int most = q->jobs.count ? AT_ONCE_BESIDE : AT_ONCE;
	for (int n = 0; n < most && q->due.count && q->due.list[0].at_ms <= clock_monotonic_ms() && q->domains.ready_count < READY_MOST; n++) {
		struct due d = due_take(&q->due, 0);
		begin(q, &d);
	}
	schedule_set_timer(q);
	if (q->jobs.count && q->due.count && q->due.list[0].at_ms <= clock_monotonic_ms())
		timer_set(q->timer, PAUSE_MS);
}

int64_t schedule_next(struct queue *q, uint32_t attempts)
{
	const struct config *config = child_config(q->store->self);
	int64_t pause = (int64_t)config->retry_first_s * 1000, most = (int64_t)config->retry_most_s * 1000;
	for (uint32_t i = 1; i < attempts && pause < most; i++)
		pause *= 2;
	if (pause > most)
		pause = most;
	/* a tenth earlier or later (schedule_wait_most), so that what failed together does not come back together */
	return clock_monotonic_ms() + pause - pause / 10 + (int64_t)random_below((uint64_t)pause / 5 + 1);
}

int64_t schedule_wait_most(const struct queue *q)
{
	int64_t most = (int64_t)child_config(q->store->self)->retry_most_s * 1000;
	return most + most / 10;
}

/* ---- jobs ---- */

static struct span via_of(const struct recipient *r)
{
	return span_cstr(r->via ? r->via : "");
}

/* Those among whom a job, or what is parked for its next hop, waits. */
static struct domains *domains_of(struct queue *q, enum route route)
{
	return route == ROUTE_PROGRAM ? &q->programs : &q->domains;
}

static void send_job(struct store_peer *relay, struct relay_job *j)
{
	struct queue *q = relay->store->queue;
	struct queued *m = j->message;
	BUF_AUTO sender = {0};
	struct span program = recipient_program(&m->recipients[j->recipients[0]]);
	directory_forward_sender(q->store, span_cstr(m->reverse_path), program.len ? SPAN("") : via_of(&m->recipients[j->recipients[0]]), &sender);
	j->relay = relay->id;
	map_put(&q->jobs, j->number, j);
	relay->slots--;
	channel_send(relay->channel, job, .job = j->number, .delivery = m->id, .reverse_path = buf_span(&sender),
	             .next_hop = span_slice(span_cstr(j->domain->name), 0, 255), .route = j->route, .tls = j->tls, .program = program, .size = m->size - m->return_path_bytes,
	             .facts = m->facts & FACTS_OF_MESSAGE, .ret = m->ret, .envid = span_cstr(m->envid ? m->envid : ""),
	             .priority = m->priority);
	for (uint32_t i = 0; i < j->count; i++) {
		const struct recipient *r = &m->recipients[j->recipients[i]];
		channel_send(relay->channel, job_rcpt, .job = j->number, .index = j->recipients[i], .address = span_cstr(r->address),
		             .notify = r->notify, .orcpt = span_cstr(r->orcpt ? r->orcpt : ""));
	}
	channel_send(relay->channel, job_start, .job = j->number);
}

static void finish(struct relay_job *j)
{
	struct queued *m = j->message;
	m->jobs--;
	j->next = m->ended;
	m->ended = j;
	queue_settle(m);
}

/* No relay has heard of it: its recipients wait as before. */
static void withdraw(struct queue *q, struct relay_job *j)
{
	for (uint32_t i = 0; i < j->count; i++)
		j->message->recipients[j->recipients[i]].state = RECIPIENT_WAITING;
	domains_end_job(domains_of(q, j->route), j);
	finish(j);
}

void schedule_feed(struct queue *q)
{
	if (domains_are_hungry(&q->domains) || domains_are_hungry(&q->programs))
		loop_later(q->store->loop, &q->feeding);
}

bool schedule_is_held(struct queued *m)
{
	if (!(m->facts & FACT_HELD) && habit_is_held(m->queue->store, m->submitter)) {
		m->facts |= FACT_HELD;
		m->queue->held++;
	}
	return m->facts & FACT_HELD;
}

static void hand_to(struct queue *q, struct store_peer *peer, struct domains *d)
{
	struct relay_job *j;
	while (peer && peer->slots && (j = domains_take_job(d))) {
		if (j->message->is_removed || schedule_is_held(j->message))
			withdraw(q, j); /* while it waited for its turn */
		else
			send_job(peer, j);
	}
}

static void hand_out(struct queue *q)
{
	hand_to(q, store_peer_by_role(q->store, ROLE_RELAY, 0), &q->domains);
	hand_to(q, store_peer_by_role(q->store, ROLE_PIPE, 0), &q->programs);
	schedule_feed(q);
}

/* Domains whose jobs have become few get some of what was parked. */
static void feed(void *context)
{
	struct queue *q = context;
	struct id128 id;
	for (int n = 0; n < AT_ONCE && (domains_unpark(&q->domains, &id) || domains_unpark(&q->programs, &id)); n++) {
		struct due d = {.id = id, .is_hurried = true}; /* it was due when it was parked */
		begin(q, &d);
	}
	schedule_feed(q);
}

static struct relay_job *new_job(struct queued *m, const struct leg *leg, size_t room)
{
	struct queue *q = m->queue;
	struct relay_job *j = xcalloc(1, sizeof *j);
	j->number = ++q->last_job;
	j->message = m;
	j->recipients = xcalloc(room, sizeof *j->recipients);
	j->route = (uint8_t)leg->route;
	j->tls = (uint8_t)leg->tls;
	domains_add_job(domains_of(q, leg->route), leg->next_hop, j);
	m->jobs++;
	return j;
}

static int by_transaction(const struct leg *a, const struct leg *b)
{
	int order = (a->next_hop.len > b->next_hop.len) - (a->next_hop.len < b->next_hop.len);
	if (!order && a->next_hop.len)
		order = strncasecmp(a->next_hop.ptr, b->next_hop.ptr, a->next_hop.len);
	if (!order)
		order = (a->route > b->route) - (a->route < b->route);
	if (!order)
		order = (a->tls > b->tls) - (a->tls < b->tls);
	if (!order && a->route == ROUTE_PROGRAM) /* which has one recipient */
		order = (a->index > b->index) - (a->index < b->index);
	return order ? order : span_compare(a->via, b->via);
}

static int by_transaction_and_index(const void *a, const void *b)
{
	const struct leg *x = a, *y = b;
	int order = by_transaction(x, y);
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static bool is_one_transaction(const struct leg *due, size_t count)
{
	return count <= JOB_RECIPIENTS_MOST && by_transaction(&due[0], &due[count - 1]) == 0;
}

/* Whoever elsewhere is due, sorted into transactions, and allocated in `a`; those whose next hop cannot be told now wait, or have failed. */
static struct leg *find_legs(struct queued *m, int64_t now_ms, struct arena *a, size_t *count)
{
	struct leg *due = arena_alloc_array(a, m->recipient_count, sizeof *due);
	*count = 0;
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		struct recipient *r = &m->recipients[i];
		if (r->account || r->state != RECIPIENT_WAITING || r->next_ms > now_ms)
			continue;
		due[*count] = (struct leg){.via = via_of(r), .index = i};
		*count += leg_find(m, r, a, &due[*count]);
	}
	qsort(due, *count, sizeof *due, by_transaction_and_index);
	return due;
}

bool schedule_park(struct queued *m, int64_t now_ms)
{
	ARENA_AUTO a = {0};
	size_t count;
	const struct leg *due = find_legs(m, now_ms, &a, &count);
	bool is_elsewhere = count && is_one_transaction(due, count);
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		const struct recipient *r = &m->recipients[i];
		is_elsewhere &= !(r->account && r->state == RECIPIENT_WAITING) && !recipient_has_news(r);
	}
	if (is_elsewhere)
		domains_park(domains_of(m->queue, due[0].route), due[0].next_hop, m->submitter, m->id);
	return is_elsewhere;
}

bool schedule_jobs(struct queued *m, int64_t now_ms)
{
	ARENA_AUTO a = {0};
	size_t count;
	const struct leg *due = find_legs(m, now_ms, &a, &count);
	if (!count && leg_is_all_asking(m)) {
		schedule_add(m); /* nothing has changed that would have to be written */
		return true;
	}
	struct domains *d = count ? domains_of(m->queue, due[0].route) : NULL;
	if (count && is_one_transaction(due, count) && may_sleep(m) && domains_are_full(d, due[0].next_hop, m->submitter)) {
		domains_park(d, due[0].next_hop, m->submitter, m->id);
		asleep_put(m);
		return true;
	}
	for (size_t i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count && end - i < JOB_RECIPIENTS_MOST && by_transaction(&due[i], &due[end]) == 0; end++)
			;
		struct relay_job *j = new_job(m, &due[i], end - i);
		for (size_t k = i; k < end; k++) {
			m->recipients[due[k].index].state = RECIPIENT_TRYING;
			j->recipients[j->count++] = due[k].index;
		}
	}
	hand_out(m->queue);
	return false;
}

/* ---- what relay says ---- */

void queue_relay_ready(struct store_peer *relay, uint32_t slots)
{
	relay->slots += slots;
	if (relay->slots > 10000)
		relay->slots = 10000;
	if (relay->store->queue)
		hand_out(relay->store->queue);
}

static struct relay_job *job_of(struct store_peer *relay, uint64_t number)
{
	struct relay_job *j = relay->store->queue ? map_get(&relay->store->queue->jobs, number) : NULL;
	return j && j->relay == relay->id ? j : NULL;
}

int queue_job_read(struct store_peer *relay, const struct msg_job_read *msg)
{
	struct relay_job *j = job_of(relay, msg->job);
	BUF_AUTO bytes = {0};
	struct error why = {0};
	if (!j)
		return 0; /* taken back meanwhile */
	uint64_t offset;
	if (checked_add(msg->offset, (uint64_t)j->message->return_path_bytes, &offset))
		return -1;
	int found = blob_read(relay->store->engine, j->message->blob, offset, msg->length, &bytes, &why);
	if (found < 0)
		log_event(LOG_LEVEL_ERROR, "message-damaged", log_c("why", why.text));
	channel_send(relay->channel, job_piece, .job = msg->job, .offset = msg->offset, .is_there = found > 0, .bytes = buf_span(&bytes));
	return 0;
}

static void note_event(struct queued *m, const struct recipient *r, const char *what)
{
	struct batch b = {0};
	BUF_AUTO text = {0};
	if (recipient_program(r).len)
		buf_printf(&text, "%s %s: %s", r->address, what, recipient_text(r));
	else
		buf_printf(&text, "%s %s: host %s: %s", r->address, what, recipient_host(r), recipient_text(r));
	trace_event(&b, QUEUE_PARTITION, m->id, buf_span(&text));
	buf_add(&m->events, buf_span(&b.operations));
	batch_free(&b);
}

/* RFC 3463 §3.2, RFC 7505 §4.2: no such mailbox, no such system, moved away, no mail at all. 5.1.7 and 5.1.8 are about the sender. */
static bool says_nobody_is_there(const struct msg_job_result *msg)
{
	static const char *const statuses[] = {"5.1.1", "5.1.2", "5.1.6", "5.1.10"};
	for (size_t i = 0; msg->outcome == RELAY_FAILED && i < sizeof statuses / sizeof statuses[0]; i++)
		if (span_equal(msg->status, span_cstr(statuses[i])))
			return true;
	return false;
}

int queue_job_result(struct store_peer *relay, const struct msg_job_result *msg)
{
	static const char *const words[] = {"delivered", "deferred", "failed"};
	struct relay_job *j = job_of(relay, msg->job);
	bool is_of_job = false;
	if (!j)
		return 0;
	struct queued *m = j->message;
	for (uint32_t i = 0; i < j->count; i++)
		is_of_job |= j->recipients[i] == msg->index;
	if (!is_of_job || m->recipients[msg->index].state != RECIPIENT_TRYING)
		return -1;
	struct recipient *r = &m->recipients[msg->index];
	if (msg->code || msg->outcome != RELAY_LATER)
		j->is_answered = true;
	else if (span_starts_with(msg->status, SPAN("4.4."))) /* network and routing: RFC 3463 §3.5 */
		j->is_silent = true;
	char status[17];
	snprintf(status, sizeof status, "%.*s", SPAN_ARG(span_slice(msg->status, 0, 15)));
	recipient_set_last(r, status, msg->text, msg->host);
	r->attempts++;
	switch ((enum relay_outcome)msg->outcome) {
	case RELAY_DELIVERED:
		r->state = RECIPIENT_DONE;
		/* RFC 3461 §5.2.2: who passes it on to a server that sends no reports says so */
		r->report = r->notify & SMTP_NOTIFY_SUCCESS && !msg->has_dsn ? (j->route == ROUTE_PROGRAM ? REPORT_DELIVERED : REPORT_RELAYED) : REPORT_NONE;
		break;
	case RELAY_FAILED: r->state = RECIPIENT_FAILED; break;
	case RELAY_LATER:
		r->state = RECIPIENT_WAITING;
		r->next_ms = schedule_next(m->queue, r->attempts);
		break;
	}
	note_event(m, r, words[msg->outcome]);
	if (j->route == ROUTE_PROGRAM)
		return 0; /* it says nothing about the habits of whoever sent it */
	if (msg->outcome == RELAY_DELIVERED || says_nobody_is_there(msg))
		habit_hears(m->queue->store, m->submitter, msg->outcome == RELAY_FAILED);
	return 0;
}

/* The jobs' domain does not answer: they wait as if they had been tried. `like` is a recipient who was. */
static void put_off(struct queue *q, struct relay_job *jobs, const char *next_hop, const struct recipient *like)
{
	int64_t count = 0;
	for (struct relay_job *j = jobs, *next; j; j = next, count++) {
		next = j->next;
		for (uint32_t i = 0; i < j->count; i++) {
			struct recipient *r = &j->message->recipients[j->recipients[i]];
			r->state = RECIPIENT_WAITING;
			r->next_ms = schedule_next(q, ++r->attempts);
			recipient_set_last(r, recipient_status(like), span_cstr(recipient_text(like)), span_cstr(recipient_host(like)));
			note_event(j->message, r, "put off, as another message found no server");
		}
		finish(j);
	}
	if (count)
		log_event(LOG_LEVEL_INFO, "domain-silent", log_c("domain", next_hop), log_n("put-off", count));
}

/* The job is off the relay's hands; recipients without a result wait again. */
static void end_job(struct relay_job *j)
{
	struct queued *m = j->message;
	struct queue *q = m->queue;
	char next_hop[256];
	snprintf(next_hop, sizeof next_hop, "%s", j->domain->name);
	map_take(&q->jobs, j->number);
	put_off(q, domains_end_job(domains_of(q, j->route), j), next_hop, &m->recipients[j->recipients[0]]);
	for (uint32_t i = 0; i < j->count; i++) {
		struct recipient *r = &m->recipients[j->recipients[i]];
		if (r->state == RECIPIENT_TRYING) {
			/* relay died: that may have been this message's doing, so it counts */
			r->state = RECIPIENT_WAITING;
			r->next_ms = schedule_next(q, ++r->attempts);
		}
	}
	finish(j);
}

void schedule_settled(struct store *s, struct relay_job *ended)
{
	for (struct relay_job *j = ended, *next; j; j = next) {
		struct store_peer *relay = store_peer(s, j->relay);
		next = j->next;
		if (relay)
			channel_send(relay->channel, job_settled, .job = j->number);
		free(j->recipients);
		free(j);
	}
}

int queue_job_done(struct store_peer *relay, const struct msg_job_done *msg)
{
	struct relay_job *j = job_of(relay, msg->job);
	if (j) {
		end_job(j);
		hand_out(relay->store->queue); /* its domain may have one more now */
	}
	return 0;
}

void queue_relay_gone(struct store *s, peer_id relay)
{
	size_t at = 0;
	struct relay_job *j;
	while (s->queue && (j = map_next(&s->queue->jobs, &at)))
		if (j->relay == relay)
			end_job(j);
}

void schedule_open(struct queue *q)
{
	domains_open(&q->domains);
	domains_open(&q->programs);
	q->life = random_u64();
	q->timer = timer_new(q->store->loop, on_timer, q);
	q->feeding = (struct later){.fn = feed, .context = q};
}
