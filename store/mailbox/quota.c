/* What an account keeps, as its worker counts it: said to the table of all (store/usage.h), held against the quota, told to clients
 * (RFC 9208), and to the account's owner when it nears its end. */
#include "base/die.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/view.h"
#include "store/notice.h"
#include "store/store.h"
#include "store/usage.h"

#include <stdlib.h>

struct telling {
	struct store *store;
	uint64_t account;
	bool is_domain;
};

static void tell(void *context)
{
	struct telling *t = context;
	notice_quota(t->store, t->account, t->is_domain);
	free(t);
}

static void tell_in_loop(struct account *a, bool is_domain)
{
	struct telling *t = xcalloc(1, sizeof *t);
	*t = (struct telling){a->worker->store, a->id, is_domain};
	account_call_loop(a, tell, t);
}

/* The owner is told once, and again only after it was well below. */
static void look_at_end(struct account *a, const struct usage *u)
{
	struct usage eased = {.used = u->used, .most = {u->most.bytes - u->most.bytes / 10, u->most.messages - u->most.messages / 10}};
	bool is_near = usage_nears_end(u);
	if (is_near == a->has_warned || (a->has_warned && usage_nears_end(&eased)))
		return;
	a->has_warned = is_near;
	account_put(a);
	if (is_near)
		tell_in_loop(a, false);
}

void account_say_usage(struct account *a)
{
	if (!a->worker->store || (a->has_said_usage && a->bytes == a->said_bytes && a->messages == a->said_messages))
		return;
	bool has_grown = a->has_said_usage && a->bytes > a->said_bytes;
	a->has_said_usage = true;
	a->said_bytes = a->bytes;
	a->said_messages = a->messages;
	struct usage_said said = usage_say(a->worker->store, a->id, &(struct quota){a->bytes, a->messages});
	if (has_grown || a->has_warned)
		look_at_end(a, &said.account);
	if (has_grown && said.domain_nears_end)
		tell_in_loop(a, true);
}

bool account_has_room(struct account *a, uint64_t bytes, uint64_t messages)
{
	account_say_usage(a);
	return !a->worker->store || usage_fits(a->worker->store, a->id, bytes, messages);
}

void quota_asked(void *context, const struct msg_quota_ask *msg)
{
	struct request *r = context;
	struct account *a = r->account;
	if (msg->mailbox.len && !request_find(r, msg->request, msg->mailbox, RIGHT_READ)) /* RFC 9208 §6 */
		return;
	struct usage_said said = usage_say(r->worker->store, a->id, &(struct quota){a->bytes, a->messages});
	request_say(r, quota_row, .session = msg->session, .request = msg->request, .bytes = a->bytes, .bytes_most = said.account.most.bytes,
	            .messages = a->messages, .messages_most = said.account.most.messages);
	request_done(r, msg->request, REQUEST_OK, "");
}
