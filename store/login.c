#include "store/login.h"

#include "store/directory/app_password.h"
#include "store/directory/directory.h"
#include "store/directory/options.h"
#include "store/session.h"

enum { LOGIN_NAME_BYTES_MOST = 512 }; /* of account_answer */

/* Somebody's account by what was typed; *name gets its canonical form, as directory_login gives it. */
static int find(struct store *s, struct span typed, struct arena *a, struct directory_entry *out, struct buf *name)
{
	buf_clear(name);
	int found = directory_login(s, typed, a, out, name, NULL);
	if (name->len > LOGIN_NAME_BYTES_MOST) { /* what a stranger typed may grow when it is folded */
		buf_clear(name);
		return 0;
	}
	return found;
}

/* "owner*master" is Dovecot's form for programs that can say one name only. An address may have a "*" itself (RFC 5322 §3.2.3), so that
 * one that is an account is that account. */
static int find_who(struct store *s, const struct msg_account_ask *m, struct arena *a, struct directory_entry *out, struct buf *name, struct span *authzid)
{
	*authzid = m->authzid;
	int found = find(s, m->name, a, out, name);
	ssize_t star = span_rchr(m->name, '*');
	if (found > 0 || m->authzid.len || star <= 0)
		return found;
	*authzid = span_slice(m->name, 0, (size_t)star);
	return find(s, span_skip(m->name, (size_t)star + 1), a, out, name);
}

void login_account_asked(struct store_peer *vault, const struct msg_account_ask *m)
{
	struct store *s = vault->store;
	ARENA_AUTO a = {0};
	BUF_AUTO name = {0}, owner_name = {0}, app_name = {0};
	struct directory_entry who, owner;
	struct span authzid;
	int64_t expires_s;
	if (find_who(s, m, &a, &who, &name, &authzid) <= 0) {
		channel_send(vault->channel, account_answer, .id = m->id, .name = buf_span(&name));
		return;
	}
	enum acting acting = ACTING_FOR_HIMSELF;
	enum app_outcome app = app_password_find(s, who.account, m->app, m->protocol, &app_name, &expires_s);
	owner = who;
	if (!authzid.len) {
		buf_add(&owner_name, buf_span(&name));
	} else if (find(s, authzid, &a, &owner, &owner_name) <= 0) {
		acting = ACTING_FORBIDDEN;
		owner.account = 0;
	} else if (owner.account != who.account) {
		acting = options_is_master(s, who.account) ? ACTING_FOR_ANOTHER : ACTING_FORBIDDEN;
	}
	channel_send(vault->channel, account_answer, .id = m->id, .account = who.account, .credential = session_credential(s, who.account),
	             .hash = who.hash, .scram = who.scram, .name = buf_span(&name), .app = (uint8_t)app, .app_name = buf_span(&app_name),
	             .acting = (uint8_t)acting, .owner = owner.account, .owner_credential = session_credential(s, owner.account),
	             .owner_name = buf_span(&owner_name));
}

void login_session_bind(struct store_peer *vault, const struct msg_session_bind *m)
{
	BUF_AUTO name = {0};
	bool is_bound = directory_account_name(vault->store, m->account, &name, NULL) > 0 && session_bind(vault->store, m);
	channel_send(vault->channel, session_bound, .id = m->id, .is_bound = is_bound);
}
