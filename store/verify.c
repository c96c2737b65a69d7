/* Proving accounts, one after the other: see verify.h. */
#include "store/verify.h"

#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/directory/directory.h"
#include "store/mailbox/account.h"
#include "wire/message_cache.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAULTS_TOLD_MOST = 1000 };

/* A message whose bytes are to be read. */
struct checked_message {
	struct id128 blob;
	uint32_t mailbox, uid, size;
};

struct verify {
	struct job job;
	struct command_run *command;
	struct store *store;
	bool is_repair;
	uint64_t *accounts;
	size_t account_count, at;
	size_t messages, faults, repaired;
	uint64_t bytes;
	/* of the account at hand */
	char name[256];
	struct buf checked; /* struct checked_message */
	struct buf damaged; /* the same, of those whose bytes are not what they were */
};

static void tell(struct verify *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct verify *v, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (v->faults++ < FAULTS_TOLD_MOST)
		buf_printf(&v->command->text, "%s: %s\n", v->name, text);
	log_event(LOG_LEVEL_ERROR, "verify", log_c("account", v->name), log_c("fault", text));
}

/* ---- on the account's worker: what is said of mailboxes and messages ---- */

static bool count_is(struct verify *v, const struct mailbox *m, const char *what, uint64_t said, uint64_t is)
{
	if (said == is)
		return true;
	tell(v, "mailbox \"%s\": %s is said to be %llu and is %llu", m->name, what, (unsigned long long)said, (unsigned long long)is);
	return false;
}

static void check_counters(struct verify *v, struct mailbox *m)
{
	struct mailbox counted = {.account = &(struct account){0}};
	uint64_t highest = 0;
	for (size_t i = 0; i < m->index.count; i++) {
		mailbox_count(&counted, &m->index.rows[i], 1);
		highest = m->index.rows[i].modseq > highest ? m->index.rows[i].modseq : highest;
	}
	uint32_t last_uid = m->index.count ? m->index.rows[m->index.count - 1].uid : 0;
	unsigned bad = 0; /* all are told, not only the first */
	bad += !count_is(v, m, "the number of messages", m->messages, counted.messages);
	bad += !count_is(v, m, "the number of unseen ones", m->unseen, counted.unseen);
	bad += !count_is(v, m, "the number of deleted ones", m->deleted, counted.deleted);
	bad += !count_is(v, m, "its size", m->size, counted.size);
	if (m->uidnext <= last_uid || m->highestmodseq < highest) {
		tell(v, "mailbox \"%s\": UIDNEXT or HIGHESTMODSEQ is below what its messages have", m->name);
		bad++;
	}
	if (!bad || !v->is_repair)
		return;
	m->account->bytes += counted.size - m->size;
	m->account->messages += counted.messages - m->messages;
	m->messages = counted.messages;
	m->unseen = counted.unseen;
	m->deleted = counted.deleted;
	m->size = counted.size;
	m->deleted_size = counted.deleted_size;
	m->uidnext = m->uidnext > last_uid ? m->uidnext : last_uid + 1;
	m->highestmodseq = m->highestmodseq > highest ? m->highestmodseq : highest;
	mailbox_put(m);
	v->repaired++;
}

/* What filter once found in a message can be made anew, so one that cannot be read is thrown away. */
static void check_cache(struct verify *v, struct account *a, const struct mailbox *m, const struct row *row)
{
	BUF_AUTO key = {0}, value = {0};
	ARENA_AUTO arena = {0};
	struct mime_tree tree;
	struct error why = {0};
	account_cache_key(&key, row->blob);
	int found = engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, &why);
	if (found == 0 || (found > 0 && message_cache_unpack(buf_span(&value), &arena, &tree, &why) == 0))
		return;
	tell(v, "mailbox \"%s\", UID %u: its parsed structure cannot be read (%s)", m->name, row->uid, why.text);
	if (!v->is_repair)
		return;
	batch_delete(&a->batch, account_partition(a), buf_span(&key));
	v->repaired++;
}

static void check_mailbox(struct verify *v, struct account *a, struct mailbox *m)
{
	struct error why = {0};
	if (!mailbox_load(m, &why)) {
		tell(v, "mailbox \"%s\" cannot be read: %s", m->name, why.text);
		return;
	}
	check_counters(v, m);
	for (size_t i = 0; i < m->index.count; i++) {
		const struct row *row = &m->index.rows[i];
		struct checked_message one = {row->blob, m->id, row->uid, row->size};
		buf_add(&v->checked, span_of(&one, sizeof one));
		check_cache(v, a, m, row);
	}
}

static void check_bytes(struct worker *w, struct job *job);
static void step_done(void *context);

static void check_account(struct worker *w, struct job *job)
{
	struct verify *v = (struct verify *)job;
	struct error why = {0};
	struct account *a = account_get(w, v->accounts[v->at], &why);
	if (!a) {
		tell(v, "the account cannot be read: %s", why.text);
		worker_say(w, parcel_to_call(step_done, v));
		return;
	}
	for (size_t i = 0; i < a->mailbox_count; i++)
		check_mailbox(v, a, a->mailboxes[i]);
	account_call_loop(a, step_done, v);
	account_settle(a);
}

/* ---- in the thread that reads the whole store: the bytes ---- */

static void check_bytes(struct worker *w, struct job *job)
{
	struct verify *v = (struct verify *)job;
	size_t count = v->checked.len / sizeof(struct checked_message);
	for (size_t i = 0; i < count; i++) {
		struct checked_message one;
		struct error why = {0};
		uint64_t size = 0;
		memcpy(&one, v->checked.ptr + i * sizeof one, sizeof one);
		int found = blob_verify(v->store->engine, one.blob, &size, &why);
		v->messages++;
		v->bytes += size;
		if (found <= 0 || size != one.size)
			buf_add(&v->damaged, span_of(&one, sizeof one));
	}
	worker_say(w, parcel_to_call(step_done, v));
}

/* ---- on the worker again: those whose bytes are not what they were, if they are still there ---- */

static void set_aside(struct verify *v, struct account *a, struct mailbox *m, uint32_t uid)
{
	BUF_AUTO range = {0};
	struct mailbox *to = mailbox_find(a, span_cstr(MAILBOX_OF_DAMAGED));
	struct row row = *index_find(&m->index, uid);
	if (!to)
		to = mailbox_make(a, span_cstr(MAILBOX_OF_DAMAGED), USE_NONE);
	if (to == m || !mailbox_load(to, NULL))
		return;
	row.keywords = 0;
	mailbox_append(to, &row);
	ranges_add(&range, uid);
	mailbox_remove(m, buf_span(&range), true);
	v->repaired++;
}

static void look_again(struct worker *w, struct job *job)
{
	struct verify *v = (struct verify *)job;
	struct account *a = account_get(w, v->accounts[v->at], NULL);
	size_t count = v->damaged.len / sizeof(struct checked_message);
	for (size_t i = 0; a && i < count; i++) {
		struct checked_message one;
		struct error why = {.text = "its bytes are missing"};
		uint64_t size = 0;
		memcpy(&one, v->damaged.ptr + i * sizeof one, sizeof one);
		struct mailbox *m = NULL;
		for (size_t k = 0; k < a->mailbox_count && !m; k++)
			m = a->mailboxes[k]->id == one.mailbox ? a->mailboxes[k] : NULL;
		if (!m || !mailbox_load(m, NULL) || !index_find(&m->index, one.uid))
			continue; /* it has gone meanwhile */
		int found = blob_verify(v->store->engine, one.blob, &size, &why);
		if (found > 0 && size == one.size)
			continue;
		tell(v, "mailbox \"%s\", UID %u is damaged: %s", m->name, one.uid, found > 0 ? "it has another size" : why.text);
		if (v->is_repair)
			set_aside(v, a, m, one.uid);
	}
	buf_clear(&v->checked);
	buf_clear(&v->damaged);
	if (!a) {
		worker_say(w, parcel_to_call(step_done, v));
		return;
	}
	account_call_loop(a, step_done, v);
	account_settle(a);
}

/* ---- the round ---- */

static void end(struct verify *v)
{
	struct command_run *c = v->command;
	buf_printf(&c->text, "%zu account%s, %zu message%s, %llu bytes: %zu fault%s", v->account_count, v->account_count == 1 ? "" : "s", v->messages,
	           v->messages == 1 ? "" : "s", (unsigned long long)v->bytes, v->faults, v->faults == 1 ? "" : "s");
	if (v->is_repair)
		buf_printf(&c->text, ", %zu mended", v->repaired);
	buf_add_char(&c->text, '\n');
	if (v->faults > v->repaired)
		c->code = CODE_REFUSED;
	atomic_fetch_sub(&v->store->background, 1);
	buf_free(&v->checked);
	buf_free(&v->damaged);
	free(v->accounts);
	free(v);
	command_finish(c);
}

static void next_account(struct verify *v)
{
	BUF_AUTO name = {0};
	if (v->at == v->account_count) {
		end(v);
		return;
	}
	directory_account_name(v->store, v->accounts[v->at], &name, NULL);
	snprintf(v->name, sizeof v->name, "%s", buf_cstr(&name));
	v->job.run = check_account;
	worker_post(store_worker_of(v->store, v->accounts[v->at]), &v->job);
}

/* A step is over; the next one, or the next account. */
static void step_done(void *context)
{
	struct verify *v = context;
	if (v->job.run == check_account) {
		v->job.run = check_bytes;
		worker_post(v->store->searcher, &v->job);
	} else if (v->job.run == check_bytes && v->damaged.len) {
		v->job.run = look_again;
		worker_post(store_worker_of(v->store, v->accounts[v->at]), &v->job);
	} else {
		buf_clear(&v->checked);
		v->at++;
		next_account(v);
	}
}

static int add_account(void *context, struct span name, const struct directory_entry *entry)
{
	struct verify *v = context;
	(void)name;
	if (entry->is_alias)
		return 0;
	v->accounts = xrealloc_array(v->accounts, v->account_count + 1, sizeof *v->accounts);
	v->accounts[v->account_count++] = entry->account;
	return 0;
}

void verify_run(struct command_run *c, uint64_t account, bool is_repair)
{
	struct verify *v = xcalloc(1, sizeof *v);
	*v = (struct verify){.command = c, .store = c->store, .is_repair = is_repair};
	if (account)
		add_account(v, SPAN(""), &(struct directory_entry){.account = account});
	else
		directory_walk(c->store, false, add_account, v, NULL);
	c->is_elsewhere = true;
	atomic_fetch_add(&c->store->background, 1);
	next_account(v);
}
