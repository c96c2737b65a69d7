/* The channel to milter, and one message's part of it: see milter.h. */
#include "filter/milter.h"

#include "base/die.h"
#include "base/pack.h"

#include <stdlib.h>

enum { FIELDS_BYTES = 65536 }; /* so many are sent together */

struct filter_milter {
	struct filter_process *filter;
	struct channel *channel;
	struct map asked; /* by id128_hash */
};

struct asking {
	struct filter_milter *milter;
	struct id128 id;
	loop_fn *credit, *answered;
	void *context;
	struct later later;         /* where it is answered at once */
	bool is_open, has_client, has_said;
	uint64_t body_size;
	struct buf fields;
	struct milter_said said;
};

static void finish(struct asking *a)
{
	a->is_open = false;
	a->has_said = true;
	a->answered(a->context);
}

static void lose(void *context)
{
	struct asking *a = context;
	a->said.outcome = VERDICT_LATER;
	buf_add_cstr(&a->said.text, "451 4.3.0 Cannot be looked at now, try again later");
	finish(a);
}

static struct asking *find(struct filter_milter *fm, struct id128 id)
{
	struct asking *a = map_get(&fm->asked, id128_hash(id));
	return a && id128_equal(a->id, id) ? a : NULL;
}

static void on_credit(void *context, const struct msg_milter_credit *m)
{
	struct filter_milter *fm = context;
	struct asking *a = find(fm, m->delivery);
	if (a && m->pieces > DELIVERY_AHEAD_MOST) {
		channel_violation(fm->channel, "milter_credit");
		return;
	}
	for (uint32_t i = 0; a && i < m->pieces; i++)
		a->credit(a->context);
}

static void on_answer(void *context, const struct msg_milter_answer *m)
{
	struct filter_milter *fm = context;
	struct asking *a = find(fm, m->delivery);
	if (!a)
		return; /* the message has gone */
	map_take(&fm->asked, id128_hash(a->id));
	struct milter_said *s = &a->said;
	*s = (struct milter_said){.outcome = m->outcome, .is_held = m->is_held, .has_sender = m->has_sender, .came = m->came};
	buf_add(&s->text, m->text);
	buf_add(&s->sender, m->sender);
	buf_add(&s->rcpt_added, m->rcpt_added);
	buf_add(&s->rcpt_removed, m->rcpt_removed);
	buf_add(&s->above, m->above);
	buf_add(&s->behind, m->behind);
	buf_add(&s->removed, m->removed);
	finish(a);
}

static const struct milter_to_filter handlers = {.milter_credit = on_credit, .milter_answer = on_answer};

static void on_closed(void *context, bool is_violation)
{
	struct filter_milter *fm = context;
	size_t at = 0;
	struct asking *a;
	if (is_violation)
		child_report_violation(fm->filter->self, ROLE_MILTER, 0);
	channel_free(fm->channel);
	fm->channel = NULL;
	while ((a = map_next(&fm->asked, &at))) {
		map_take(&fm->asked, id128_hash(a->id));
		lose(a);
	}
}

struct filter_milter *filter_milter_new(struct filter_process *f)
{
	struct filter_milter *fm = xcalloc(1, sizeof *fm);
	fm->filter = f;
	return fm;
}

void filter_milter_attach(struct filter_milter *fm, int fd)
{
	struct channel_use use = {milter_to_filter_dispatch, &handlers, fm, on_closed, "milter"};
	if (fm->channel)
		on_closed(fm, false); /* its end is not heard of yet */
	fm->channel = channel_new(fm->filter->loop, fd, &use);
	channel_set_epoch(fm->channel, child_epoch(fm->filter->self));
}

/* ---- one message ---- */

struct asking *asking_new(struct filter_process *f, const struct msg_judge_begin *b, loop_fn *credit, loop_fn *answered, void *context)
{
	struct filter_milter *fm = f->milter;
	struct asking *a = xcalloc(1, sizeof *a);
	*a = (struct asking){.milter = fm, .id = b->delivery, .credit = credit, .answered = answered, .context = context, .later = {.fn = lose, .context = a},
	                     .is_open = fm->channel != NULL};
	if (!fm->channel) {
		loop_later(f->loop, &a->later);
		return a;
	}
	map_put(&fm->asked, id128_hash(a->id), a);
	channel_send(fm->channel, milter_begin, .delivery = b->delivery, .kind = b->kind, .facts = b->facts, .reverse_path = b->reverse_path,
	             .client_address = b->client_address, .helo = b->helo, .tls = b->tls, .user = b->user, .recipients = b->recipients);
	return a;
}

bool asking_is_open(const struct asking *a)
{
	return a->is_open;
}

void asking_recipient(struct asking *a, struct span address)
{
	if (a->is_open)
		channel_send(a->milter->channel, milter_rcpt, .delivery = a->id, .address = address);
}

void asking_client(struct asking *a, struct span name)
{
	if (a->is_open && !a->has_client)
		channel_send(a->milter->channel, milter_client, .delivery = a->id, .name = span_slice(name, 0, 255));
	a->has_client = true;
}

static void send_fields(struct asking *a, bool is_last)
{
	if (a->is_open)
		channel_send(a->milter->channel, milter_fields, .delivery = a->id, .fields = buf_span(&a->fields), .is_last = is_last);
	buf_clear(&a->fields);
}

void asking_field(struct asking *a, struct span whole)
{
	pack_bytes(&a->fields, whole);
	if (a->fields.len >= FIELDS_BYTES)
		send_fields(a, false);
}

void asking_header_end(struct asking *a)
{
	send_fields(a, true);
	buf_free(&a->fields);
}

void asking_body(struct asking *a, struct span piece)
{
	a->body_size += piece.len;
	if (a->is_open)
		channel_send(a->milter->channel, milter_piece, .delivery = a->id, .bytes = piece);
}

void asking_end(struct asking *a)
{
	if (a->is_open)
		channel_send(a->milter->channel, milter_end, .delivery = a->id, .size = a->body_size);
}

const struct milter_said *asking_said(const struct asking *a)
{
	return a->has_said ? &a->said : NULL;
}

void asking_free(struct asking *a)
{
	if (!a)
		return;
	if (a->is_open) {
		map_take(&a->milter->asked, id128_hash(a->id));
		channel_send(a->milter->channel, milter_cancel, .delivery = a->id);
	}
	loop_later_cancel(a->milter->filter->loop, &a->later);
	struct milter_said *s = &a->said;
	struct buf *bufs[] = {&a->fields, &s->text, &s->sender, &s->rcpt_added, &s->rcpt_removed, &s->above, &s->behind, &s->removed};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	free(a);
}
