/* A message's way into a mailbox: blob, index row, cache and delivery record in one batch. */
#include "store/mailbox/append.h"

#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/mailbox/view.h"

#include <stdatomic.h>
#include <stdlib.h>

struct append_job {
	struct job job;
	struct append *append;
	struct append_result result;
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
	buf_free(&m->cache);
	buf_free(&m->trace);
	free(m);
}

static void finish(void *context)
{
	struct append_job *j = context;
	struct append *a = j->append;
	a->done(a->context, &j->result);
	accepted_release(a->message);
	buf_free(&a->mailbox);
	buf_free(&a->keywords);
	free(a);
	free(j);
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

static void append(struct account *acc, struct append *a, struct append_result *result)
{
	struct accepted *m = a->message;
	struct error why = {0};
	struct mailbox *box = wanted_mailbox(acc, a);
	if (!box && a->is_append) {
		result->outcome = DELIVERY_NO_MAILBOX;
		return;
	}
	if (!box)
		box = mailbox_find(acc, SPAN("INBOX"));
	if (!box || !mailbox_load(box, &why)) {
		log_event(LOG_LEVEL_ERROR, "mailbox-damaged", log_c("account", acc->partition), log_c("why", why.text));
		result->outcome = DELIVERY_LATER;
		return;
	}
	struct row row = {.size = m->size, .internaldate_ms = a->internaldate_ms, .blob = m->blob,
	                  .header_bytes = m->header_bytes, .flags = a->flags};
	mailbox_keywords(box, buf_span(&a->keywords), true, &row.keywords);
	put_message(acc, m);
	result->outcome = DELIVERED;
	result->uid = mailbox_append(box, &row)->uid;
	result->uidvalidity = box->uidvalidity;
}

static void run(struct worker *w, struct job *job)
{
	struct append_job *j = (struct append_job *)job;
	struct error why = {0};
	struct account *acc = account_get(w, j->append->account, &why);
	if (!acc) {
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_n("account", (int64_t)j->append->account), log_c("why", why.text));
		j->result.outcome = DELIVERY_LATER;
		worker_say(w, parcel_to_call(finish, j));
		return;
	}
	int there = j->append->is_repeated ? is_there(acc, j->append->message->delivery) : 0;
	if (there < 0)
		j->result.outcome = DELIVERY_LATER;
	else if (there > 0)
		j->result.outcome = DELIVERED;
	else
		append(acc, j->append, &j->result);
	account_call_loop(acc, finish, j);
	account_settle(acc);
}

void append_post(struct worker *w, struct append *a)
{
	struct append_job *j = xcalloc(1, sizeof *j);
	*j = (struct append_job){.job.run = run, .append = a};
	worker_post(w, &j->job);
}
