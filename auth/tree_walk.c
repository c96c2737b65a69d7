#include "auth/tree_walk.h"

#include <stdio.h>

enum { LABELS_ASKED_MOST = 7 }; /* of a longer name the left-hand labels are passed over, but for the first question */

static void ask(struct tree_walk *w);

static size_t label_count(struct span name)
{
	size_t n = name.len > 0;
	for (size_t i = 0; i < name.len; i++)
		n += name.ptr[i] == '.';
	return n;
}

static struct span without_label(struct span name)
{
	ssize_t dot = span_chr(name, '.');
	return dot < 0 ? span_skip(name, name.len) : span_skip(name, (size_t)dot + 1);
}

/* The one record of the answer; several count as none (§4.10.1). */
static void take(struct tree_walk *w, const struct dns_answer *answer)
{
	const struct span *only = NULL;
	size_t count = 0;
	for (size_t i = 0; answer->outcome == DNS_ANSWER && i < answer->count; i++)
		if (dmarc_is_record(answer->records[i])) {
			only = &answer->records[i];
			count++;
		}
	if (count != 1)
		return;
	struct tree_step *step = &w->found[w->found_count];
	buf_add(&step->txt, *only);
	if (dmarc_parse(buf_span(&step->txt), &step->record)) {
		buf_free(&step->txt);
		return;
	}
	step->domain = w->at;
	w->found_count++;
}

/* psd=n ends the walk, and so does psd=y above its start. */
static bool is_at_end(const struct tree_walk *w)
{
	if (w->has_failed || w->at.len == 0)
		return true;
	const struct tree_step *last = w->found_count ? &w->found[w->found_count - 1] : NULL;
	if (!last || last->domain.ptr != w->at.ptr)
		return false;
	return last->record.psd == DMARC_PSD_NO || (last->record.psd == DMARC_PSD_YES && last->domain.ptr != w->domain);
}

static void on_answer(void *context, const struct dns_answer *answer)
{
	struct tree_walk *w = context;
	w->question = NULL;
	w->has_failed = answer->outcome == DNS_LATER;
	take(w, answer);
	if (!is_at_end(w)) {
		w->at = without_label(w->at);
		while (label_count(w->at) > LABELS_ASKED_MOST)
			w->at = without_label(w->at);
	}
	if (is_at_end(w))
		w->done(w->context);
	else
		ask(w);
}

static void ask(struct tree_walk *w)
{
	char name[300];
	int n = snprintf(name, sizeof name, "_dmarc.%.*s", SPAN_ARG(w->at));
	w->question = w->dns->ask(w->dns, DNS_TXT, span_of(name, (size_t)n), on_answer, w);
}

void tree_walk_start(struct tree_walk *w, struct dns_client *dns, struct span domain, loop_fn *done, void *context)
{
	*w = (struct tree_walk){.dns = dns, .done = done, .context = context};
	snprintf(w->domain, sizeof w->domain, "%.*s", SPAN_ARG(span_slice(domain, 0, sizeof w->domain - 1)));
	w->at = span_cstr(w->domain);
	ask(w);
}

void tree_walk_free(struct tree_walk *w)
{
	if (w->question)
		w->dns->cancel(w->dns, w->question);
	w->question = NULL;
	for (size_t i = 0; i < TREE_WALK_MOST; i++)
		buf_free(&w->found[i].txt);
}

struct span tree_walk_organisation(const struct tree_walk *w)
{
	struct span whole = span_cstr(w->domain), fewest = whole;
	for (size_t i = 0; i < w->found_count; i++) {
		const struct tree_step *step = &w->found[i];
		if (step->record.psd == DMARC_PSD_NO)
			return step->domain;
		if (step->record.psd == DMARC_PSD_YES && step->domain.ptr != w->domain) {
			/* one label below it, on the way to the start */
			struct span below = whole;
			while (without_label(below).ptr != step->domain.ptr && below.len > step->domain.len)
				below = without_label(below);
			return below;
		}
		fewest = step->domain;
	}
	return fewest;
}

const struct dmarc_record *tree_walk_record(const struct tree_walk *w, struct span domain)
{
	for (size_t i = 0; i < w->found_count; i++)
		if (span_equal(w->found[i].domain, domain))
			return &w->found[i].record;
	return NULL;
}
