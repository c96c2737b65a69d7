/* Loading accounts, submitting their changes, and holding back what is said about them. */
#include "store/mailbox/account.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNT_VERSION = 1 };

struct waiting_job {
	struct waiting_job *next;
	struct job *job;
	uint64_t after;
};

/* The reference count of a blob as an operation left it whose commit is under way. */
struct blob_use {
	struct blob_use *next;
	struct id128 blob;
	uint32_t count;
	bool is_shared;
	uint64_t commit;
};

/* A commit's way back to the worker. */
struct account_commit {
	struct commit commit;
	struct job done;
	struct account *account;
};

struct span account_partition(const struct account *a)
{
	return span_cstr(a->partition);
}

/* ---- loading ---- */

static void link_newest(struct account *a)
{
	struct worker *w = a->worker;
	a->newer = NULL;
	a->older = w->accounts;
	if (w->accounts)
		w->accounts->newer = a;
	w->accounts = a;
}

static void unlink_account(struct account *a)
{
	if (a->newer)
		a->newer->older = a->older;
	else
		a->worker->accounts = a->older;
	if (a->older)
		a->older->newer = a->newer;
}

static void free_account(struct account *a)
{
	map_take(&a->worker->loaded, a->id);
	unlink_account(a);
	for (size_t i = 0; i < a->mailbox_count; i++)
		mailbox_free(a->mailboxes[i]);
	for (size_t i = 0; i < a->subscribed_only_count; i++)
		free(a->subscribed_only[i]);
	free(a->subscribed_only);
	free(a->mailboxes);
	batch_free(&a->batch);
	free(a);
}

static int read_account_record(struct account *a, struct error *why)
{
	BUF_AUTO value = {0};
	int found = engine_get(a->worker->engine, account_partition(a), SPAN("i"), &value, why);
	if (found <= 0)
		return found;
	struct unpacker u = {.rest = buf_span(&value)};
	uint8_t version = unpack_u8(&u);
	a->next_mailbox = unpack_u32(&u);
	a->last_uidvalidity = unpack_u32(&u);
	uint32_t count = unpack_u32(&u);
	for (uint32_t i = 0; i < count && !u.bad; i++) {
		struct span name = unpack_bytes(&u, MAILBOX_NAME_BYTES_MOST);
		if (!u.bad)
			account_subscribe_only(a, name, true);
	}
	if (version != ACCOUNT_VERSION || !unpack_done(&u))
		return error_set(why, EBADMSG, "the record of account %s is damaged", a->partition);
	return 1;
}

void account_put(struct account *a)
{
	BUF_AUTO value = {0};
	pack_u8(&value, ACCOUNT_VERSION);
	pack_u32(&value, a->next_mailbox);
	pack_u32(&value, a->last_uidvalidity);
	pack_u32(&value, (uint32_t)a->subscribed_only_count);
	for (size_t i = 0; i < a->subscribed_only_count; i++)
		pack_bytes(&value, span_cstr(a->subscribed_only[i]));
	batch_put(&a->batch, account_partition(a), SPAN("i"), buf_span(&value));
}

static int read_mailboxes(struct account *a, struct error *why)
{
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), SPAN("m"), SPAN("n"));
	struct span key, value;
	int more, bad = 0;
	while (!bad && (more = engine_scan_next(scan, &key, &value, why)) > 0)
		bad = mailbox_read_record(a, key, value, why);
	engine_scan_close(scan);
	return bad || more < 0 ? -1 : 0;
}

/* The mailboxes that an account starts with. */
static void make_first_mailboxes(struct account *a)
{
	static const struct { const char *name; uint8_t use; } first[] = {
		{"INBOX", USE_NONE}, {"Drafts", USE_DRAFTS}, {"Sent", USE_SENT}, {"Junk", USE_JUNK}, {"Trash", USE_TRASH},
		{"Archive", USE_ARCHIVE}};
	for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
		mailbox_add(a, span_cstr(first[i].name), first[i].use)->is_subscribed = true;
	for (size_t i = 0; i < a->mailbox_count; i++)
		mailbox_put(a->mailboxes[i]);
}

struct account *account_get(struct worker *w, uint64_t id, struct error *why)
{
	struct account *a = map_get(&w->loaded, id);
	if (a) {
		unlink_account(a);
		link_newest(a);
		return a;
	}
	account_evict(w);
	a = xcalloc(1, sizeof *a);
	*a = (struct account){.worker = w, .id = id, .next_mailbox = 1};
	a->held_last = &a->held;
	a->batch.is_durable = true;
	snprintf(a->partition, sizeof a->partition, "a%016llx", (unsigned long long)id);
	map_put(&w->loaded, id, a);
	link_newest(a);
	int found = read_account_record(a, why);
	if (found < 0 || read_mailboxes(a, why)) {
		free_account(a);
		return NULL;
	}
	if (found == 0 && a->mailbox_count == 0)
		make_first_mailboxes(a);
	return a;
}

void account_evict(struct worker *w)
{
	if (w->loaded.count < ACCOUNTS_LOADED_MOST)
		return;
	struct account *oldest = w->accounts;
	while (oldest->older)
		oldest = oldest->older;
	/* a sixteenth of them at once, so that the walk is paid seldom */
	for (size_t n = ACCOUNTS_LOADED_MOST / 16; n && oldest; n--) {
		struct account *a = oldest;
		oldest = a->newer;
		if (a->view_count == 0 && a->submitted == a->durable && !a->waiting && batch_is_empty(&a->batch))
			free_account(a);
	}
}

/* ---- saying and settling ---- */

static void say(struct account *a, struct parcel *p)
{
	/* what the operation in hand changed will be the next commit */
	uint64_t after = a->submitted + !batch_is_empty(&a->batch);
	if (after == a->durable) {
		worker_say(a->worker, p);
		return;
	}
	p->after = after;
	p->next = NULL;
	*a->held_last = p;
	a->held_last = &p->next;
}

void account_say(struct account *a, peer_id peer, struct buf *frames)
{
	if (frames->len == 0)
		return;
	struct parcel *p = parcel_new(peer);
	p->frames = *frames;
	*frames = (struct buf){0};
	say(a, p);
}

void account_call_loop(struct account *a, loop_fn *fn, void *context)
{
	struct parcel *p = parcel_new(0);
	p->call = fn;
	p->context = context;
	say(a, p);
}

static void release_held(struct account *a)
{
	while (a->held && a->held->after <= a->durable) {
		struct parcel *p = a->held;
		a->held = p->next;
		worker_say(a->worker, p);
	}
	if (!a->held)
		a->held_last = &a->held;
}

static void release_uses(struct account *a)
{
	for (struct blob_use **at = &a->uses; *at;) {
		struct blob_use *use = *at;
		if (use->commit > a->durable) {
			at = &use->next;
			continue;
		}
		*at = use->next;
		free(use);
	}
}

static void run_waiting(struct account *a)
{
	struct worker *w = a->worker;
	while (a->waiting && a->waiting->after <= a->durable) {
		struct waiting_job *first = a->waiting;
		struct job *j = first->job;
		a->waiting = first->next;
		free(first);
		j->run(w, j);
	}
}

/* Back in the worker's thread: a commit of this account is on the disk. */
static void on_durable(struct worker *w, struct job *j)
{
	(void)w;
	struct account_commit *c = (struct account_commit *)((char *)j - offsetof(struct account_commit, done));
	struct account *a = c->account;
	a->durable = c->commit.number;
	batch_free(&c->commit.batch);
	free(c);
	release_held(a);
	release_uses(a);
	run_waiting(a);
}

/* In the committer's thread. */
static void on_committed(struct commit *commit)
{
	struct account_commit *c = commit->context;
	worker_post(c->account->worker, &c->done);
}

void account_settle(struct account *a)
{
	if (batch_is_empty(&a->batch))
		return;
	struct account_commit *c = xcalloc(1, sizeof *c);
	c->account = a;
	c->done.run = on_durable;
	c->commit = (struct commit){.batch = a->batch, .done = on_committed, .context = c, .number = ++a->submitted};
	a->batch = (struct batch){.is_durable = true};
	committer_submit(a->worker->committer, &c->commit);
}

void account_when_durable(struct account *a, struct job *j)
{
	uint64_t after = a->submitted + !batch_is_empty(&a->batch);
	if (after == a->durable) {
		j->run(a->worker, j);
		return;
	}
	struct waiting_job *waiting = xcalloc(1, sizeof *waiting), **at = &a->waiting;
	*waiting = (struct waiting_job){.job = j, .after = after};
	while (*at)
		at = &(*at)->next;
	*at = waiting;
}

/* ---- blobs ---- */

static void use_key(struct buf *key, struct id128 blob)
{
	buf_clear(key);
	buf_add_char(key, 'b');
	buf_add(key, id128_span(&blob));
}

/* The count as it is with everything submitted: 1 and not shared where nothing is written about it. */
static struct blob_use *find_use(struct account *a, struct id128 blob)
{
	for (struct blob_use *use = a->uses; use; use = use->next)
		if (id128_equal(use->blob, blob))
			return use;
	BUF_AUTO key = {0}, value = {0};
	struct blob_use *use = xcalloc(1, sizeof *use);
	*use = (struct blob_use){.blob = blob, .count = 1, .next = a->uses};
	use_key(&key, blob);
	int found = engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, NULL);
	struct unpacker u = {.rest = buf_span(&value)};
	if (found > 0) {
		use->count = unpack_u32(&u);
		use->is_shared = unpack_u8(&u) != 0;
	}
	if (found < 0 || u.bad)
		use->is_shared = true; /* it cannot be read: better kept for ever than deleted under another's row */
	a->uses = use;
	return use;
}

static void put_use(struct account *a, struct blob_use *use)
{
	BUF_AUTO key = {0}, value = {0};
	use_key(&key, use->blob);
	use->commit = a->submitted + 1;
	if (use->count == 0 || (use->count == 1 && !use->is_shared)) {
		batch_delete(&a->batch, account_partition(a), buf_span(&key));
		return;
	}
	pack_u32(&value, use->count);
	pack_u8(&value, use->is_shared);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

void account_blob_added(struct account *a, struct id128 blob, bool is_shared)
{
	if (is_shared) {
		/* a delivery to several accounts: this account's first row of it */
		struct blob_use *use = xcalloc(1, sizeof *use);
		*use = (struct blob_use){.blob = blob, .count = 1, .is_shared = true, .next = a->uses};
		a->uses = use;
		put_use(a, use);
		return;
	}
	struct blob_use *use = find_use(a, blob);
	use->count++;
	put_use(a, use);
}

void account_blob_dropped(struct account *a, struct id128 blob)
{
	struct blob_use *use = find_use(a, blob);
	if (use->count > 0)
		use->count--;
	put_use(a, use);
	if (use->count > 0)
		return;
	BUF_AUTO memory = {0};
	struct blob_head head = {0};
	account_cache_key(&memory, blob);
	batch_delete(&a->batch, account_partition(a), buf_span(&memory));
	if (use->is_shared)
		return; /* what accounts share is swept when none of them names it */
	buf_clear(&memory);
	if (blob_head_get(a->worker->engine, blob, &memory, &head, NULL) < 0)
		log_event(LOG_LEVEL_WARNING, "blob-damaged", log_c("account", a->partition));
	blob_delete(&a->batch, blob, head.received);
}

void account_cache_key(struct buf *key, struct id128 blob)
{
	buf_clear(key);
	buf_add_char(key, 'p');
	buf_add(key, id128_span(&blob));
}

void account_erase(struct account *a)
{
	while (a->mailbox_count)
		mailbox_erase(a->mailboxes[0]);
	batch_delete_range(&a->batch, account_partition(a), SPAN(""), SPAN(""));
	account_settle(a);
}
