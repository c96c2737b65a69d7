#include "store/queue/asleep.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"

#include <stdlib.h>

enum { READ_AT_ONCE = 1000 }; /* records: then other work has its turn */

static void note_early(struct queue *q, struct queued *m);

static void log_damaged(struct id128 id, const char *why)
{
	char text[ID128_TEXT_BYTES + 1];
	log_event(LOG_LEVEL_ERROR, "queue-record-damaged", log_s("id", id128_text(id, text)), log_c("why", why));
}

static struct queued *read_record(struct queue *q, struct id128 id, struct span value)
{
	struct queued *m = queued_new(q, id);
	if (queued_unpack(m, value, schedule_wait_most(q)) == 0)
		return m;
	log_damaged(id, "it is no record");
	queued_free(m);
	return NULL;
}

struct queued *asleep_wake(struct queue *q, struct id128 id, bool *is_unread)
{
	BUF_AUTO key = {0}, value = {0};
	struct error why = {0};
	struct queued *m = map_get(&q->messages, id128_hash(id));
	if (is_unread)
		*is_unread = false;
	if (m)
		return id128_equal(m->id, id) && !m->is_new ? m : NULL;
	queue_key(&key, 'r', id);
	int found = engine_get(q->store->engine, QUEUE_PARTITION, buf_span(&key), &value, &why);
	if (found < 0)
		log_damaged(id, why.text);
	if (found < 0 && is_unread)
		*is_unread = true;
	m = found > 0 ? read_record(q, id, buf_span(&value)) : NULL;
	if (m) {
		map_put(&q->messages, id128_hash(id), m);
		note_early(q, m);
	}
	return m;
}

void asleep_put(struct queued *m)
{
	map_take(&m->queue->messages, id128_hash(m->id));
	queued_free(m);
}

static bool next_record(struct engine_scan *scan, struct id128 *id, struct span *value)
{
	struct span key;
	struct error why = {0};
	int more = engine_scan_next(scan, &key, value, &why);
	if (more < 0)
		die("store: the queue cannot be read: %s", why.text); /* a queue that is read in part looks like a whole one */
	struct unpacker u = {.rest = more ? span_skip(key, 1) : SPAN("")};
	unpack_id128(&u, id);
	return more;
}

/* ---- at the start ---- */

/* Where a start is in its reading of the queue, in the order of the ids, as it was then. Mail is delivered meanwhile. */
struct reading {
	struct engine_scan *scan;
	struct timer *timer;
	struct id128 last;
	struct map early;     /* those behind it that were woken before they were read, by id128_hash */
	bool is_hurried;      /* `queue retry all` came meanwhile */
};

static void count_in(struct queue *q, const struct queued *m)
{
	q->count++;
	q->held += m->facts & FACT_HELD ? 1 : 0;
}

static void note_early(struct queue *q, struct queued *m)
{
	struct reading *r = q->reading;
	if (!r || memcmp(&m->id, &r->last, sizeof m->id) <= 0 || map_get(&r->early, id128_hash(m->id)))
		return;
	map_put(&r->early, id128_hash(m->id), r);
	count_in(q, m);
}

static void end_reading(struct queue *q)
{
	struct reading *r = q->reading;
	q->reading = NULL;
	engine_scan_close(r->scan);
	timer_free(r->timer);
	map_free(&r->early);
	free(r);
	log_event(LOG_LEVEL_INFO, "queue-opened", log_n("messages", (int64_t)q->count));
}

static void take_in(struct queue *q, struct id128 id, struct span value)
{
	int64_t now_ms = clock_monotonic_ms();
	if (map_get(&q->reading->early, id128_hash(id)))
		return; /* it is known, and this record may be older than what is */
	struct queued *m = read_record(q, id, value);
	if (!m)
		return;
	count_in(q, m);
	struct due d = {.at_ms = schedule_due_ms(m), .id = id, .is_hurried = q->reading->is_hurried};
	if (d.is_hurried && d.at_ms != INT64_MAX)
		d.at_ms = now_ms;
	bool is_parked = d.at_ms <= now_ms && schedule_park(m, now_ms);
	if (d.at_ms != INT64_MAX && !is_parked)
		due_put(&q->due, &d);
	queued_free(m);
}

static void read_some(void *context)
{
	struct queue *q = context;
	struct reading *r = q->reading;
	struct span value;
	struct id128 id;
	int left = READ_AT_ONCE;
	while (left && next_record(r->scan, &id, &value)) {
		take_in(q, id, value);
		r->last = id;
		left--;
	}
	if (left)
		end_reading(q);
	else
		timer_set(r->timer, 0);
	schedule_set_timer(q);
	schedule_feed(q);
}

void asleep_open(struct queue *q)
{
	q->reading = xcalloc(1, sizeof *q->reading);
	q->reading->scan = engine_scan_open(q->store->engine, QUEUE_PARTITION, SPAN("r"), SPAN("s"));
	q->reading->timer = timer_new(q->store->loop, read_some, q);
	read_some(q);
}

void asleep_hurry(struct queue *q)
{
	due_hurry(&q->due);
	if (q->reading)
		q->reading->is_hurried = true;
}

/* ---- all of them ---- */

void asleep_walk_sent_by(struct queue *q, uint64_t submitter, bool (*each)(void *context, struct id128 id), void *context)
{
	struct engine_scan *scan = engine_scan_open(q->store->engine, QUEUE_PARTITION, SPAN("r"), SPAN("s"));
	struct span value;
	struct id128 id;
	while (next_record(scan, &id, &value))
		if (queued_unpack_submitter(value) == submitter && !each(context, id))
			break;
	engine_scan_close(scan);
}

void asleep_walk(struct queue *q, bool (*each)(void *context, struct id128 id), void *context)
{
	struct engine_scan *scan = engine_scan_open(q->store->engine, QUEUE_PARTITION, SPAN("r"), SPAN("s"));
	struct span value;
	struct id128 id;
	while (next_record(scan, &id, &value) && each(context, id))
		;
	engine_scan_close(scan);
}
