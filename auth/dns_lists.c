#include "auth/dns_lists.h"

#include "auth/spf_name.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/die.h"

#include <stdlib.h>

struct asked {
	struct dns_lists_check *check;
	struct dns_list list;
	struct dns_question *question;
	bool has_client;
};

struct dns_lists_check {
	struct dns_client *dns;
	struct arena memory;
	struct asked asked[DNS_LISTS_MOST];
	size_t count, waiting;
	struct span reversed;
	loop_fn *done;
	void *context;
};

struct dns_lists_check *dns_lists_check_new(struct dns_client *dns, struct span lists, struct span address)
{
	struct dns_lists_check *c = xcalloc(1, sizeof *c);
	struct span rest = arena_dup(&c->memory, lists), word;
	BUF_AUTO reversed = {0};
	c->dns = dns;
	address_reversed(address, &reversed);
	c->reversed = arena_dup(&c->memory, buf_span(&reversed));
	while (address.len && (word = span_next_word(&rest)).len && c->count < DNS_LISTS_MOST)
		if (dns_list_parse(word, &c->asked[c->count].list, NULL) == 0)
			c->asked[c->count++].check = c;
	return c;
}

static void on_answer(void *context, const struct dns_answer *answer)
{
	struct asked *q = context;
	q->question = NULL;
	for (size_t i = 0; answer->outcome == DNS_ANSWER && i < answer->count; i++)
		q->has_client |= dns_list_counts(&q->list, answer->records[i]);
	if (--q->check->waiting == 0)
		q->check->done(q->check->context);
}

void dns_lists_check_start(struct dns_lists_check *c, loop_fn *done, void *context)
{
	c->done = done;
	c->context = context;
	c->waiting = c->count;
	for (size_t i = 0; i < c->count; i++) {
		BUF_AUTO name = {0};
		buf_add(&name, c->reversed);
		buf_add(&name, c->asked[i].list.zone);
		c->asked[i].question = c->dns->ask(c->dns, DNS_A, buf_span(&name), on_answer, &c->asked[i]);
	}
	if (!c->count)
		done(context);
}

int dns_lists_weight(const struct dns_lists_check *c, struct span *zone)
{
	int weight = 0, heaviest = 0;
	*zone = SPAN("");
	for (size_t i = 0; i < c->count; i++) {
		if (!c->asked[i].has_client)
			continue;
		weight += c->asked[i].list.weight;
		if (c->asked[i].list.weight > heaviest) {
			heaviest = c->asked[i].list.weight;
			*zone = c->asked[i].list.zone;
		}
	}
	return weight;
}

void dns_lists_check_free(struct dns_lists_check *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		if (c->asked[i].question)
			c->dns->cancel(c->dns, c->asked[i].question);
	arena_free(&c->memory);
	free(c);
}
