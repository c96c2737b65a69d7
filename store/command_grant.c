/* `grant ADDRESS`, which commands that bring or fetch an account's mail say: a token for one login as that account (vault/grant.h). */
#include "store/command_run.h"
#include "store/session.h"

void grant(struct command_run *c)
{
	struct store *s = c->store;
	BUF_AUTO name = {0};
	struct directory_entry entry;
	struct store_peer *vault = store_peer_by_role(s, ROLE_VAULT, 0);
	int found = directory_login(s, c->words[1], &c->arena, &entry, &name, NULL);
	if (found <= 0) {
		command_fail(c, CODE_NO_USER, "there is no user %.*s: `carteiro user add`", SPAN_ARG(c->words[1]));
		return;
	}
	if (!vault) {
		command_fail(c, CODE_LATER, "the vault is not running: see the log");
		return;
	}
	c->is_elsewhere = true;
	c->grant = ++s->last_grant;
	map_put(&s->grants, c->grant, c);
	c->granted = arena_dup(&c->arena, buf_span(&name));
	channel_send(vault->channel, grant_ask, .id = c->grant, .account = entry.account, .credential = session_credential(s, entry.account),
	             .name = buf_span(&name));
}

/* The answer is the token and the account's name, as it logs in. */
void grant_answered(struct store *s, const struct msg_grant_answer *m)
{
	struct command_run *c = map_take(&s->grants, m->id);
	if (!c)
		return;
	if (m->token.len)
		buf_printf(&c->text, "%.*s %.*s\n", SPAN_ARG(m->token), SPAN_ARG(c->granted));
	else
		command_fail(c, CODE_BROKEN, "no token could be made");
	command_finish(c);
}

void grants_vault_gone(struct store *s)
{
	size_t at = 0;
	struct command_run *c;
	while ((c = map_next(&s->grants, &at))) {
		map_take(&s->grants, c->grant);
		command_fail(c, CODE_LATER, "the vault went away: try again");
		command_finish(c);
	}
}
