/* A message's way into a mailbox: blob, index row, cache and delivery record in one batch. */
#include "store/mailbox/append.h"

#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/import.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/threading.h"
#include "store/mailbox/view.h"

#include <stdatomic.h>
#include <stdlib.h>

struct append_job {
	struct job job;
	struct append *first;
};

struct accepted *accepted_new(struct id128 delivery)
{
	struct accepted *m = xcalloc(1, sizeof *m);
	*m = (struct accepted){.users = 1, .delivery = delivery};
	return m;
}

void accepted_release(struct accepted *m)
{
	if (__atomic_sub_fetch(&m->users, 1, __ATOMIC_ACQ_REL))
		return;
	buf_free(&m->head_memory);
	buf_free(&m->thread_ids);
	buf_free(&m->cache);
	buf_free(&m->trace);
	free(m);
}

static void end(struct append *a)
{
	while (a) {
		struct append *next = a->next;
		a->done(a->context, &a->result);
		accepted_release(a->message);
		buf_free(&a->mailbox);
		buf_free(&a->keywords);
		buf_free(&a->unique_id);
		free(a);
		a = next;
	}
}

static void finish(void *context)
{
	struct append_job *j = context;
	end(j->first);
	free(j);
}

static void set_outcome(struct append *a, enum delivery_outcome outcome)
{
	for (; a; a = a->next)
		a->result = (struct append_result){.outcome = outcome};
}

void append_drop(struct append *a)
{
	set_outcome(a, DELIVERY_LATER);
	end(a);
}

static void delivery_key(struct buf *key, struct id128 delivery)
{
	buf_add_char(key, 'd');
	buf_add(key, id128_span(&delivery));
}

/* 1 if the account has the delivery (a fan-out that is repeated after a crash), 0 if not, -1 if that cannot be read. */
static int is_there(struct account *acc, struct id128 delivery)
{
	BUF_AUTO key = {0}, value = {0};
	delivery_key(&key, delivery);
	return engine_get(acc->worker->engine, account_partition(acc), buf_span(&key), &value, NULL);
}

static void put_message(struct account *acc, struct accepted *m)
{
	BUF_AUTO key = {0};
	if (m->is_shared)
		account_blob_added(acc, m->blob, true);
	else
		blob_head_put(&acc->batch, m->blob, &m->head);
	if (!id128_is_zero(m->head.lender))
		account_blob_borrows(acc, m->blob, m->head.lender);
	if (m->cache.len) {
		account_cache_key(&key, m->blob);
		batch_put(&acc->batch, account_partition(acc), buf_span(&key), buf_span(&m->cache));
		buf_clear(&key);
	}
	delivery_key(&key, m->delivery);
	batch_put(&acc->batch, account_partition(acc), buf_span(&key), buf_span(&m->trace));
}

/* The one that is named, or Junk for what is to go there. NULL if there is none. */
static struct mailbox *wanted_mailbox(struct account *acc, const struct append *a)
{
	if (a->mailbox.len)
		return mailbox_find(acc, buf_span(&a->mailbox));
	return a->message->is_junk ? mailbox_of_use(acc, USE_JUNK) : NULL;
}

/* The mailbox that they go into. NULL after they have failed. */
static struct mailbox *find_mailbox(struct account *acc, struct append *first)
{
	struct error why = {0};
	struct mailbox *box = wanted_mailbox(acc, first);
	unsigned rights = box ? acl_rights(box, first->reader, first->is_near) : 0;
	if (first->is_append && !(rights & RIGHT_INSERT)) {
		set_outcome(first, acl_lets_know(rights) ? DELIVERY_NO_PERMISSION : DELIVERY_NO_MAILBOX);
		return NULL;
	}
	if (!box)
		box = mailbox_find(acc, SPAN("INBOX"));
	if (box && mailbox_load(box, &why))
		return box;
	log_event(LOG_LEVEL_ERROR, "mailbox-damaged", log_c("account", acc->partition), log_c("why", why.text));
	set_outcome(first, DELIVERY_LATER);
	return NULL;
}

static void append(struct account *acc, struct mailbox *box, struct append *a)
{
	struct accepted *m = a->message;
	if (a->is_known) {
		a->result = (struct append_result){.outcome = DELIVERY_DISCARDED};
		return;
	}
	unsigned rights = acl_rights(box, a->reader, a->is_near);
	uint8_t flags = a->flags & acl_flags(rights); /* RFC 4314 §4, APPEND */
	struct row row = {.size = m->size, .internaldate_ms = a->internaldate_ms, .blob = m->blob,
	                  .header_bytes = m->header_bytes, .flags = a->reader ? flags & ~FLAG_SEEN : flags};
	row.thread = threading_join(acc, buf_span(&m->thread_ids), m->blob);
	if (a->uid > box->uidnext && a->uid <= IMPORT_UID_MOST)
		box->uidnext = a->uid; /* as what has come says: its row tells it on the disk too */
	if (rights & RIGHT_WRITE)
		mailbox_keywords(box, buf_span(&a->keywords), true, &row.keywords);
	put_message(acc, m);
	a->result = (struct append_result){.outcome = DELIVERED, .uid = mailbox_append(box, &row)->uid, .uidvalidity = box->uidvalidity};
	if (a->reader && flags & FLAG_SEEN && seen_set(box, a->reader, a->result.uid, true))
		seen_flush(box, a->reader);
	if (a->has_source)
		source_put(acc, box, a->result.uid, span_of(a->source, sizeof a->source));
	if (a->unique_id.len)
		unique_id_put(box, a->result.uid, buf_span(&a->unique_id));
}

/* RFC 8508 §3.3: the message that these replace goes with their coming. False if it is not there any more. */
static bool find_replaced(struct worker *w, const struct append *first, struct mailbox **from)
{
	const struct view *v = first->replaced_uid ? map_get(&w->views, first->view) : NULL;
	bool may_replace = v && v->mailbox && !v->mailbox->is_gone && !v->is_read_only &&
	                   !(~acl_rights(v->mailbox, v->reader, v->is_near) & (RIGHT_DELETE | RIGHT_EXPUNGE)); /* RFC 8508 §4.1 */
	*from = may_replace && mailbox_load(v->mailbox, NULL) ? v->mailbox : NULL;
	return first->replaced_uid == 0 || (*from && index_find(&(*from)->index, first->replaced_uid));
}

/* Mail that has been accepted is kept, whatever the quota says: that was looked at when it came. */
static bool has_room(struct account *acc, const struct append *first, struct mailbox *from)
{
	const struct row *replaced = from ? index_find(&from->index, first->replaced_uid) : NULL;
	uint64_t bytes = 0, messages = 0;
	for (const struct append *a = first; a; a = a->next) {
		bytes += a->is_known ? 0 : a->message->size;
		messages += !a->is_known;
	}
	if (replaced) {
		bytes -= bytes < replaced->size ? bytes : replaced->size;
		messages--;
	}
	return account_has_room(acc, bytes, messages);
}

/* Which of them have come before, also earlier in the same command. False if that cannot be read. */
static bool find_known(struct account *acc, struct append *first)
{
	for (struct append *a = first; a; a = a->next) {
		if (!a->has_source)
			continue;
		int known = source_is_known(acc, span_of(a->source, sizeof a->source));
		if (known < 0)
			return false;
		a->is_known = known > 0;
		for (const struct append *b = first; b != a && !a->is_known; b = b->next)
			a->is_known = b->has_source && memcmp(a->source, b->source, sizeof a->source) == 0;
	}
	return true;
}

static void append_all(struct worker *w, struct account *acc, struct append *first)
{
	struct mailbox *from, *box = find_mailbox(acc, first);
	BUF_AUTO replaced = {0};
	if (!box)
		return;
	if (!find_replaced(w, first, &from)) {
		set_outcome(first, DELIVERY_UNKNOWN);
		return;
	}
	if (first->is_append && !has_room(acc, first, from)) {
		set_outcome(first, DELIVERY_NO_SPACE);
		return;
	}
	for (struct append *a = first; a; a = a->next)
		append(acc, box, a);
	if (!from)
		return;
	ranges_add(&replaced, first->replaced_uid);
	mailbox_remove(from, buf_span(&replaced), false);
}

static void run(struct worker *w, struct job *job)
{
	struct append_job *j = (struct append_job *)job;
	struct append *first = j->first;
	struct error why = {0};
	struct account *acc = account_get(w, first->account, &why);
	if (!acc) {
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_n("account", (int64_t)first->account), log_c("why", why.text));
		set_outcome(first, DELIVERY_LATER);
		worker_say(w, parcel_to_call(finish, j));
		return;
	}
	/* what may be on its way to the disk now, of a session that was broken off, is no reason to take a message twice */
	if (first->has_source && !account_is_durable(acc)) {
		account_when_durable(acc, job);
		return;
	}
	int there = first->is_repeated ? is_there(acc, first->message->delivery) : 0;
	if (there < 0 || (first->has_source && !find_known(acc, first)))
		set_outcome(first, DELIVERY_LATER);
	else if (there > 0)
		set_outcome(first, DELIVERED);
	else
		append_all(w, acc, first);
	account_call_loop(acc, finish, j);
	account_settle(acc);
}

void append_post(struct worker *w, struct append *a)
{
	struct append_job *j = xcalloc(1, sizeof *j);
	*j = (struct append_job){.job.run = run, .first = a};
	worker_post(w, &j->job);
}
