#include "store/queue/own.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "store/queue/message.h"
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

static void on_written(void *context)
{
	queue_enter(context);
}

void own_send(struct store *s, struct own_message *own, const struct targets *targets)
{
	struct batch b = {0};
	struct queued *m = own_put(s, own, targets, &b);
	store_commit(s, &b, on_written, m);
}
