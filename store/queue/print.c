/* The queue as a person sees it and changes it: `carteiro queue list|show|retry|remove`. */
#include "base/clock.h"
#include "store/queue/asleep.h"
#include "store/queue/message.h"

#include <stdlib.h>

enum { LIST_BYTES_MOST = 8 * 1024 * 1024 };

static void add_safe(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_add_char(out, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static void print_recipient(const struct recipient *r, struct buf *out)
{
	static const char *states[] = {"waiting", "trying", "done", "failed"};
	buf_add_cstr(out, "    ");
	add_safe(out, r->address);
	if (recipient_program(r).len) { /* which is no terminal's to obey: wire/program.h lets no control character in */
		struct span program = recipient_program(r);
		buf_printf(out, " |%.*s", SPAN_ARG(span_skip(program, (size_t)span_chr(program, ':') + 1)));
	}
	buf_printf(out, " %s attempts=%u", states[r->state], r->attempts);
	if (r->state == RECIPIENT_WAITING && r->next_ms) {
		int64_t in = (r->next_ms - clock_monotonic_ms()) / 1000;
		buf_printf(out, " next-in=%llds", (long long)(in < 0 ? 0 : in));
	}
	if (r->last) {
		buf_add_cstr(out, " last: ");
		add_safe(out, recipient_host(r));
		buf_add_char(out, ' ');
		add_safe(out, recipient_text(r));
	}
	buf_add_char(out, '\n');
}

static void print_message(const struct queued *m, struct buf *out)
{
	char id[ID128_TEXT_BYTES + 1];
	id128_text(m->id, id);
	buf_printf(out, "%s size=%llu age=%llds from=<", id, (unsigned long long)m->size,
	           (long long)((clock_monotonic_ms() - m->created_ms) / 1000));
	add_safe(out, m->reverse_path);
	buf_add_char(out, '>');
	if (m->priority != PRIORITY_NORMAL)
		buf_printf(out, " priority=%d", m->priority - PRIORITY_NORMAL);
	buf_add_cstr(out, m->facts & FACT_HELD ? " held\n" : "\n");
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].state != RECIPIENT_DONE)
			print_recipient(&m->recipients[i], out);
}

/* Read for a look only: what is asleep stays so. */
static bool look(struct queue *q, struct id128 id, void (*see)(const struct queued *m, struct buf *out), struct buf *out)
{
	bool was_asleep = !map_get(&q->messages, id128_hash(id));
	struct queued *m = asleep_wake(q, id, NULL);
	if (m)
		see(m, out);
	if (m && was_asleep)
		asleep_put(m);
	return m;
}

struct list {
	struct queue *queue;
	struct buf *out;
};

static bool print_one(void *context, struct id128 id)
{
	struct list *l = context;
	look(l->queue, id, print_message, l->out);
	return l->out->len < LIST_BYTES_MOST;
}

void queue_print(struct store *s, struct buf *out)
{
	struct list l = {s->queue, out};
	asleep_walk(s->queue, print_one, &l);
	buf_printf(out, "%zu message%s in the queue\n", s->queue->count, s->queue->count == 1 ? "" : "s");
}

static void show(const struct queued *m, struct buf *out)
{
	BUF_AUTO header = {0};
	print_message(m, out);
	blob_read(m->queue->store->engine, m->blob, 0, 65536, &header, NULL);
	ssize_t end = span_find(buf_span(&header), SPAN("\r\n\r\n"));
	struct span rest = span_slice(buf_span(&header), 0, end >= 0 ? (size_t)end + 2 : header.len);
	for (size_t i = 0; i < rest.len; i++) {
		unsigned char c = (unsigned char)rest.ptr[i];
		if (c != '\r')
			buf_add_char(out, (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : (char)c);
	}
}

int queue_show(struct store *s, struct id128 id, struct buf *out)
{
	return look(s->queue, id, show, out) ? 0 : -1;
}

static bool retry(struct queued *m)
{
	bool is_held = m->facts & FACT_HELD;
	if (!is_held)
		queued_hurry(m);
	schedule_add(m); /* which may put it to sleep */
	return !is_held;
}

/* One that is named, also where its sender wanted it held (RFC 4865): an administrator knows why. */
static bool retry_now(struct queued *m)
{
	if (queued_age_ms(m) < 0)
		m->hold_ms = 0;
	return retry(m);
}

static bool hold(struct queued *m)
{
	m->queue->held += !(m->facts & FACT_HELD);
	m->facts |= FACT_HELD;
	queue_settle(m);
	return true;
}

/* Its lifetime may have passed meanwhile: as one that was never tried, it does not end before it is. */
static bool release(struct queued *m)
{
	m->queue->held -= m->facts & FACT_HELD ? 1 : 0;
	m->facts &= (uint16_t)~FACT_HELD;
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].state == RECIPIENT_WAITING)
			m->recipients[i].attempts = 0;
	queued_hurry(m);
	queue_settle(m);
	return true;
}

static bool remove_it(struct queued *m)
{
	/* what a relay has in its hands cannot be taken back: that attempt is its last */
	m->is_removed = true;
	queue_settle(m);
	return true;
}

struct all {
	struct queue *queue;
	bool (*act)(struct queued *m);
	size_t count;
};

static bool act_on_one(void *context, struct id128 id)
{
	struct all *a = context;
	struct queued *m = asleep_wake(a->queue, id, NULL);
	a->count += m && a->act(m);
	return true;
}

/* One message, or all; how many of them it was done to. */
static size_t for_some(struct store *s, const struct id128 *id, bool (*act)(struct queued *m))
{
	struct all a = {.queue = s->queue, .act = act};
	if (id)
		act_on_one(&a, *id);
	else
		asleep_walk(s->queue, act_on_one, &a);
	return a.count;
}

size_t queue_retry(struct store *s, const struct id128 *id)
{
	size_t at = 0;
	struct queued *m;
	if (id)
		return for_some(s, id, retry_now);
	asleep_hurry(s->queue); /* those that are asleep stay so until it is their turn */
	schedule_set_timer(s->queue);
	while ((m = map_next(&s->queue->messages, &at)))
		if (!m->is_new)
			retry(m);
	return s->queue->count - s->queue->held;
}

size_t queue_hold(struct store *s, const struct id128 *id)
{
	return for_some(s, id, hold);
}

size_t queue_release(struct store *s, const struct id128 *id)
{
	return for_some(s, id, release);
}

int queue_remove(struct store *s, struct id128 id)
{
	return for_some(s, &id, remove_it) ? 0 : -1;
}

static bool release_if_held(struct queued *m)
{
	if (m->facts & FACT_HELD)
		return release(m);
	schedule_add(m);
	return false;
}

/* What is being accepted is not to be had yet: it notes what is to become of it. */
static bool note_release(struct queued *m)
{
	bool was_held = m->facts & FACT_HELD;
	m->facts &= (uint16_t)~FACT_HELD;
	m->is_released |= was_held;
	return was_held;
}

static bool note_removal(struct queued *m)
{
	m->is_removed = true;
	return true;
}

static size_t for_sender(struct store *s, uint64_t account, bool (*act)(struct queued *m), bool (*note)(struct queued *m))
{
	struct all a = {.queue = s->queue, .act = act};
	struct queued *m;
	for (size_t at = 0; (m = map_next(&s->queue->messages, &at));)
		if (m->is_new && m->submitter == account)
			a.count += note(m);
	asleep_walk_sent_by(s->queue, account, act_on_one, &a);
	return a.count;
}

size_t queue_release_sent_by(struct store *s, uint64_t account)
{
	return for_sender(s, account, release_if_held, note_release);
}

size_t queue_remove_sent_by(struct store *s, uint64_t account)
{
	return for_sender(s, account, remove_it, note_removal);
}
