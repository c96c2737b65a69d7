#include "resolve/client.h"

#include "base/die.h"
#include "resolve/record.h"

#include <stdio.h>
#include <stdlib.h>

struct lookup_client {
	struct dns_client client; /* first */
	struct loop *loop;
	struct dns *dns;
	bool is_dns_own;
};

struct dns_question {
	struct lookup lookup;
	struct later later;      /* answers come in a turn of their own, whatever the look-up does */
	struct dns_answer answer;
	struct buf values;
	struct span records[DNS_RECORDS_MOST];
	char text[160];
	enum dns_type type;
	struct loop *loop;
	dns_done_fn *done;
	void *context;
};

static void free_question(struct dns_question *q)
{
	lookup_cancel(&q->lookup);
	loop_later_cancel(q->loop, &q->later);
	buf_free(&q->values);
	free(q);
}

static void answer(void *context)
{
	struct dns_question *q = context;
	q->done(q->context, &q->answer);
	free_question(q);
}

static void on_looked_up(void *context, const struct lookup_result *result)
{
	static const enum dns_outcome outcomes[] = {
		[LOOKUP_ANSWER] = DNS_ANSWER, [LOOKUP_NO_NAME] = DNS_NO_NAME, [LOOKUP_LATER] = DNS_LATER};
	struct dns_question *q = context;
	snprintf(q->text, sizeof q->text, "%s", result->text);
	q->answer = (struct dns_answer){.outcome = outcomes[result->outcome], .is_secure = result->is_secure, .records = q->records,
	                                .text = span_cstr(q->text)};
	if (result->outcome == LOOKUP_ANSWER)
		q->answer.count = record_values(result->message, q->type, &q->values, q->records);
	loop_later(q->loop, &q->later);
}

static struct dns_question *ask(struct dns_client *c, enum dns_type type, struct span name, dns_done_fn *done, void *context)
{
	struct lookup_client *d = (struct lookup_client *)c;
	struct dns_question *q = xcalloc(1, sizeof *q);
	char text[256];
	*q = (struct dns_question){.type = type, .loop = d->loop, .done = done, .context = context, .later = {.fn = answer, .context = q}};
	if (!record_is_name(name)) {
		q->answer.outcome = DNS_NO_NAME;
		loop_later(d->loop, &q->later);
		return q;
	}
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(name));
	lookup_start(&q->lookup, d->dns, text, type, on_looked_up, q);
	return q;
}

static void cancel(struct dns_client *c, struct dns_question *q)
{
	(void)c;
	free_question(q);
}

struct dns_client *lookup_client_new(struct loop *l, struct dns *dns)
{
	struct lookup_client *c = xcalloc(1, sizeof *c);
	*c = (struct lookup_client){.client = {ask, cancel}, .loop = l, .dns = dns};
	return &c->client;
}

struct dns_client *lookup_client_open(struct loop *l, const struct config *config)
{
	struct dns_client *client = lookup_client_new(l, dns_new(l, config));
	((struct lookup_client *)client)->is_dns_own = true;
	return client;
}

void lookup_client_free(struct dns_client *client)
{
	struct lookup_client *c = (struct lookup_client *)client;
	if (c && c->is_dns_own)
		dns_free(c->dns);
	free(c);
}
