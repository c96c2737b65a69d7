/* A question lasts until its answer; one of a store that has died is answered to nobody who knows it. */
#include "resolve/report.h"

#include "base/die.h"
#include "ipc/channel.h"
#include "ipc/terms.h"
#include "ipc/words.h"
#include "resolve/rdata.h"
#include "resolve/record.h"
#include "wire/address.h"
#include "wire/tlsrpt.h"

#include <stdio.h>
#include <stdlib.h>

struct report_question {
	struct policies *all;
	struct report_question *next, *before;
	struct channel *store; /* that has asked */
	uint64_t id;
	bool is_post;
	struct lookup txt;
};

static struct report_question *add(struct policies *p, uint64_t id, bool is_post)
{
	struct report_question *q = xcalloc(1, sizeof *q);
	*q = (struct report_question){.all = p, .next = p->reports, .store = p->store, .id = id, .is_post = is_post};
	if (q->next)
		q->next->before = q;
	p->reports = q;
	return q;
}

static void free_question(struct report_question *q)
{
	lookup_cancel(&q->txt);
	if (q->next)
		q->next->before = q->before;
	*(q->before ? &q->before->next : &q->all->reports) = q->next;
	free(q);
}

static bool is_heard(const struct report_question *q)
{
	return q->store && q->store == q->all->store;
}

/* ---- where to ---- */

static void answer(struct report_question *q, enum rua_outcome outcome, const struct span *uris, size_t count, const char *text)
{
	BUF_AUTO packed = {0};
	words_pack(&packed, uris, count);
	if (is_heard(q))
		channel_send(q->store, rua_answer, .id = q->id, .outcome = (uint8_t)outcome, .uris = buf_span(&packed), .text = span_slice(span_cstr(text), 0, 255));
	free_question(q);
}

static void on_txt(void *context, const struct lookup_result *result)
{
	struct report_question *q = context;
	BUF_AUTO values = {0};
	struct span records[DNS_RECORDS_MOST], uris[TLSRPT_URIS_MOST];
	struct error why = {0};
	if (result->outcome == LOOKUP_LATER) {
		answer(q, RUA_LATER, NULL, 0, result->text);
		return;
	}
	size_t count = result->outcome == LOOKUP_ANSWER ? record_values(result->message, DNS_TXT, &values, records) : 0;
	int found = tlsrpt_find_uris(records, count, uris, &why);
	answer(q, found > 0 ? RUA_FOUND : RUA_NONE, uris, found > 0 ? (size_t)found : 0, why.text);
}

void rua_ask(struct policies *p, const struct msg_rua_ask *m)
{
	char name[RDATA_NAME_MOST + 16];
	struct report_question *q = add(p, m->id, false);
	snprintf(name, sizeof name, "_smtp._tls.%.*s", SPAN_ARG(m->domain));
	if (!record_is_name(m->domain) || strlen(name) >= RDATA_NAME_MOST)
		answer(q, RUA_NONE, NULL, 0, ""); /* there can be none */
	else
		lookup_start(&q->txt, p->fetches.dns, name, RDATA_TYPE_TXT, on_txt, q);
}

/* ---- posting ---- */

static void end_post(struct report_question *q, bool is_taken, const char *text)
{
	if (is_heard(q))
		channel_send(q->store, report_posted, .id = q->id, .is_taken = is_taken, .text = span_slice(span_cstr(text), 0, 255));
	free_question(q);
}

static void on_posted(void *context, struct span text, const struct error *why)
{
	end_post(context, text.ptr != NULL, why->text);
}

void report_post(struct policies *p, const struct msg_report_post *m)
{
	struct report_question *q = add(p, m->id, true);
	if (tlsrpt_uri_is_valid(m->uri) && !tlsrpt_uri_address(m->uri).len)
		fetch_post(&p->fetches, m->uri, m->report, on_posted, q);
	else
		end_post(q, false, "this is no URI to post to");
}

void reports_end(struct policies *p)
{
	while (p->reports)
		if (p->reports->is_post)
			end_post(p->reports, false, "the resolver is being changed");
		else
			answer(p->reports, RUA_LATER, NULL, 0, "the resolver is being changed");
}
