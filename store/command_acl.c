/* `carteiro acl`: who may use whose mailboxes (RFC 4314), as users set it themselves by IMAP. */
#include "store/command_run.h"

#include "base/die.h"
#include "store/mailbox/acl.h"
#include "store/share.h"

#include <stdlib.h>

struct acl_job {
	struct job job;
	struct command_run *command;
	uint64_t account;
	struct span mailbox;    /* "*": each; in the command's memory, as is the next */
	struct span identifier; /* empty: list */
	uint64_t identity;
	enum acl_change change;
	unsigned rights;
};

static void on_done(void *context)
{
	struct acl_job *j = context;
	command_finish(j->command);
	free(j);
}

static void show(struct command_run *c, const struct mailbox *m)
{
	for (size_t i = 0; i < m->acl_count; i++) {
		buf_printf(&c->text, "\"%s\" %s ", m->name, m->acl[i].identifier);
		rights_format(m->acl[i].rights, &c->text);
		buf_add_char(&c->text, '\n');
	}
}

static void work_on(struct acl_job *j, struct account *a)
{
	struct command_run *c = j->command;
	bool is_each = span_equal(j->mailbox, SPAN("*")), is_there = is_each;
	for (size_t i = 0; i < a->mailbox_count; i++) {
		struct mailbox *m = a->mailboxes[i];
		if (!is_each && !span_equal(span_cstr(m->name), mailbox_canonical(j->mailbox)))
			continue;
		is_there = true;
		if (!j->identifier.len)
			show(c, m);
		else if (!acl_change(m, j->identifier, j->identity, j->change, j->rights))
			command_fail(c, CODE_REFUSED, "\"%s\" has %d entries already", m->name, ACL_ENTRIES_MOST);
	}
	if (!is_there)
		command_fail(c, CODE_REFUSED, "there is no mailbox \"%.*s\"", SPAN_ARG(span_slice(j->mailbox, 0, 200)));
}

static void run(struct worker *w, struct job *job)
{
	struct acl_job *j = (struct acl_job *)job;
	struct error why = {0};
	struct account *a = account_get(w, j->account, &why);
	if (!a) {
		command_fail(j->command, CODE_BROKEN, "%s", why.text);
		worker_say(w, parcel_to_call(on_done, j));
		return;
	}
	work_on(j, a);
	account_call_loop(a, on_done, j);
	account_settle(a);
}

static void post(struct command_run *c, const struct acl_job *what)
{
	struct acl_job *j = xcalloc(1, sizeof *j);
	*j = *what;
	j->job.run = run;
	j->command = c;
	c->is_elsewhere = true;
	worker_post(store_worker_of(c->store, j->account), &j->job);
}

void acl_list(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	if (command_find_user(c, 2, &name, &entry))
		post(c, &(struct acl_job){.account = entry.account, .mailbox = SPAN("*")});
}

/* Puts whom an identifier means, and how it is written, into *j. False after saying that it is nobody. */
static bool read_identifier(struct command_run *c, size_t word, struct acl_job *j)
{
	struct span typed = c->words[word];
	BUF_AUTO identifier = {0};
	j->identity = share_identity(c->store, typed, &identifier);
	j->identifier = arena_dup(&c->arena, buf_span(&identifier));
	bool is_good = j->identity ? j->identity != j->account : j->change == ACL_DELETE && j->identifier.len;
	if (!is_good)
		command_fail(c, CODE_NO_USER, "\"%.*s\" is no other user of this server, and not \"anyone\"", SPAN_ARG(span_slice(typed, 0, 200)));
	return is_good;
}

void acl_set(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	enum rights_change change;
	struct acl_job j = {.mailbox = c->words[3]};
	if (!command_find_user(c, 2, &name, &entry))
		return;
	if (rights_parse(c->words[5], &change, &j.rights)) {
		command_fail(c, CODE_USAGE, "rights are letters of " RIGHTS_LETTERS ", with + or - in front or not");
		return;
	}
	j.account = entry.account;
	j.change = (enum acl_change)change;
	if (read_identifier(c, 4, &j))
		post(c, &j);
}

void acl_remove(struct command_run *c)
{
	struct directory_entry entry;
	struct span name;
	struct acl_job j = {.mailbox = c->words[3], .change = ACL_DELETE};
	if (!command_find_user(c, 2, &name, &entry))
		return;
	j.account = entry.account;
	if (read_identifier(c, 4, &j))
		post(c, &j);
}
