#include "store/queue/asleep.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"

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
	if (m)
		map_put(&q->messages, id128_hash(id), m);
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

void asleep_open(struct queue *q)
{
	struct engine_scan *scan = engine_scan_open(q->store->engine, QUEUE_PARTITION, SPAN("r"), SPAN("s"));
	struct span value;
	struct id128 id;
	int64_t now_ms = clock_monotonic_ms();
	while (next_record(scan, &id, &value)) {
		struct queued *m = read_record(q, id, value);
		if (!m)
			continue;
		q->count++;
		q->held += m->facts & FACT_HELD ? 1 : 0;
		struct due d = {.at_ms = schedule_due_ms(m), .id = id};
		bool is_parked = d.at_ms <= now_ms && schedule_park(m, now_ms);
		if (d.at_ms != INT64_MAX && !is_parked)
			due_put(&q->due, &d);
		queued_free(m);
	}
	engine_scan_close(scan);
	schedule_set_timer(q);
	schedule_feed(q);
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
