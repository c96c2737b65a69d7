/* A DNS of a few records for the tests of this folder: questions wait until test_dns_answer_all. */
#ifndef AUTH_TEST_DNS_H
#define AUTH_TEST_DNS_H

#include "auth/dns.h"
#include "base/buf.h"
#include "base/die.h"

#include <stdlib.h>

struct test_record {
	enum dns_type type;
	const char *name;
	struct span value;        /* as auth/dns.h has it */
	enum dns_outcome outcome; /* DNS_ANSWER, or what every question of that name and type gets */
};

struct dns_question {
	struct dns_question *next;
	enum dns_type type;
	char name[256];
	dns_done_fn *done;
	void *context;
};

struct test_dns {
	struct dns_client client; /* first */
	const struct test_record *records;
	size_t record_count;
	struct dns_question *waiting;
	unsigned asked;
};

static struct dns_question *test_dns_ask(struct dns_client *c, enum dns_type type, struct span name, dns_done_fn *done, void *context)
{
	struct test_dns *d = (struct test_dns *)c;
	struct dns_question *q = xcalloc(1, sizeof *q), **at = &d->waiting;
	*q = (struct dns_question){.type = type, .done = done, .context = context};
	for (size_t i = 0; i < name.len && i < sizeof q->name - 1; i++)
		q->name[i] = ascii_lower(name.ptr[i]);
	while (*at)
		at = &(*at)->next;
	*at = q;
	d->asked++;
	return q;
}

static void test_dns_cancel(struct dns_client *c, struct dns_question *q)
{
	struct dns_question **at = &((struct test_dns *)c)->waiting;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

static inline void test_dns_answer(struct test_dns *d, struct dns_question *q)
{
	struct span values[DNS_RECORDS_MOST];
	struct dns_answer answer = {.outcome = DNS_NO_NAME, .records = values, .text = SPAN("the test says so")};
	for (size_t i = 0; i < d->record_count; i++) {
		const struct test_record *r = &d->records[i];
		if (strcmp(r->name, q->name))
			continue;
		if (answer.outcome == DNS_NO_NAME)
			answer.outcome = DNS_ANSWER;
		if (r->type != q->type)
			continue;
		if (r->outcome != DNS_ANSWER)
			answer.outcome = r->outcome;
		else if (answer.count < DNS_RECORDS_MOST)
			values[answer.count++] = r->value;
	}
	q->done(q->context, &answer);
	free(q);
}

/* Answers whatever is asked, also what the answers make somebody ask. */
static inline void test_dns_answer_all(struct test_dns *d)
{
	struct dns_question *q;
	while ((q = d->waiting)) {
		d->waiting = q->next;
		test_dns_answer(d, q);
	}
}

static inline struct test_dns test_dns_of(const struct test_record *records, size_t count)
{
	return (struct test_dns){.client = {test_dns_ask, test_dns_cancel}, .records = records, .record_count = count};
}

#endif
