#include "filter/own.h"

#include "base/die.h"
#include "filter/sign.h"

#include <stdlib.h>

struct own_message {
	struct filter_process *filter;
	struct own_message *next, *before;
	uint64_t id;
	struct signing *signing;
};

static void free_message(struct own_message *o)
{
	if (o->next)
		o->next->before = o->before;
	*(o->before ? &o->before->next : &o->filter->own) = o->next;
	signing_free(o->signing);
	free(o);
}

static void on_signed(void *context)
{
	struct own_message *o = context;
	channel_send(o->filter->store, own_answer, .id = o->id, .is_lost = signing_is_lost(o->signing), .fields = signing_fields(o->signing));
	free_message(o);
}

void own_ask(struct filter_process *f, const struct msg_own_ask *m)
{
	struct own_message *o = xcalloc(1, sizeof *o);
	ssize_t blank = span_find(m->message, SPAN("\r\n\r\n"));
	size_t header_bytes = blank < 0 ? m->message.len : (size_t)blank + 2;
	*o = (struct own_message){.filter = f, .next = f->own, .id = m->id, .signing = signing_new(f)};
	if (o->next)
		o->next->before = o;
	f->own = o;
	signing_body(o->signing, span_skip(m->message, header_bytes + 2));
	signing_end(o->signing, span_slice(m->message, 0, header_bytes), m->domain, on_signed, o);
}

void own_store_gone(struct filter_process *f)
{
	while (f->own)
		free_message(f->own);
}
