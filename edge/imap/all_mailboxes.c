/* All mailboxes that the account may know of: its own, then those of each who lets it see some of his (RFC 2342). store is asked for one account after the
 * other, so that each answer comes from the worker that has it. */
#include "edge/imap/session.h"

/* Somebody whose mailboxes this account may see: what stands before their names. */
struct imap_share {
	struct imap_share *next;
	struct span prefix;
};

static void on_row(struct imap_session *s, const struct msg_mailbox_row *m)
{
	s->all->row(s, m);
}

static void end(struct imap_session *s)
{
	s->all->done(s, &(struct msg_request_done){.outcome = REQUEST_OK});
}

/* Somebody who has gone meanwhile, say, is no reason to tell nothing of the others. */
static void next_share(struct imap_session *s, const struct msg_request_done *m)
{
	static const struct imap_answers answers = {.row = on_row, .done = next_share};
	struct imap_all_mailboxes *all = s->all;
	(void)m;
	if (!all->next) {
		end(s);
		return;
	}
	struct span prefix = all->next->prefix;
	all->next = all->next->next;
	imap_ask(s, &answers, mailbox_list_ask, .name = prefix, .wants_recent = all->wants_recent);
}

static void on_share(struct imap_session *s, const struct msg_share_row *m)
{
	struct imap_share *share = arena_alloc(&s->arena, sizeof *share);
	*share = (struct imap_share){.prefix = arena_dup(&s->arena, m->prefix)};
	*s->all->last = share;
	s->all->last = &share->next;
}

static void on_shares(struct imap_session *s, const struct msg_request_done *m)
{
	s->all->next = s->all->shares;
	next_share(s, m);
}

static void on_own(struct imap_session *s, const struct msg_request_done *m)
{
	static const struct imap_answers answers = {.share = on_share, .done = on_shares};
	if (m->outcome != REQUEST_OK)
		s->all->done(s, m);
	else if (!s->all->has_others)
		end(s);
	else
		imap_ask_plainly(s, &answers, shares_ask);
}

void imap_ask_all_mailboxes(struct imap_session *s, struct imap_all_mailboxes *all)
{
	static const struct imap_answers answers = {.row = on_row, .done = on_own};
	s->all = all;
	all->last = &all->shares;
	imap_ask(s, &answers, mailbox_list_ask, .name = SPAN(""), .wants_recent = all->wants_recent);
}

bool imap_next_share(struct imap_all_mailboxes *all, struct span *prefix)
{
	const struct imap_share *share = all->next;
	if (!share)
		return false;
	*prefix = share->prefix;
	all->next = share->next;
	return true;
}

void imap_first_share(struct imap_all_mailboxes *all)
{
	all->next = all->shares;
}
