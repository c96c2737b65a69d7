/* A delivery that was judged good is written: to the one account that it is for, to the queue if it is for more, by LMTP to
 * each account by itself. The edge is answered when what answers for it is on disk. */
#include "store/delivery.h"

#include "base/clock.h"
#include "base/die.h"
#include "ipc/words.h"
#include "store/mailbox/append.h"
#include "store/habit.h"
#include "store/queue/queue.h"
#include "store/trace.h"
#include "wire/smtp.h"

#include <stdlib.h>

static void make_trace(struct delivery *d, struct buf *out)
{
	BUF_AUTO to = {0};
	for (size_t i = 0; i < d->recipient_count && to.len < 3000; i++) {
		if (i)
			buf_add_char(&to, ',');
		buf_add(&to, d->recipients[i].address);
	}
	struct trace_record t = {.time_ms = clock_wall_ms(), .kind = d->kind, .size = d->received, .client = buf_span(&d->client),
	                         .reverse_path = buf_span(&d->reverse_path), .recipients = buf_span(&to),
	                         .message_id = buf_span(&d->message_id), .remark = buf_span(&d->text)};
	trace_pack(out, &t);
}

struct accepted *deliver_accept(struct delivery *d)
{
	struct accepted *m = accepted_new(d->id);
	m->blob = d->blob;
	if (blob_cuts_unpack(buf_span(&d->cuts), d->received, &m->head)) {
		accepted_release(m);
		return NULL;
	}
	memcpy(m->head.received_digest, d->digest, BLOB_DIGEST_BYTES);
	m->head_memory = d->prefix;
	d->prefix = (struct buf){0};
	m->head.prefix = buf_span(&m->head_memory);
	if (!d->blocks_staged) {
		struct buf whole = {0};
		blob_compose(&m->head, buf_span(&d->block), &whole);
		buf_free(&m->head_memory);
		m->head_memory = whole;
		m->head = (struct blob_head){.whole = buf_span(&m->head_memory)};
	}
	m->is_junk = d->is_junk;
	m->size = (uint32_t)blob_size(&m->head);
	m->header_bytes = d->header_bytes;
	m->thread_ids = d->thread_ids;
	d->thread_ids = (struct buf){0};
	m->cache = d->cache;
	d->cache = (struct buf){0};
	make_trace(d, &m->trace);
	return m;
}

struct waiting_answer {
	struct delivery *delivery;
	uint32_t recipient;
	uint64_t account;
};

/* The account's batch names the staged pieces, or nobody ever will. */
void deliver_written(struct delivery *d, enum delivery_outcome outcome)
{
	struct batch b = {0};
	if (outcome != DELIVERED) {
		d->is_sent_on = false; /* free_delivery deletes them */
	} else if (d->blocks_staged) {
		queue_unstage(&b, d->blob); /* unsynced: a start that finds them staged sees that they have a head */
		store_commit(d->store, &b, NULL, NULL);
	}
}

static void on_appended(void *context, const struct append_result *result)
{
	struct delivery *d = context;
	d->waiting--;
	deliver_written(d, result->outcome);
	if (d->kind == DELIVERY_APPEND) {
		deliver_log(d, DELIVERY_ALL_RECIPIENTS, result->outcome);
		deliver_say(d, DELIVERY_ALL_RECIPIENTS, result->outcome, SPAN(""), result->uidvalidity, result->uid);
		deliver_free(d);
		return;
	}
	deliver_answer(d, result->outcome, SPAN(""));
}

static void on_lmtp_appended(void *context, const struct append_result *result)
{
	struct waiting_answer *w = context;
	struct delivery *d = w->delivery;
	for (uint32_t i = w->recipient; i < d->recipient_count; i++) {
		if (d->recipient_accounts[i] != w->account)
			continue;
		deliver_log(d, i, result->outcome);
		deliver_say(d, i, result->outcome, SPAN(""), 0, 0);
	}
	free(w);
	if (--d->waiting == 0)
		deliver_free(d);
}

struct append *deliver_append(struct delivery *d, struct accepted *m, uint64_t account,
                              void (*done)(void *context, const struct append_result *result), void *context)
{
	struct append *a = xcalloc(1, sizeof *a);
	*a = (struct append){.message = m, .account = account, .is_append = d->kind == DELIVERY_APPEND, .done = done, .context = context,
	                     .internaldate_ms = d->internaldate_ms ? d->internaldate_ms : (uint64_t)clock_wall_ms()};
	if (d->kind == DELIVERY_APPEND) {
		a->reader = d->reader;
		a->is_near = d->is_near;
		a->flags = d->flags & 31;
		buf_add(&a->mailbox, buf_span(&d->mailbox));
		buf_add(&a->keywords, buf_span(&d->keywords));
		a->uid = d->uid;
		buf_add(&a->unique_id, buf_span(&d->unique_id));
		a->has_source = d->has_source;
		memcpy(a->source, d->source, sizeof a->source);
	}
	return a;
}

static void append_to(struct delivery *d, struct accepted *m, uint64_t account,
                      void (*done)(void *context, const struct append_result *result), void *context)
{
	append_post(store_worker_of(d->store, account), deliver_append(d, m, account, done, context));
}

static void on_queued(void *context)
{
	struct delivery *d = context;
	d->waiting--;
	deliver_answer(d, QUEUED, SPAN(""));
}

static uint16_t queue_facts(const struct delivery *d)
{
	unsigned facts = d->facts & (FACT_SMTPUTF8 | FACT_BINARY | FACT_REQUIRETLS);
	facts |= d->has_8bit ? FACT_8BIT : 0;
	facts |= d->is_junk ? FACT_JUNK : 0;
	facts |= d->is_held ? FACT_HELD : 0;
	/* RFC 8689 §4.1: with REQUIRETLS the field says nothing */
	facts |= d->is_tls_optional && !(facts & FACT_REQUIRETLS) ? FACT_TLS_OPTIONAL : 0;
	return (uint16_t)facts;
}

/* Several partitions: the accept record is the durable write behind 250, the rest follows from it. */
static void accept_for_several(struct delivery *d, struct accepted *m, const struct targets *targets)
{
	if (queue_has_delivery(d->store, d->id)) {
		accepted_release(m); /* an edge that says the same thing twice */
		d->waiting--;
		deliver_answer(d, QUEUED, SPAN(""));
		return;
	}
	struct queue_message q = {.delivery = d->id, .message = m, .reverse_path = buf_span(&d->reverse_path), .ret = d->ret,
	                          .submitter = d->kind == DELIVERY_SUBMISSION ? d->account : 0, .envid = buf_span(&d->envid),
	                          .facts = queue_facts(d), .priority = d->priority, .hold_s = d->hold_s};
	queue_accept(d->store, &q, targets, on_queued, d);
}

/* Each of them is one account, or none any more: then each can be answered for by itself. */
static bool are_single_accounts(struct delivery *d)
{
	for (size_t i = 0; i < d->recipient_count; i++) {
		ARENA_AUTO a = {0};
		struct targets targets = {0};
		directory_resolve(d->store, d->recipients[i].address, false, &a, &targets);
		if (targets.look.has_found || targets.count > 1 || (targets.count == 1 && !targets.list[0].account))
			return false;
	}
	return true;
}

/* LMTP answers recipient by recipient (RFC 2033 §4.2), and each commits by itself. */
static void accept_lmtp(struct delivery *d, struct accepted *m)
{
	ARENA_AUTO a = {0};
	struct targets all = {0};
	d->waiting = 1;
	d->recipient_accounts = arena_alloc_array(&d->recipients_memory, d->recipient_count, sizeof *d->recipient_accounts);
	for (size_t i = 0; i < d->recipient_count; i++) {
		struct targets targets = {0};
		enum rcpt_outcome outcome = directory_resolve(d->store, d->recipients[i].address, false, &a, &targets);
		size_t before = all.count;
		bool is_known = outcome == RCPT_LOCAL && targets.count == 1 && targets.list[0].account;
		d->recipient_accounts[i] = is_known ? targets.list[0].account : 0;
		if (!is_known) { /* gone since its RCPT */
			bool is_later = outcome == RCPT_LOCAL || outcome == RCPT_LATER || tables_are_there(d->store);
			deliver_say(d, (uint32_t)i, is_later ? DELIVERY_LATER : DELIVERY_NO_RECIPIENT, SPAN(""), 0, 0);
			continue;
		}
		targets_add(&a, &all, targets.list[0].account, targets.list[0].address);
		if (all.count == before)
			continue; /* an account that another recipient reaches: answered with it */
		struct waiting_answer *w = xcalloc(1, sizeof *w);
		*w = (struct waiting_answer){d, (uint32_t)i, targets.list[0].account};
		d->waiting++;
		__atomic_add_fetch(&m->users, 1, __ATOMIC_ACQ_REL);
		append_to(d, m, targets.list[0].account, on_lmtp_appended, w);
	}
	accepted_release(m);
	if (--d->waiting == 0)
		deliver_free(d);
}

/* ---- what milters did to the envelope ---- */

static void drop_recipient(struct delivery *d, struct span address)
{
	size_t kept = 0;
	for (size_t i = 0; i < d->recipient_count; i++)
		if (!span_equal_nocase(d->recipients[i].address, address))
			d->recipients[kept++] = d->recipients[i];
	d->recipient_count = kept;
}

/* -1 if filter says what makes no sense. */
static int change_envelope(struct delivery *d)
{
	struct arena *a = &d->recipients_memory;
	struct span *added = NULL, *removed = NULL;
	ssize_t added_count = d->rcpt_added.len ? words_unpack(buf_span(&d->rcpt_added), a, &added) : 0;
	ssize_t removed_count = d->rcpt_removed.len ? words_unpack(buf_span(&d->rcpt_removed), a, &removed) : 0;
	struct address sender;
	if (added_count < 0 || removed_count < 0 || (d->sender.len && address_parse_mailbox(buf_span(&d->sender), ADDRESS_UTF8 | ADDRESS_LOOSE, &sender, NULL)))
		return -1;
	for (ssize_t i = 0; i < removed_count; i++)
		drop_recipient(d, removed[i]);
	d->recipients = xrealloc_array(d->recipients, d->recipient_count + (size_t)added_count + 1, sizeof *d->recipients);
	for (ssize_t i = 0; i < added_count; i++)
		d->recipients[d->recipient_count++] = (struct given_recipient){.address = added[i], .may_relay = true};
	d->is_changed = added_count || removed_count;
	if (d->has_sender) {
		buf_clear(&d->reverse_path);
		buf_add(&d->reverse_path, buf_span(&d->sender));
	}
	return 0;
}

static void on_discarded(void *context)
{
	struct delivery *d = context;
	d->waiting--;
	d->is_sent_on = false; /* what was staged goes with it */
	deliver_answer(d, DELIVERY_DISCARDED, SPAN(""));
}

void deliver_discard(struct delivery *d)
{
	BUF_AUTO trace = {0};
	make_trace(d, &trace);
	d->is_sent_on = true;
	d->waiting = 1;
	queue_discard(d->store, d->id, buf_span(&trace), SPAN("thrown away by a milter"), on_discarded, d);
}

/* ---- where it goes ---- */

/* Whoever has logged in is somebody whose habits are known. */
static bool is_unlike_its_sender(const struct delivery *d, const struct targets *targets)
{
	size_t elsewhere = 0;
	for (size_t i = 0; i < targets->count; i++)
		elsewhere += !targets->list[i].account && !targets->list[i].program.len && !targets->list[i].is_expanded && !targets->list[i].is_gone;
	return d->kind == DELIVERY_SUBMISSION && habit_sends(d->store, d->account, elsewhere);
}

void deliver_write(struct delivery *d)
{
	ARENA_AUTO a = {0};
	struct targets targets = {0};
	if (!d->has_changed_envelope && change_envelope(d)) {
		deliver_answer(d, DELIVERY_LATER, SPAN(""));
		return;
	}
	d->has_changed_envelope = true;
	if (d->is_changed && !d->recipient_count) {
		deliver_discard(d);
		return;
	}
	bool is_later = false, has_any = d->kind == DELIVERY_APPEND;
	uint64_t question = 0;
	targets.look = d->look;
	if (d->kind == DELIVERY_APPEND)
		targets_add(&a, &targets, d->account, SPAN(""));
	for (size_t i = 0; d->kind != DELIVERY_APPEND && i < d->recipient_count; i++) {
		enum rcpt_outcome outcome =
			directory_resolve_recipient(d->store, &d->recipients[i], d->recipients[i].may_relay || d->kind == DELIVERY_SUBMISSION || d->kind == DELIVERY_LOCAL, &a, &targets);
		question = outcome == RCPT_LATER && targets.look.question ? targets.look.question : question;
		is_later |= outcome == RCPT_LATER && !targets.look.question;
		has_any |= outcome == RCPT_LOCAL || outcome == RCPT_REMOTE;
	}
	d->look = targets.look;
	d->look.question = question;
	if (question && !is_later) {
		deliver_wait_for_table(d);
		return;
	}
	for (size_t i = 0; i < targets.count; i++)
		d->is_for_account |= targets.list[i].account != 0;
	has_any |= d->kind == DELIVERY_LOCAL && targets.count; /* a bounce at least */
	/* a table may have changed since RCPT, and what it said then been forgotten: the next RCPT is the one to refuse it */
	is_later |= !has_any && tables_are_there(d->store);
	if (is_later || !has_any) {
		deliver_answer(d, is_later ? DELIVERY_LATER : DELIVERY_NO_RECIPIENT, SPAN(""));
		return;
	}
	d->is_held |= is_unlike_its_sender(d, &targets);
	struct accepted *m = deliver_accept(d);
	if (!m) {
		deliver_answer(d, DELIVERY_LATER, SPAN(""));
		return;
	}
	d->is_sent_on = true;
	if (d->kind == DELIVERY_LMTP && d->recipient_count > 1 && are_single_accounts(d)) {
		queue_share(d->store, m);
		accept_lmtp(d, m);
		return;
	}
	d->waiting = 1;
	/* with other recipients than edge's, or such as only a table knows, only the queue's record tells it later what became of the message */
	bool needs_queue = d->hold_s || d->is_held || d->is_changed || targets.look.has_found;
	if (targets.count == 1 && targets.list[0].account && !(targets.list[0].notify & SMTP_NOTIFY_SUCCESS) && !needs_queue)
		append_to(d, m, targets.list[0].account, on_appended, d);
	else
		accept_for_several(d, m, &targets);
}
