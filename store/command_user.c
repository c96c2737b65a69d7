/* `carteiro user`: accounts, their passwords and what is set for them, and those that are held as they send unlike themselves. */
#include "store/command_run.h"

#include "base/log.h"
#include "store/directory/app_password.h"
#include "store/directory/shares.h"
#include "store/directory/expire.h"
#include "store/directory/options.h"
#include "store/directory/quota.h"
#include "store/habit.h"
#include "store/queue/queue.h"
#include "wire/password_hash.h"
#include "wire/scram.h"

/* Only what vault can check becomes a hash: whatever a command says. */
static bool is_hash(struct command_run *c, struct span text)
{
	struct password_hash hash;
	struct error why;
	bool is_one = password_hash_parse(text, &hash, &why) == 0;
	if (is_one && hash.scheme != PASSWORD_PLAIN)
		return true;
	command_fail(c, CODE_USAGE, "%s", is_one ? "that is a password, and not a hash" : why.text);
	return false;
}

/* The keys for SCRAM that stand behind the hash, if any do; false after saying that they are none. */
static bool take_scram(struct command_run *c, size_t word, struct span *scram)
{
	struct error why;
	*scram = c->count > word ? c->words[word] : SPAN("");
	if (!scram->len || scram_keys_parse(*scram, &(struct scram_keys){0}, &why) == 0)
		return true;
	command_fail(c, CODE_USAGE, "%s", why.text);
	return false;
}

void user_add(struct command_run *c)
{
	struct directory_entry entry;
	struct span scram, name = command_name(c, 2, false);
	if (!name.len || !command_is_in_our_domain(c, name))
		return;
	if (directory_get(c->store, name, &c->arena, &entry, NULL) > 0) {
		command_fail(c, CODE_REFUSED, "%.*s is there already", SPAN_ARG(name));
	} else if (is_hash(c, c->words[3]) && take_scram(c, 4, &scram)) {
		directory_put_account(&c->batch, name, directory_new_account(c->store, &c->batch), c->words[3], scram);
		c->scram_missing = !scram.len;
	}
}

static int list_user(void *context, struct span name, const struct directory_entry *entry)
{
	struct command_run *c = context;
	bool is_asked_for = c->count == 2 || !entry->scram.len;
	if (!entry->is_alias && is_asked_for)
		buf_printf(&c->text, "%.*s\n", SPAN_ARG(name));
	return 0;
}

void user_list(struct command_run *c)
{
	if (c->count > 2 && !span_equal(c->words[2], SPAN("without-scram")))
		command_fail(c, CODE_USAGE, "`carteiro user list`, or `carteiro user list without-scram`");
	else
		directory_walk(c->store, false, list_user, c, NULL);
}

bool command_find_user(struct command_run *c, size_t word, struct span *name, struct directory_entry *entry)
{
	*name = command_name(c, word, false);
	if (!name->len)
		return false;
	if (directory_get(c->store, *name, &c->arena, entry, NULL) > 0 && !entry->is_alias)
		return true;
	command_fail(c, CODE_NO_USER, "there is no user %.*s: `carteiro user list` shows them", SPAN_ARG(*name));
	return false;
}

static void lock_out(struct command_run *c, uint64_t account, const char *why)
{
	c->locked_out = account;
	c->locked_out_why = why;
}

/* A hash alone takes the keys for SCRAM away: they were another password's. */
void user_passwd(struct command_run *c)
{
	struct directory_entry entry;
	struct span name, scram;
	if (!command_find_user(c, 2, &name, &entry) || !is_hash(c, c->words[3]) || !take_scram(c, 4, &scram))
		return;
	directory_put_account(&c->batch, name, entry.account, c->words[3], scram);
	c->scram_missing = !scram.len - !entry.scram.len;
	lock_out(c, entry.account, "the password has changed");
}

/* Asked by vault. Sessions go on: it is the same password. */
void user_renew(struct command_run *c)
{
	struct directory_entry entry;
	BUF_AUTO name = {0};
	struct span old = c->words[0], hash = c->words[1], scram;
	if (directory_account_name(c->store, c->account, &name, NULL) <= 0 ||
	    directory_get(c->store, buf_span(&name), &c->arena, &entry, NULL) <= 0 || entry.is_alias || entry.account != c->account)
		return;
	if (!span_equal(entry.hash, old) || !is_hash(c, hash) || !take_scram(c, 2, &scram))
		return;
	if (!scram.len)
		scram = entry.scram;
	c->renewed = arena_dup(&c->arena, buf_span(&name));
	c->renewed_event = span_equal(hash, old) ? "scram-keys-made" : "password-rehashed";
	c->scram_missing = !scram.len - !entry.scram.len;
	directory_put_account(&c->batch, c->renewed, c->account, hash, scram);
}

struct leading_to {
	struct command_run *command;
	struct span target;
};

static int say_if_it_leads_there(void *context, struct span name, const struct directory_entry *entry)
{
	struct leading_to *l = context;
	for (size_t i = 0; entry->is_alias && i < entry->target_count; i++)
		if (span_equal(entry->targets[i], l->target))
			buf_printf(&l->command->text, "the alias %.*s still has it among its targets, and passes it over from now on\n", SPAN_ARG(name));
	return 0;
}

void user_remove(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (!command_find_user(c, 2, &name, &entry))
		return;
	directory_walk(c->store, false, say_if_it_leads_there, &(struct leading_to){c, name}, NULL);
	directory_delete_account(&c->batch, name, entry.account);
	options_delete(&c->batch, entry.account);
	shares_delete(c->store, &c->batch, entry.account);
	quota_delete(&c->batch, name);
	expire_delete_all(c->store, &c->batch, name);
	app_passwords_delete_all(&c->batch, entry.account);
	habit_delete(c->store, &c->batch, entry.account);
	lock_out(c, entry.account, "the account has been removed");
	c->scram_missing = -!entry.scram.len;
	c->erase = entry.account;
}

/* ---- what is set for one ---- */

static void set_language(struct command_run *c, uint64_t account)
{
	enum language language;
	if (language_parse(c->words[4], &language))
		command_fail(c, CODE_USAGE, "the languages are en and pt");
	else
		options_put_language(c->store, &c->batch, account, language);
}

/* False after saying that it is neither yes nor no. */
static bool read_yes(struct command_run *c, bool *is_yes)
{
	*is_yes = span_equal(c->words[4], SPAN("yes"));
	bool is_good = *is_yes || span_equal(c->words[4], SPAN("no"));
	if (!is_good)
		command_fail(c, CODE_USAGE, "%.*s is yes or no", SPAN_ARG(c->words[3]));
	return is_good;
}

static void set_shared(struct command_run *c, uint64_t account)
{
	bool is_shared;
	if (read_yes(c, &is_shared))
		options_put_shared(c->store, &c->batch, account, is_shared);
}

static void set_master(struct command_run *c, uint64_t account)
{
	bool is_master;
	if (!read_yes(c, &is_master))
		return;
	options_put_master(c->store, &c->batch, account, is_master);
	c->master_ended = is_master ? 0 : account;
}

void user_set(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (!command_find_user(c, 2, &name, &entry))
		return;
	if (span_equal(c->words[3], SPAN("language")))
		set_language(c, entry.account);
	else if (span_equal(c->words[3], SPAN("master")))
		set_master(c, entry.account);
	else if (span_equal(c->words[3], SPAN("shared")))
		set_shared(c, entry.account);
	else
		command_fail(c, CODE_USAGE, "what can be set for a user is: language en|pt, master yes|no, shared yes|no");
}

void user_show(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (!command_find_user(c, 2, &name, &entry))
		return;
	buf_printf(&c->text, "%.*s\nlanguage %s\n", SPAN_ARG(name), language_tag(options_language(c->store, entry.account)));
	if (options_is_master(c->store, entry.account))
		buf_add_cstr(&c->text, "master: may log in as every other user\n");
	if (options_is_shared(c->store, entry.account))
		buf_add_cstr(&c->text, "shared: whom `carteiro acl` lets in has its mailboxes below \"Shared Folders\"\n");
	habit_print(c->store, entry.account, &c->text);
}

/* ---- those that are held ---- */

static void list_held(void *context, uint64_t account)
{
	struct command_run *c = context;
	BUF_AUTO name = {0};
	if (directory_account_name(c->store, account, &name, NULL) <= 0)
		return;
	buf_printf(&c->text, "%s ", buf_cstr(&name));
	habit_print(c->store, account, &c->text);
}

void user_held(struct command_run *c)
{
	habit_walk_held(c->store, list_held, c);
}

/* It was its user. */
void user_release(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (!command_find_user(c, 2, &name, &entry))
		return;
	bool was_held = habit_release(c->store, &c->batch, entry.account);
	size_t count = queue_release_sent_by(c->store, entry.account);
	buf_printf(&c->text, "%s%zu message%s released\n", was_held ? "" : "it was not held; ", count, count == 1 ? "" : "s");
}

/* It was not: nobody has the new password, of which the hash is. Whoever has had the old one could make passwords of applications. */
void user_revoke(struct command_run *c)
{
	user_passwd(c);
	if (c->code != CODE_OK)
		return;
	app_passwords_delete_all(&c->batch, c->locked_out);
	c->locked_out_why = "the password has been revoked";
	buf_add_cstr(&c->text, "nobody can log in until it has a new one (carteiro user passwd)\n");
}

void user_purge(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (!command_find_user(c, 2, &name, &entry))
		return;
	size_t count = queue_remove_sent_by(c->store, entry.account);
	buf_printf(&c->text, "%zu message%s thrown away\n", count, count == 1 ? "" : "s");
	if (habit_is_held(c->store, entry.account))
		buf_add_cstr(&c->text, "what it sends from now on is still held, until it is released (carteiro user release)\n");
}
