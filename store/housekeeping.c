/* Rounds over all accounts: see housekeeping.h. */
#include "store/housekeeping.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/directory/directory.h"
#include "store/directory/expire.h"
#include "store/mailbox/removed.h"

#include <stdlib.h>

enum {
	FIRST_MS = 5 * 60 * 1000,
	EVERY_MS = 3600 * 1000,
	PURGED_AT_ONCE = 16, /* entries of one step: others want the worker too */
};

/* An account of the round. */
struct keep_job {
	struct job job;
	struct keep_job *next;
	struct round *round;
	uint64_t account;
	struct arena memory;
	struct expire_rule *rules; /* of this account: target is not used */
	size_t rule_count, rule_room;
	size_t expired, purged;
	bool has_more;
};

struct round {
	struct store *store;
	struct keep_job *first, **last;
	struct housekeeping_report report;
	uint64_t grace_s;
	bool is_hourly;
	housekeeping_fn *done;
	void *context;
};

static void next_account(struct round *r);

/* ---- on the account's worker ---- */

static size_t expire_mailbox(struct account *a, const struct expire_rule *rule, uint64_t now_ms)
{
	struct mailbox *m = mailbox_find(a, rule->mailbox);
	BUF_AUTO old = {0};
	size_t count = 0;
	if (!m || rule->after_s == 0 || !mailbox_load(m, NULL))
		return 0;
	uint64_t before_ms = rule->after_s * 1000 < now_ms ? now_ms - rule->after_s * 1000 : 0;
	for (size_t i = 0; i < m->index.count; i++)
		if (m->index.rows[i].saved_ms < before_ms) {
			ranges_add(&old, m->index.rows[i].uid);
			count++;
		}
	if (count)
		mailbox_remove(m, buf_span(&old), false);
	return count;
}

static void account_kept(void *context)
{
	struct keep_job *j = context;
	struct round *r = j->round;
	if (j->has_more) {
		j->has_more = false;
		worker_post(store_worker_of(r->store, j->account), &j->job);
		return;
	}
	r->report.accounts++;
	r->report.expired += j->expired;
	r->report.purged += j->purged;
	arena_free(&j->memory);
	free(j);
	next_account(r);
}

static void keep(struct worker *w, struct job *job)
{
	struct keep_job *j = (struct keep_job *)job;
	struct error why = {0};
	uint64_t now_ms = (uint64_t)clock_wall_ms();
	struct account *a = account_get(w, j->account, &why);
	if (!a) {
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_n("account", (int64_t)j->account), log_c("why", why.text));
		worker_say(w, parcel_to_call(account_kept, j));
		return;
	}
	/* what was deleted is read from the disk: an entry that is just being given up, or restored, must not be given up once more */
	if (!account_is_durable(a)) {
		account_when_durable(a, job);
		return;
	}
	for (size_t i = 0; i < j->rule_count; i++)
		j->expired += expire_mailbox(a, &j->rules[i], now_ms);
	ssize_t purged = removed_purge(a, now_ms - j->round->grace_s * 1000, PURGED_AT_ONCE, &why);
	if (purged < 0)
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_c("account", a->partition), log_c("why", why.text));
	j->purged += purged > 0 ? (size_t)purged : 0;
	j->has_more = purged == PURGED_AT_ONCE;
	account_call_loop(a, account_kept, j);
	account_settle(a);
}

/* ---- the round ---- */

static void add_rule(void *context, const struct expire_rule *rule)
{
	struct keep_job *j = context;
	for (size_t i = 0; i < j->rule_count; i++)
		if (span_equal(j->rules[i].mailbox, rule->mailbox))
			return; /* the user's own comes first */
	if (j->rule_count == j->rule_room) {
		struct expire_rule *more = arena_alloc_array(&j->memory, j->rule_room * 2 + 4, sizeof *more);
		if (j->rule_count)
			memcpy(more, j->rules, j->rule_count * sizeof *more);
		j->rules = more;
		j->rule_room = j->rule_room * 2 + 4;
	}
	j->rules[j->rule_count++] = (struct expire_rule){.mailbox = arena_dup(&j->memory, rule->mailbox), .after_s = rule->after_s};
}

static int add_account(void *context, struct span name, const struct directory_entry *entry)
{
	struct round *r = context;
	BUF_AUTO each = {0};
	if (entry->is_alias)
		return 0;
	struct keep_job *j = xcalloc(1, sizeof *j);
	*j = (struct keep_job){.job.run = keep, .round = r, .account = entry->account};
	expire_walk(r->store, name, add_rule, j);
	buf_add_cstr(&each, "*");
	buf_add(&each, span_skip(name, (size_t)span_rchr(name, '@')));
	expire_walk(r->store, buf_span(&each), add_rule, j);
	*r->last = j;
	r->last = &j->next;
	return 0;
}

static void next_account(struct round *r)
{
	struct keep_job *j = r->first;
	if (j) {
		r->first = j->next;
		worker_post(store_worker_of(r->store, j->account), &j->job);
		return;
	}
	if (r->report.expired || r->report.purged)
		log_event(LOG_LEVEL_INFO, "housekeeping", log_n("accounts", (int64_t)r->report.accounts), log_n("expired", (int64_t)r->report.expired),
		          log_n("purged", (int64_t)r->report.purged));
	if (r->is_hourly)
		timer_set(r->store->housekeeping, EVERY_MS);
	if (r->done)
		r->done(r->context, &r->report);
	free(r);
}

static void begin(struct store *s, bool is_hourly, housekeeping_fn *done, void *context)
{
	struct round *r = xcalloc(1, sizeof *r);
	*r = (struct round){.store = s, .grace_s = s->undelete_grace_s, .is_hourly = is_hourly, .done = done, .context = context};
	r->last = &r->first;
	directory_walk(s, false, add_account, r, NULL);
	next_account(r);
}

void housekeeping_run(struct store *s, housekeeping_fn *done, void *context)
{
	begin(s, false, done, context);
}

static void on_hour(void *context)
{
	begin(context, true, NULL, NULL);
}

void housekeeping_start(struct store *s)
{
	s->housekeeping = timer_new(s->loop, on_hour, s);
	timer_set(s->housekeeping, FIRST_MS);
}
