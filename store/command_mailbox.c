/* `carteiro restore`, `expire` and `verify`: deleted messages that come back, rules by which messages go, and the proof of what is there. */
#include "store/command_run.h"

#include "base/clock.h"
#include "base/die.h"
#include "store/directory/expire.h"
#include "store/housekeeping.h"
#include "store/mailbox/removed.h"
#include "store/verify.h"
#include "wire/date.h"

#include <stdlib.h>

/* "90s", "15m", "12h", "30d" */
static bool read_duration(struct span text, uint64_t *out)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	for (size_t i = 0; text.len > 1 && i < sizeof units / sizeof units[0]; i++)
		if (text.ptr[text.len - 1] == units[i].unit) {
			bool is_good = span_to_u64(span_slice(text, 0, text.len - 1), 100000000, out) == 0 && *out > 0;
			*out *= units[i].seconds;
			return is_good;
		}
	return false;
}

/* ---- restore: on the account's worker ---- */

struct restore_job {
	struct job job;
	struct command_run *command;
	uint64_t account;
	struct removed_choice choice;
	bool is_list;
};

static void show(void *context, const struct removed_entry *e)
{
	struct command_run *c = context;
	BUF_AUTO when = {0};
	date_format_internet((int64_t)(e->removed_ms / 1000), &when);
	buf_printf(&c->text, "%llx.%x  %s  %u message%s, %llu bytes  %.*s\n", (unsigned long long)e->removed_ms, e->number, buf_cstr(&when), e->messages,
	           e->messages == 1 ? "" : "s", (unsigned long long)e->bytes, SPAN_ARG(e->mailbox));
}

static void on_restored(void *context)
{
	struct restore_job *j = context;
	command_finish(j->command);
	free(j);
}

static void restore(struct worker *w, struct job *job)
{
	struct restore_job *j = (struct restore_job *)job;
	struct command_run *c = j->command;
	struct error why = {0};
	struct account *a = account_get(w, j->account, &why);
	ssize_t count = -1;
	/* what was deleted is read from the disk */
	if (a && !account_is_durable(a)) {
		account_when_durable(a, job);
		return;
	}
	if (a && j->is_list)
		count = removed_walk(a, show, c, &why);
	else if (a)
		count = removed_restore(a, &j->choice, &why);
	if (count < 0)
		command_fail(c, CODE_BROKEN, "%s", why.text);
	else if (!j->is_list)
		buf_printf(&c->text, "%zd message%s restored\n", count, count == 1 ? "" : "s");
	if (!a) {
		worker_say(w, parcel_to_call(on_restored, j));
		return;
	}
	account_call_loop(a, on_restored, j);
	account_settle(a);
}

static void post_restore(struct command_run *c, uint64_t account, const struct removed_choice *choice)
{
	struct restore_job *j = xcalloc(1, sizeof *j);
	*j = (struct restore_job){.job.run = restore, .command = c, .account = account, .is_list = !choice};
	if (choice)
		j->choice = *choice;
	c->is_elsewhere = true;
	worker_post(store_worker_of(c->store, account), &j->job);
}

/* "19f0c5a1b2c.1", as the list has it. */
static bool read_entry(struct span text, struct removed_choice *out)
{
	char copy[40], *end;
	ssize_t dot = span_chr(text, '.');
	if (dot <= 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	out->removed_ms = strtoull(copy, &end, 16);
	if (end != copy + dot || !end[1])
		return false;
	out->number = (uint32_t)strtoul(end + 1, &end, 16);
	out->is_one = *end == 0;
	return out->is_one;
}

void restore_list(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (command_find_user(c, 2, &name, &entry))
		post_restore(c, entry.account, NULL);
}

void restore_some(struct command_run *c)
{
	struct directory_entry entry;
	struct removed_choice choice = {0};
	struct span name, what = c->words[2];
	uint64_t since_s;
	if (!command_find_user(c, 1, &name, &entry))
		return;
	if (c->count > 3 && !read_duration(c->words[3], &since_s)) {
		command_fail(c, CODE_USAGE, "\"%.*s\": write how long ago at most it was deleted, as in 12h or 3d", SPAN_ARG(span_slice(c->words[3], 0, 100)));
		return;
	}
	if (c->count > 3)
		choice.since_ms = (uint64_t)clock_wall_ms() - since_s * 1000;
	if (!read_entry(what, &choice) && !span_equal(what, SPAN("all")))
		choice.mailbox = what;
	post_restore(c, entry.account, &choice);
}

/* ---- expire ---- */

void expire_set(struct command_run *c)
{
	struct span target = command_target(c, 2, false);
	struct expire_rule rule = {.target = target, .mailbox = mailbox_canonical(c->words[3])};
	if (!target.len)
		return;
	if (!rule.mailbox.len || rule.mailbox.len > MAILBOX_NAME_BYTES_MOST || span_chr(rule.mailbox, 0) >= 0)
		command_fail(c, CODE_USAGE, "that is not the name of a mailbox");
	else if (!span_equal(c->words[4], SPAN("never")) && !read_duration(c->words[4], &rule.after_s))
		command_fail(c, CODE_USAGE, "\"%.*s\": write after how long messages go, as in 30d, or never", SPAN_ARG(span_slice(c->words[4], 0, 100)));
	else
		expire_put(&c->batch, &rule);
}

void expire_unset(struct command_run *c)
{
	struct span target = command_target(c, 2, false), mailbox = mailbox_canonical(c->words[3]);
	uint64_t after_s;
	if (!target.len)
		return;
	if (expire_get(c->store, target, mailbox, &after_s, NULL) <= 0)
		command_fail(c, CODE_REFUSED, "there is no such rule: `carteiro expire list` shows them");
	else
		expire_delete(&c->batch, target, mailbox);
}

static void list_rule(void *context, const struct expire_rule *rule)
{
	struct command_run *c = context;
	uint64_t s = rule->after_s;
	buf_printf(&c->text, "%.*s \"%.*s\" ", SPAN_ARG(rule->target), SPAN_ARG(rule->mailbox));
	if (s == 0)
		buf_add_cstr(&c->text, "never\n");
	else
		buf_printf(&c->text, "%llu%c\n", (unsigned long long)(s % 86400 == 0 ? s / 86400 : s % 3600 == 0 ? s / 3600 : s % 60 == 0 ? s / 60 : s),
		           s % 86400 == 0 ? 'd' : s % 3600 == 0 ? 'h' : s % 60 == 0 ? 'm' : 's');
}

void expire_list(struct command_run *c)
{
	expire_walk(c->store, SPAN(""), list_rule, c);
}

static void on_round(void *context, const struct housekeeping_report *report)
{
	struct command_run *c = context;
	buf_printf(&c->text, "%zu account%s: %zu message%s expired, %zu deletion%s given up for good\n", report->accounts, report->accounts == 1 ? "" : "s",
	           report->expired, report->expired == 1 ? "" : "s", report->purged, report->purged == 1 ? "" : "s");
	command_finish(c);
}

void expire_run(struct command_run *c)
{
	c->is_elsewhere = true;
	housekeeping_run(c->store, on_round, c);
}

/* ---- verify ---- */

void verify_some(struct command_run *c)
{
	struct directory_entry entry = {0};
	struct span name;
	size_t word = 1;
	bool is_repair = false;
	for (; word < c->count && span_starts_with(c->words[word], SPAN("--")); word++) {
		is_repair |= span_equal(c->words[word], SPAN("--repair"));
		if (!span_equal(c->words[word], SPAN("--repair"))) {
			command_fail(c, CODE_USAGE, "the option of verify is --repair");
			return;
		}
	}
	if (word < c->count && !command_find_user(c, word, &name, &entry))
		return;
	verify_run(c, entry.account, is_repair);
}
