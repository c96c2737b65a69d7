/* Loading accounts, submitting their changes, and holding back what is said about them. */
#include "store/mailbox/account.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/import.h"
#include "store/mailbox/removed.h"
#include "store/mailbox/threading.h"
#include "store/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ACCOUNT_VERSION = 3,
	USES_LEAST = 256, /* reference counts kept in memory before it is looked which of them are on the disk */
};

/* The reference count of a blob as an operation left it whose commit may be under way. */
struct blob_use {
	struct blob_use *next; /* of the same hash */
	struct id128 blob;
	struct id128 lender; /* store/blob.h; zero: it has none */
	uint32_t count;
	bool is_shared;
	uint64_t commit;
};

struct account_commit {
	struct commit commit;
	struct account *account;
	struct job *job; /* to be run by the worker when it is on the disk; may be NULL */
	uint64_t number;
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

static void free_uses(struct account *a)
{
	size_t at = 0;
	for (struct blob_use *use; (use = map_next(&a->uses, &at));)
		while (use) {
			struct blob_use *next = use->next;
			free(use);
			use = next;
		}
	map_free(&a->uses);
}

static void free_account(struct account *a)
{
	map_take(&a->worker->loaded, a->id);
	unlink_account(a);
	for (size_t i = 0; i < a->mailbox_count; i++)
		mailbox_free(a->mailboxes[i]);
	account_forget_subscriptions(a);
	free_uses(a);
	buf_free(&a->dropped_readers);
	threading_forget(a);
	free(a->mailboxes);
	batch_free(&a->batch);
	free(a);
}

int account_read_record(struct account *a, struct error *why)
{
	BUF_AUTO value = {0};
	int found = engine_get(a->worker->engine, account_partition(a), SPAN("i"), &value, why);
	if (found <= 0)
		return found;
	struct unpacker u = {.rest = buf_span(&value)};
	uint8_t version = unpack_u8(&u);
	a->next_mailbox = unpack_u32(&u);
	a->last_uidvalidity = unpack_u32(&u);
	a->has_warned = unpack_u8(&u) != 0;
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
	pack_u8(&value, a->has_warned);
	batch_put(&a->batch, account_partition(a), SPAN("i"), buf_span(&value));
}

typedef int read_row_fn(struct account *a, struct span key, struct span value, struct error *why);

static int read_rows(struct account *a, struct span from, struct span to, read_row_fn *read_row, struct error *why)
{
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), from, to);
	struct span key, value;
	int more, bad = 0;
	while (!bad && (more = engine_scan_next(scan, &key, &value, why)) > 0)
		bad = read_row(a, key, value, why);
	engine_scan_close(scan);
	return bad || more < 0 ? -1 : 0;
}

/* What was appended since the mailboxes' records were written. */
static int read_tails(struct account *a, struct error *why)
{
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), SPAN("t"), SPAN("u"));
	struct span key, value;
	size_t at = 0; /* both stand in the order of mailboxes' ids */
	int more;
	while ((more = engine_scan_next(scan, &key, &value, why)) > 0) {
		uint32_t mailbox;
		struct row row;
		if (index_read_tail(key, value, &mailbox, &row))
			continue; /* mailbox_load will say so */
		while (at < a->mailbox_count && a->mailboxes[at]->id < mailbox)
			at++;
		if (at < a->mailbox_count && a->mailboxes[at]->id == mailbox)
			mailbox_count_tail(a->mailboxes[at], &row);
	}
	engine_scan_close(scan);
	return more < 0 ? -1 : 0;
}

/* The mailboxes that an account starts with. */
static void make_first_mailboxes(struct account *a)
{
	static const struct { const char *name; uint8_t use; } first[] = {
		{"INBOX", USE_NONE}, {"Drafts", USE_DRAFTS}, {"Sent", USE_SENT}, {"Junk", USE_JUNK}, {"Trash", USE_TRASH},
		{"Archive", USE_ARCHIVE}};
	for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
		mailbox_add(a, span_cstr(first[i].name), first[i].use);
		account_subscribe(a, span_cstr(first[i].name));
	}
}

static void sum_usage(struct account *a)
{
	a->bytes = a->messages = 0;
	for (size_t i = 0; i < a->mailbox_count; i++) {
		a->bytes += a->mailboxes[i]->size;
		a->messages += a->mailboxes[i]->messages;
	}
}

/* A store that comes from a backup gives UIDs a second time that clients have seen on other messages: so every mailbox gets another
 * UIDVALIDITY, greater than any before (RFC 3501 §2.3.1.1), once for each time that the store was restored. */
static int renew_uidvalidities(struct account *a, uint64_t restored_ms, struct error *why)
{
	BUF_AUTO value = {0}, renewed = {0};
	pack_u64(&renewed, restored_ms);
	if (engine_get(a->worker->engine, account_partition(a), SPAN("e"), &value, why) < 0)
		return -1;
	if (span_equal(buf_span(&value), buf_span(&renewed)))
		return 0;
	if (a->last_uidvalidity < (uint32_t)(restored_ms / 1000))
		a->last_uidvalidity = (uint32_t)(restored_ms / 1000);
	for (size_t i = 0; i < a->mailbox_count; i++) {
		a->mailboxes[i]->uidvalidity = ++a->last_uidvalidity;
		mailbox_put(a->mailboxes[i]);
	}
	account_put(a);
	batch_put(&a->batch, account_partition(a), SPAN("e"), buf_span(&renewed));
	return 0;
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
	a->batch.is_durable = true;
	snprintf(a->partition, sizeof a->partition, "a%016llx", (unsigned long long)id);
	map_put(&w->loaded, id, a);
	link_newest(a);
	int found = account_read_record(a, why);
	if (found < 0 || read_rows(a, SPAN("m"), SPAN("n"), mailbox_read_record, why) ||
	    read_rows(a, SPAN("s"), SPAN("t"), account_read_subscription, why) || read_tails(a, why)) {
		free_account(a);
		return NULL;
	}
	sum_usage(a);
	/* without them the mailboxes are their owner's alone */
	if (read_rows(a, SPAN("a"), SPAN("b"), acl_read, why))
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_c("account", a->partition), log_c("why", why ? why->text : "rights"));
	a->has_unique_ids = unique_ids_are_there(a);
	if (w->store && w->store->restored_ms && renew_uidvalidities(a, w->store->restored_ms, why)) {
		free_account(a);
		return NULL;
	}
	if (found == 0 && a->mailbox_count == 0)
		make_first_mailboxes(a);
	account_say_usage(a);
	return a;
}

void account_measure(struct engine *e, uint64_t id, uint64_t *bytes, uint64_t *messages)
{
	struct worker w = {.engine = e};
	struct account a = {.worker = &w, .id = id};
	snprintf(a.partition, sizeof a.partition, "a%016llx", (unsigned long long)id);
	bool is_good = read_rows(&a, SPAN("m"), SPAN("n"), mailbox_read_record, NULL) == 0 && read_tails(&a, NULL) == 0;
	sum_usage(&a);
	*bytes = is_good ? a.bytes : 0;
	*messages = is_good ? a.messages : 0;
	for (size_t i = 0; i < a.mailbox_count; i++)
		mailbox_free(a.mailboxes[i]);
	free(a.mailboxes);
}

bool account_is_durable(const struct account *a)
{
	return batch_is_empty(&a->batch) && a->submitted == atomic_load(&a->durable);
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
		if (a->view_count == 0 && a->indexing_count == 0 && account_is_durable(a))
			free_account(a);
	}
}

/* ---- saying and settling ---- */

/* Takes what is on the disk out of the table, each time that it has doubled. */
static void forget_uses(struct account *a)
{
	uint64_t durable = atomic_load(&a->durable);
	size_t at = 0;
	struct blob_use *use;
	if (a->uses.count < USES_LEAST || a->uses.count < a->uses_bound)
		return;
	while ((use = map_next(&a->uses, &at)))
		if (!use->next && use->commit <= durable)
			free(map_take(&a->uses, id128_hash(use->blob)));
	a->uses_bound = a->uses.count * 2;
}

/* In the committer's thread, after what the commit says has left. The account may go with the last line. */
static void on_committed(struct commit *commit)
{
	struct account_commit *c = commit->context;
	struct account *a = c->account;
	uint64_t number = c->number;
	if (c->job)
		worker_post_answer(a->worker, c->job);
	batch_free(&c->commit.batch);
	free(c);
	atomic_store(&a->durable, number);
}

static void submit(struct account *a, struct job *job)
{
	struct account_commit *c = xcalloc(1, sizeof *c);
	*c = (struct account_commit){.account = a, .job = job, .number = ++a->submitted};
	c->commit = (struct commit){.batch = a->batch, .said = a->said, .done = on_committed, .context = c};
	a->batch = (struct batch){.is_durable = true};
	a->said = (struct parcel_list){0};
	forget_uses(a);
	worker_hand_over(a->worker);
	committer_submit(a->worker->committer, &c->commit);
}

void account_settle(struct account *a)
{
	account_say_usage(a);
	if (!batch_is_empty(&a->batch))
		submit(a, NULL);
	if (a->dropped_readers.len)
		acl_settle(a);
}

static void say(struct account *a, struct parcel *p)
{
	if (account_is_durable(a)) {
		worker_say(a->worker, p);
		return;
	}
	parcel_list_add(&a->said, p);
	if (batch_is_empty(&a->batch))
		submit(a, NULL); /* behind the commits that are under way */
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
	say(a, parcel_to_call(fn, context));
}

void account_when_durable(struct account *a, struct job *j)
{
	account_settle(a);
	if (account_is_durable(a))
		j->run(a->worker, j);
	else
		submit(a, j);
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
	struct blob_use *same_hash = map_get(&a->uses, id128_hash(blob));
	for (struct blob_use *use = same_hash; use; use = use->next)
		if (id128_equal(use->blob, blob))
			return use;
	BUF_AUTO key = {0}, value = {0};
	struct blob_use *use = xcalloc(1, sizeof *use);
	*use = (struct blob_use){.blob = blob, .count = 1, .next = same_hash};
	use_key(&key, blob);
	int found = engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, NULL);
	struct unpacker u = {.rest = buf_span(&value)};
	if (found > 0) {
		use->count = unpack_u32(&u);
		use->is_shared = unpack_u8(&u) != 0;
		if (u.rest.len)
			unpack_id128(&u, &use->lender);
	}
	if (found < 0 || u.bad)
		use->is_shared = true; /* it cannot be read: better kept for ever than deleted under another's row */
	map_put(&a->uses, id128_hash(blob), use);
	return use;
}

static void put_use(struct account *a, struct blob_use *use)
{
	BUF_AUTO key = {0}, value = {0};
	use_key(&key, use->blob);
	use->commit = a->submitted + 1;
	bool is_lent = !id128_is_zero(use->lender);
	if (use->count == 0 || (use->count == 1 && !use->is_shared && !is_lent)) {
		batch_delete(&a->batch, account_partition(a), buf_span(&key));
		return;
	}
	pack_u32(&value, use->count);
	pack_u8(&value, use->is_shared);
	if (is_lent)
		buf_add(&value, id128_span(&use->lender));
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

bool account_use_lender(struct span value, struct id128 *lender)
{
	struct unpacker u = {.rest = value};
	unpack_u32(&u);
	unpack_u8(&u);
	if (!u.rest.len)
		return false;
	unpack_id128(&u, lender);
	return true;
}

void account_blob_added(struct account *a, struct id128 blob, bool is_shared)
{
	if (is_shared) {
		/* from outside: this account's first row of it, or one more of what came so before */
		struct blob_use *use = find_use(a, blob);
		use->count = use->is_shared ? use->count + 1 : 1;
		use->is_shared = true;
		put_use(a, use);
		return;
	}
	struct blob_use *use = find_use(a, blob);
	use->count++;
	put_use(a, use);
}

void account_blob_borrows(struct account *a, struct id128 blob, struct id128 lender)
{
	struct blob_use *use = find_use(a, blob);
	use->lender = lender;
	put_use(a, use);
}

bool account_blob_share(struct account *a, struct id128 blob, struct id128 *lender)
{
	struct blob_use *use = find_use(a, blob);
	*lender = use->lender;
	if (use->is_shared)
		return false;
	use->is_shared = true;
	put_use(a, use);
	return true;
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
	if (!id128_is_zero(use->lender)) {
		blob_delete(&a->batch, blob, 0); /* the lender's pieces are the sweep's */
		return;
	}
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
	struct error why = {0};
	while (a->mailbox_count)
		mailbox_erase(a->mailboxes[0], true);
	if (removed_purge(a, UINT64_MAX, SIZE_MAX, &why) < 0)
		log_event(LOG_LEVEL_WARNING, "account-damaged", log_c("account", a->partition), log_c("why", why.text));
	account_forget_subscriptions(a);
	batch_delete_range(&a->batch, account_partition(a), SPAN(""), SPAN(""));
	account_settle(a);
}
