/* Questions to resolve, by their numbers. */
#include "filter/dns.h"

#include "base/die.h"
#include "ipc/words.h"

#include <stdlib.h>

struct filter_dns {
	struct dns_client client; /* first: what a check knows of us */
	struct filter_process *filter;
	struct channel *resolve;
	struct map questions;     /* under way, by number */
	uint64_t last;
};

struct dns_question {
	struct filter_dns *dns;
	uint64_t number;          /* 0: could not be asked, and says so in the loop's next turn */
	struct later later;
	dns_done_fn *done;
	void *context;
};

static void finish(struct dns_question *q, const struct dns_answer *answer)
{
	dns_done_fn *done = q->done;
	void *context = q->context;
	free(q);
	done(context, answer);
}

static void fail(void *context)
{
	struct dns_answer answer = {.outcome = DNS_LATER, .text = SPAN("the DNS cannot be asked now")};
	finish(context, &answer);
}

static struct dns_question *ask(struct dns_client *c, enum dns_type type, struct span name, dns_done_fn *done, void *context)
{
	struct filter_dns *d = (struct filter_dns *)c;
	struct dns_question *q = xcalloc(1, sizeof *q);
	*q = (struct dns_question){.dns = d, .done = done, .context = context, .later = {.fn = fail, .context = q}};
	if (!d->resolve) {
		loop_later(d->filter->loop, &q->later);
		return q;
	}
	q->number = ++d->last;
	map_put(&d->questions, q->number, q);
	channel_send(d->resolve, dns_ask, .id = q->number, .type = (uint16_t)type, .name = span_slice(name, 0, 255));
	return q;
}

static void cancel(struct dns_client *c, struct dns_question *q)
{
	struct filter_dns *d = (struct filter_dns *)c;
	if (q->number)
		map_take(&d->questions, q->number);
	else
		loop_later_cancel(d->filter->loop, &q->later);
	free(q);
}

static void on_answer(void *context, const struct msg_dns_answer *m)
{
	struct filter_dns *d = context;
	ARENA_AUTO a = {0};
	struct span *records;
	ssize_t count = words_unpack(m->records, &a, &records);
	struct dns_question *q = map_take(&d->questions, m->id);
	if (count < 0 || count > DNS_RECORDS_MOST) {
		channel_violation(d->resolve, "dns_answer");
		count = 0;
	}
	if (!q)
		return; /* cancelled meanwhile */
	struct dns_answer answer = {.outcome = m->outcome, .is_secure = m->is_secure, .records = records, .count = (size_t)count, .text = m->text};
	finish(q, &answer);
}

static const struct resolve_to_filter handlers = {.dns_answer = on_answer};

static void on_closed(void *context, bool is_violation)
{
	struct filter_dns *d = context;
	size_t at = 0;
	struct dns_question *q;
	if (is_violation)
		child_report_violation(d->filter->self, ROLE_RESOLVE, 0);
	channel_free(d->resolve);
	d->resolve = NULL;
	while ((q = map_next(&d->questions, &at))) {
		map_take(&d->questions, q->number);
		q->number = 0;
		loop_later(d->filter->loop, &q->later);
	}
}

struct filter_dns *filter_dns_new(struct filter_process *f)
{
	struct filter_dns *d = xcalloc(1, sizeof *d);
	*d = (struct filter_dns){.client = {ask, cancel}, .filter = f};
	return d;
}

void filter_dns_attach(struct filter_dns *d, int fd)
{
	struct channel_use use = {resolve_to_filter_dispatch, &handlers, d, on_closed, "resolve"};
	if (d->resolve)
		on_closed(d, false); /* its end is not heard of yet */
	d->resolve = channel_new(d->filter->loop, fd, &use);
	channel_set_epoch(d->resolve, child_epoch(d->filter->self));
}

struct dns_client *filter_dns_client(struct filter_dns *d)
{
	return &d->client;
}
