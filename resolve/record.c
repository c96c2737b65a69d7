/* One question of a peer: a look-up, its records as words. */
#include "resolve/record.h"

#include "base/die.h"
#include "ipc/words.h"
#include "resolve/rdata.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	QUESTIONS_MOST = 4096, /* of one peer; a message asks some tens */
	ANSWER_BYTES_MOST = 65536 - 4 - 4 * DNS_RECORDS_MOST, /* what the message holds, less the words' lengths */
};

struct record_question {
	struct resolve_peer *peer;
	struct record_question *next, *before;
	struct lookup lookup;
	uint64_t id;
	unsigned type;
};

static void answer(struct resolve_peer *peer, uint64_t id, enum dns_outcome outcome, bool is_secure, struct span records, const char *text)
{
	channel_send(peer->channel, dns_answer, .id = id, .outcome = (uint8_t)outcome, .is_secure = is_secure, .records = records,
	             .text = span_slice(span_cstr(text), 0, 160));
}

static void free_question(struct record_question *q)
{
	lookup_cancel(&q->lookup);
	if (q->next)
		q->next->before = q->before;
	if (q->before)
		q->before->next = q->next;
	else
		q->peer->questions = q->next;
	q->peer->question_count--;
	free(q);
}

/* A chain of aliases before the records is libunbound's concern. */
size_t record_values(struct span message, enum dns_type type, struct buf *values, struct span words[DNS_RECORDS_MOST])
{
	size_t ends[DNS_RECORDS_MOST], count = 0;
	struct rdata_reader reader;
	struct rdata_record record;
	if (rdata_start(&reader, message, NULL))
		return 0;
	while (count < DNS_RECORDS_MOST && rdata_next(&reader, &record, NULL) == 1) {
		if (record.type != (unsigned)type || values->len + record.len > ANSWER_BYTES_MOST || rdata_value(message, &record, values))
			continue;
		ends[count++] = values->len;
	}
	for (size_t i = 0; i < count; i++)
		words[i] = span_slice(buf_span(values), i ? ends[i - 1] : 0, ends[i] - (i ? ends[i - 1] : 0));
	return count;
}

static void on_looked_up(void *context, const struct lookup_result *result)
{
	static const enum dns_outcome outcomes[] = {
		[LOOKUP_ANSWER] = DNS_ANSWER, [LOOKUP_NO_NAME] = DNS_NO_NAME, [LOOKUP_LATER] = DNS_LATER};
	struct record_question *q = context;
	BUF_AUTO packed = {0}, values = {0};
	struct span words[DNS_RECORDS_MOST];
	size_t count = result->outcome == LOOKUP_ANSWER ? record_values(result->message, q->type, &values, words) : 0;
	words_pack(&packed, words, count);
	answer(q->peer, q->id, outcomes[result->outcome], result->is_secure, buf_span(&packed), result->text);
	free_question(q);
}

/* Macros of SPF make names of more than hosts have; a backslash would be read as an escape. */
bool record_is_name(struct span name)
{
	size_t label = 0;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (c == '.' ? label == 0 : c < ' ' || c > '~' || c == '\\')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0 && name.len < RDATA_NAME_MOST;
}

void record_ask(struct resolve_peer *peer, const struct msg_dns_ask *m)
{
	char name[256];
	BUF_AUTO none = {0};
	words_pack(&none, NULL, 0);
	peer->process->asked_count++;
	if (!record_is_name(m->name) || peer->question_count >= QUESTIONS_MOST) {
		bool is_full = record_is_name(m->name);
		answer(peer, m->id, is_full ? DNS_LATER : DNS_NO_NAME, false, buf_span(&none), is_full ? "too many questions at once" : "");
		return;
	}
	struct record_question *q = xcalloc(1, sizeof *q);
	*q = (struct record_question){.peer = peer, .next = peer->questions, .id = m->id, .type = m->type};
	if (q->next)
		q->next->before = q;
	peer->questions = q;
	peer->question_count++;
	snprintf(name, sizeof name, "%.*s", SPAN_ARG(m->name));
	lookup_start(&q->lookup, peer->process->dns, name, m->type, on_looked_up, q);
}

void record_end_all(struct resolve_peer *peer, const char *why)
{
	BUF_AUTO none = {0};
	words_pack(&none, NULL, 0);
	while (peer->questions) {
		if (why)
			answer(peer, peer->questions->id, DNS_LATER, false, buf_span(&none), why);
		free_question(peer->questions);
	}
}
