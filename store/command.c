/* domain, user, alias, queue and trace commands: a table, and a function each. */
#include "store/command_run.h"

#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/directory/route.h"
#include "store/mailbox/view.h"
#include "store/queue/queue.h"
#include "store/scram.h"
#include "store/session.h"
#include "store/trace.h"
#include "store/usage.h"
#include "wire/password_hash.h"
#include "wire/program.h"
#include "wire/scram.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { OUTPUT_BYTES = 60000 };

static void start_next(struct store *s);

struct erase_job {
	struct job job;
	uint64_t account;
};

static void erase(struct worker *w, struct job *j)
{
	struct erase_job *e = (struct erase_job *)j;
	struct account *a = account_get(w, e->account, NULL);
	if (a) {
		directory_erased(&a->batch, e->account);
		account_erase(a);
		log_event(LOG_LEVEL_INFO, "erasing-account", log_n("account", (int64_t)e->account));
	}
	free(e);
}

static void post_erase(struct store *s, uint64_t account)
{
	struct erase_job *e = xcalloc(1, sizeof *e);
	*e = (struct erase_job){.job.run = erase, .account = account};
	worker_post(store_worker_of(s, account), &e->job);
}

void command_erase_removed(struct store *s)
{
	directory_walk_removed(s, post_erase);
}

static void finish(void *context)
{
	struct command_run *c = context;
	struct store *s = c->store;
	struct store_peer *master = store_peer(c->store, c->master);
	for (struct span rest = buf_span(&c->text); master && rest.len; rest = span_skip(rest, OUTPUT_BYTES))
		channel_send(master->channel, command_output, .id = c->id, .text = span_slice(rest, 0, OUTPUT_BYTES));
	if (master)
		channel_send(master->channel, command_done, .id = c->id, .code = c->code);
	if (c->erase)
		post_erase(s, c->erase);
	arena_free(&c->arena);
	buf_free(&c->text);
	batch_free(&c->batch);
	if (s->command == c)
		s->command = NULL;
	free(c);
	start_next(s);
}

void command_finish(struct command_run *c)
{
	finish(c);
}

/* What the command changed is on the disk. */
static void changed(void *context)
{
	struct command_run *c = context;
	directory_changed(c->store);
	routes_changed(c->store);
	usage_limits_changed(c->store);
	if (c->renewed.len)
		log_event(LOG_LEVEL_INFO, c->renewed_event, log_s("user", c->renewed));
	if (c->scram_missing)
		scram_count(c->store, c->scram_missing);
	if (c->erase)
		usage_forget(c->store, c->erase);
	if (c->locked_out)
		session_end_account(c->store, c->locked_out, c->locked_out_why);
	if (c->master_ended)
		session_end_master(c->store, c->master_ended, "it is no master user any more");
	if (c->app_ended.len)
		session_end_app(c->store, c->app_ended_of, c->app_ended, "the application's password has been removed");
	finish(c);
}

void command_fail(struct command_run *c, uint8_t code, const char *format, ...)
{
	struct error text;
	va_list args;
	va_start(args, format);
	vsnprintf(text.text, sizeof text.text, format, args);
	va_end(args);
	buf_printf(&c->text, "%s\n", text.text);
	c->code = code;
}

struct span command_name(struct command_run *c, size_t word, bool is_domain)
{
	BUF_AUTO canonical = {0};
	struct error why = {0};
	if (directory_canonical(c->words[word], is_domain, &canonical, &why)) {
		command_fail(c, CODE_USAGE, "%s", why.text);
		return SPAN("");
	}
	return arena_dup(&c->arena, buf_span(&canonical));
}

bool command_is_in_our_domain(struct command_run *c, struct span address)
{
	struct span domain = span_skip(address, (size_t)(span_rchr(address, '@') + 1));
	if (directory_domain(c->store, domain, NULL) > 0)
		return true;
	command_fail(c, CODE_REFUSED, "%.*s is not one of this server's domains: `carteiro domain add %.*s` first", SPAN_ARG(domain), SPAN_ARG(domain));
	return false;
}

/* ---- aliases ---- */

/* An address, or "@" and a domain, which stands for all of its addresses. */
static struct span address_or_domain_of(struct command_run *c, size_t word)
{
	BUF_AUTO name = {0};
	if (!span_starts_with(c->words[word], SPAN("@")))
		return command_name(c, word, false);
	c->words[word] = span_skip(c->words[word], 1);
	struct span domain = command_name(c, word, true);
	buf_add_char(&name, '@');
	buf_add(&name, domain);
	return domain.len ? arena_dup(&c->arena, buf_span(&name)) : domain;
}

/* "|command", a word that a person who means an address with such a name writes with quotes: "|name"@domain. */
static struct span target_of(struct command_run *c, size_t word, bool is_of_domain)
{
	struct span target;
	struct error why = {0};
	if (!span_starts_with(c->words[word], SPAN("|")))
		return is_of_domain ? address_or_domain_of(c, word) : command_name(c, word, false);
	if (program_target(span_skip(c->words[word], 1), child_config(c->store->self)->pipes, &c->arena, &target, &why) == 0)
		return target;
	command_fail(c, CODE_REFUSED, "%s", why.text);
	return SPAN("");
}

static void alias_add(struct command_run *c)
{
	struct directory_entry entry;
	struct span name = address_or_domain_of(c, 2);
	bool is_of_domain = span_starts_with(name, SPAN("@"));
	if (!name.len || !command_is_in_our_domain(c, name))
		return;
	if (directory_get(c->store, name, &c->arena, &entry, NULL) > 0) {
		command_fail(c, CODE_REFUSED, "%.*s is there already", SPAN_ARG(name));
		return;
	}
	size_t count = c->count - 3;
	struct span *targets = arena_alloc_array(&c->arena, count, sizeof *targets);
	for (size_t i = 0; i < count; i++) {
		targets[i] = target_of(c, 3 + i, is_of_domain);
		if (!targets[i].len)
			return;
	}
	directory_put_alias(&c->batch, name, targets, count);
}

static int list_alias(void *context, struct span name, const struct directory_entry *entry)
{
	struct command_run *c = context;
	if (!entry->is_alias)
		return 0;
	buf_printf(&c->text, "%.*s ->", SPAN_ARG(name));
	for (size_t i = 0; i < entry->target_count; i++)
		buf_printf(&c->text, " %.*s", SPAN_ARG(entry->targets[i]));
	buf_add_char(&c->text, '\n');
	return 0;
}

static void alias_list(struct command_run *c)
{
	directory_walk(c->store, false, list_alias, c, NULL);
}

static void alias_remove(struct command_run *c)
{
	struct directory_entry entry;
	struct span name = address_or_domain_of(c, 2);
	if (!name.len)
		return;
	if (directory_get(c->store, name, &c->arena, &entry, NULL) > 0 && entry.is_alias)
		directory_delete_alias(&c->batch, name);
	else
		command_fail(c, CODE_NO_USER, "there is no alias %.*s: `carteiro alias list` shows them", SPAN_ARG(name));
}

static void show_again(struct store *s, void *context);

/* False while a table has to be asked. What was told on the way there is told anew then. */
static bool show(struct command_run *c)
{
	struct targets targets = {.look = c->look};
	buf_clear(&c->text);
	targets.look.story = &c->text;
	enum rcpt_outcome outcome = directory_resolve(c->store, c->words[2], true, &c->arena, &targets);
	c->look = targets.look;
	if (outcome == RCPT_LATER && c->look.question) {
		tables_wait(c->store, c->look.question, show_again, c);
		return false;
	}
	if (outcome == RCPT_LATER)
		command_fail(c, CODE_LATER, "where it leads cannot be told now%s", targets.is_too_large ? ": it leads to too many" : "");
	else if (outcome != RCPT_LOCAL && outcome != RCPT_REMOTE)
		command_fail(c, CODE_NO_USER, outcome == RCPT_BAD ? "that is no address" : "nobody gets its mail: 550");
	return true;
}

static void show_again(struct store *s, void *context)
{
	(void)s;
	if (show(context))
		command_finish(context);
}

static void alias_show(struct command_run *c)
{
	c->look.is_new = true;
	c->is_elsewhere = !show(c);
}

/* ---- queue and trace ---- */

static void queue_list(struct command_run *c)
{
	queue_print(c->store, &c->text);
}

static bool find_id(struct command_run *c, struct id128 *id)
{
	if (id128_parse(c->words[2], id) == 0)
		return true;
	command_fail(c, CODE_USAGE, "that is not a message's id: `carteiro queue list` shows them");
	return false;
}

static void queue_show_one(struct command_run *c)
{
	struct id128 id;
	if (find_id(c, &id) && queue_show(c->store, id, &c->text))
		command_fail(c, CODE_REFUSED, "there is no such message in the queue");
}

static void queue_for_some(struct command_run *c, size_t (*act)(struct store *s, const struct id128 *id), const char *what)
{
	struct id128 id;
	bool is_all = span_equal(c->words[2], SPAN("all"));
	if (!is_all && !find_id(c, &id))
		return;
	size_t count = act(c->store, is_all ? NULL : &id);
	if (!count && !is_all)
		command_fail(c, CODE_REFUSED, "there is no such message in the queue, or it is held: `carteiro queue release` lets it go on");
	else
		buf_printf(&c->text, "%zu %s\n", count, what);
}

static void queue_retry_some(struct command_run *c)
{
	queue_for_some(c, queue_retry, "to be tried now");
}

static void queue_hold_some(struct command_run *c)
{
	queue_for_some(c, queue_hold, "held");
}

static void queue_release_some(struct command_run *c)
{
	queue_for_some(c, queue_release, "released");
}

static void queue_remove_one(struct command_run *c)
{
	struct id128 id;
	if (find_id(c, &id) && queue_remove(c->store, id))
		command_fail(c, CODE_REFUSED, "there is no such message in the queue");
}

static void run_trace(struct worker *w, struct job *j)
{
	struct command_run *c = (struct command_run *)((char *)j - offsetof(struct command_run, job));
	struct error why = {0};
	if (trace_find(c->store, c->words[1], &c->text, &why))
		command_fail(c, CODE_BROKEN, "%s", why.text);
	else if (!c->text.len)
		command_fail(c, CODE_REFUSED, "nothing is known of that");
	atomic_fetch_sub(&c->store->background, 1);
	worker_say(w, parcel_to_call(finish, c));
}

static void trace(struct command_run *c)
{
	c->is_elsewhere = true;
	c->job.run = run_trace;
	atomic_fetch_add(&c->store->background, 1);
	worker_post(c->store->searcher, &c->job);
}

static const struct {
	const char *noun, *verb; /* verb NULL: there is none */
	size_t least, most;      /* words, with these */
	void (*run)(struct command_run *c);
} commands[] = {
	{"domain", "add", 3, 4, domain_add},
	{"domain", "list", 2, 2, domain_list},
	{"domain", "remove", 3, 3, domain_remove},
	{"route", "add", 4, 5, route_add},
	{"route", "list", 2, 2, route_list},
	{"route", "remove", 3, 3, route_remove},
	{"route", "show", 3, 3, route_show},
	{"user", "add", 4, 5, user_add},
	{"user", "app", 4, 10, user_app},
	{"user", "held", 2, 2, user_held},
	{"user", "list", 2, 3, user_list},
	{"user", "passwd", 4, 5, user_passwd},
	{"user", "purge", 3, 3, user_purge},
	{"user", "release", 3, 3, user_release},
	{"user", "remove", 3, 3, user_remove},
	{"user", "revoke", 4, 5, user_revoke},
	{"user", "set", 5, 5, user_set},
	{"user", "show", 3, 3, user_show},
	{"alias", "add", 4, 3 + ALIAS_TARGETS_MOST, alias_add},
	{"alias", "list", 2, 2, alias_list},
	{"alias", "show", 3, 3, alias_show},
	{"alias", "remove", 3, 3, alias_remove},
	{"queue", "list", 2, 2, queue_list},
	{"queue", "show", 3, 3, queue_show_one},
	{"queue", "retry", 3, 3, queue_retry_some},
	{"queue", "hold", 3, 3, queue_hold_some},
	{"queue", "release", 3, 3, queue_release_some},
	{"queue", "remove", 3, 3, queue_remove_one},
	{"backup", "begin", 2, 2, backup_begin},
	{"backup", "end", 2, 2, backup_end},
	{"acl", "list", 3, 3, acl_list},
	{"acl", "remove", 5, 5, acl_remove},
	{"acl", "set", 6, 6, acl_set},
	{"quota", "list", 2, 2, quota_list},
	{"quota", "set", 4, 5, quota_set},
	{"quota", "show", 3, 3, quota_show},
	{"quota", "unset", 3, 3, quota_unset},
	{"restore", "list", 3, 3, restore_list},
	{"restore", NULL, 3, 4, restore_some},
	{"expire", "list", 2, 2, expire_list},
	{"expire", "run", 2, 2, expire_run},
	{"expire", "set", 5, 5, expire_set},
	{"expire", "unset", 4, 4, expire_unset},
	{"verify", NULL, 1, 3, verify_some},
	{"grant", NULL, 2, 2, grant},
	{"trace", NULL, 2, 2, trace},
	{"report", "tls", 2, 3, report_tls},
};

static void find_and_run(struct command_run *c)
{
	c->code = CODE_USAGE;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (c->count < commands[i].least || c->count > commands[i].most || !span_equal(c->words[0], span_cstr(commands[i].noun)))
			continue;
		if (commands[i].verb && !span_equal(c->words[1], span_cstr(commands[i].verb)))
			continue;
		c->code = CODE_OK;
		commands[i].run(c);
		break;
	}
	if (c->code == CODE_USAGE && !c->text.len)
		buf_add_cstr(&c->text, "there is no such command, or its words are too few or too many: `carteiro help`\n");
}

static void start(struct command_run *c)
{
	if (c->asked)
		c->asked(c);
	else
		find_and_run(c);
	if (c->is_elsewhere) { /* it changes nothing: the next one need not wait */
		c->store->command = NULL;
		start_next(c->store);
		return;
	}
	if (c->code != CODE_OK || batch_is_empty(&c->batch)) {
		finish(c);
		return;
	}
	struct batch b = c->batch;
	c->batch = (struct batch){0};
	store_commit(c->store, &b, changed, c);
}

/* A command looks at what is on the disk and then changes it: the next one begins when that is done. */
static void start_next(struct store *s)
{
	struct command_run *c = s->commands_waiting;
	if (!c || s->command)
		return;
	s->commands_waiting = c->next;
	s->command = c;
	start(c);
}

static void enqueue(struct command_run *c)
{
	struct command_run **at = &c->store->commands_waiting;
	while (*at)
		at = &(*at)->next;
	*at = c;
	start_next(c->store);
}

void command_renew(struct store *s, const struct msg_password_renew *m)
{
	struct command_run *c = xcalloc(1, sizeof *c);
	*c = (struct command_run){.store = s, .asked = user_renew, .account = m->account, .count = 3, .batch.is_durable = true};
	c->words = arena_alloc_array(&c->arena, c->count, sizeof *c->words);
	c->words[0] = arena_dup(&c->arena, m->old);
	c->words[1] = arena_dup(&c->arena, m->hash);
	c->words[2] = arena_dup(&c->arena, m->scram);
	enqueue(c);
}

void command_run(struct store_peer *master, const struct msg_command *m)
{
	struct command_run *c = xcalloc(1, sizeof *c);
	struct span *words;
	*c = (struct command_run){.store = master->store, .master = master->id, .id = m->id, .batch.is_durable = true};
	struct span packed = arena_dup(&c->arena, m->words);
	ssize_t count = words_unpack(packed, &c->arena, &words);
	c->words = words;
	c->count = count < 0 ? 0 : (size_t)count;
	enqueue(c);
}
