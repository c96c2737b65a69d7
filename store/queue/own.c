#include "store/queue/own.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "store/queue/message.h"
#include "store/queue/schedule.h"
#include "store/sign.h"
#include "store/trace.h"

void own_address(struct store *s, struct buf *out)
{
	const struct config *config = child_config(s->self);
	if (config->postmaster[0])
		buf_add_cstr(out, config->postmaster);
	else
		buf_printf(out, "postmaster@%s", child_hostname(s->self));
}

struct queued *own_put(struct store *s, struct own_message *own, const struct targets *targets, struct batch *b)
{
	struct accepted *message = accepted_new(own->id);
	message->head_memory = own->text;
	own->text = (struct buf){0};
	struct span text = buf_span(&message->head_memory);
	message->blob = own->id;
	blob_put_message(b, own->id, text, &message->head);
	message->size = (uint32_t)text.len;
	struct trace_record t = {.time_ms = clock_wall_ms(), .kind = DELIVERY_SMTP, .size = message->size, .client = span_cstr(own->maker), .recipients = own->to};
	trace_pack(&message->trace, &t);
	unsigned facts = own->facts | (utf8_has_8bit(text) ? FACT_8BIT : 0);
	struct queue_message q = {
		.delivery = own->id, .message = message, .reverse_path = SPAN(""), .facts = (uint16_t)facts, .priority = own->priority};
	return queue_put_new(s, &q, targets, b);
}

/* ---- the signature ---- */

/* The message is on the disk already: a crash lets it leave as it is, which is better than not at all. */
static void insert_fields(struct queued *m, struct span fields)
{
	struct buf whole = {0}, *old = &m->message->head_memory;
	buf_add(&whole, span_slice(buf_span(old), 0, m->return_path_bytes));
	buf_add(&whole, fields);
	buf_add(&whole, span_skip(buf_span(old), m->return_path_bytes));
	buf_free(old);
	*old = whole;
}

static void on_rewritten(void *context)
{
	queue_enter(context);
}

static void on_signed(void *context, struct span fields, bool is_lost)
{
	struct queued *m = context;
	struct batch b = {.is_durable = true};
	(void)is_lost;
	if (!fields.len) {
		queue_enter(m);
		return;
	}
	insert_fields(m, fields);
	blob_put_message(&b, m->blob, buf_span(&m->message->head_memory), &m->message->head);
	m->message->size = (uint32_t)m->message->head_memory.len;
	queue_rewrite(m, &b);
	store_commit(m->queue->store, &b, on_rewritten, m);
}

static bool leaves(const struct queued *m)
{
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (!m->recipients[i].account)
			return true;
	return false;
}

void own_enter(struct queued *m)
{
	struct store *s = m->queue->store;
	BUF_AUTO author = {0};
	struct span message = span_skip(buf_span(&m->message->head_memory), m->return_path_bytes);
	own_address(s, &author);
	if (leaves(m) && message.len <= SIGN_BYTES_MOST)
		sign_own(s, span_skip(buf_span(&author), (size_t)(span_rchr(buf_span(&author), '@') + 1)), message, on_signed, m);
	else
		queue_enter(m);
}

static void on_written(void *context)
{
	own_enter(context);
}

void own_send(struct store *s, struct own_message *own, const struct targets *targets)
{
	struct batch b = {0};
	struct queued *m = own_put(s, own, targets, &b);
	store_commit(s, &b, on_written, m);
}
