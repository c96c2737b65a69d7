#include "filter/vault.h"

#include "base/die.h"

struct filter_vault {
	struct filter_process *filter;
	struct channel *channel;
	struct map waiting; /* questions, by number */
	uint64_t last;
};

static void finish(struct vault_question *q)
{
	q->number = 0;
	q->done(q->context);
}

static void on_answer(void *context, const struct msg_signed_fields *m)
{
	struct filter_vault *v = context;
	struct vault_question *q = map_take(&v->waiting, m->id);
	if (!q)
		return; /* the message has gone */
	buf_add(&q->fields, m->fields);
	finish(q);
}

static const struct vault_to_filter handlers = {.signed_fields = on_answer};

static void on_closed(void *context, bool is_violation)
{
	struct filter_vault *v = context;
	size_t at = 0;
	struct vault_question *q;
	if (is_violation)
		child_report_violation(v->filter->self, ROLE_VAULT, 0);
	channel_free(v->channel);
	v->channel = NULL;
	while ((q = map_next(&v->waiting, &at))) {
		map_take(&v->waiting, q->number);
		q->is_lost = true;
		finish(q);
	}
}

struct filter_vault *filter_vault_new(struct filter_process *f)
{
	struct filter_vault *v = xcalloc(1, sizeof *v);
	v->filter = f;
	return v;
}

void filter_vault_attach(struct filter_vault *v, int fd)
{
	struct channel_use use = {vault_to_filter_dispatch, &handlers, v, on_closed, "vault"};
	if (v->channel)
		on_closed(v, false); /* its end is not heard of yet */
	v->channel = channel_new(v->filter->loop, fd, &use);
}

struct channel *vault_question_begin(struct vault_question *q, struct filter_vault *v, loop_fn *done, void *context)
{
	q->vault = v;
	q->is_lost = !v->channel;
	q->done = done;
	q->context = context;
	if (!v->channel)
		return NULL;
	q->number = ++v->last;
	map_put(&v->waiting, q->number, q);
	return v->channel;
}

void vault_question_free(struct vault_question *q)
{
	if (q->number)
		map_take(&q->vault->waiting, q->number);
	buf_free(&q->fields);
	*q = (struct vault_question){0};
}
