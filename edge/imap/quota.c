/* QUOTA: RFC 9208. There is one root, of all mailboxes of the account; it is set by the server's administrator, not by clients. */
#include "edge/imap/session.h"

#define ROOT "\"\""

/* A resource without a limit is not listed: RFC 9208 §5.1. STORAGE counts in units of 1024 octets. */
static void on_row(struct imap_session *s, const struct msg_quota_row *m)
{
	bool has_both = m->bytes_most && m->messages_most;
	buf_add_cstr(&s->out, "* QUOTA " ROOT " (");
	if (m->bytes_most)
		buf_printf(&s->out, "STORAGE %llu %llu", (unsigned long long)((m->bytes + 1023) / 1024), (unsigned long long)(m->bytes_most / 1024));
	if (m->messages_most)
		buf_printf(&s->out, "%sMESSAGE %llu %llu", has_both ? " " : "", (unsigned long long)m->messages, (unsigned long long)m->messages_most);
	buf_add_cstr(&s->out, ")\r\n");
}

void imap_getquota(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.quota = on_row, .done = imap_done_plainly};
	struct span root;
	if (!imap_take_space(p) || !imap_take_astring(p, &root) || !imap_take_end(p))
		imap_bad(s, p);
	else if (root.len)
		imap_no(s, "[NONEXISTENT] There is no such quota root");
	else
		imap_ask(s, &answers, quota_ask, .mailbox = SPAN(""));
}

static void on_root_row(struct imap_session *s, const struct msg_quota_row *m)
{
	const struct span *name = s->work;
	buf_add_cstr(&s->out, "* QUOTAROOT ");
	imap_add_mailbox_name(s, *name);
	buf_add_cstr(&s->out, " " ROOT "\r\n");
	on_row(s, m);
}

static void on_root_done(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome != REQUEST_OK)
		buf_clear(&s->out); /* of a mailbox that is not there */
	imap_done_plainly(s, m);
}

void imap_getquotaroot(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.quota = on_root_row, .done = on_root_done};
	struct span *name = arena_alloc(&s->arena, sizeof *name);
	if (!imap_take_space(p) || !imap_take_mailbox(p, name) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	s->work = name;
	imap_ask(s, &answers, quota_ask, .mailbox = *name);
}

/* "(" [resource SP number *(SP resource SP number)] ")" */
static bool take_limits(struct imap_parser *p)
{
	struct span resource;
	uint32_t limit;
	if (!imap_take_char(p, '('))
		return false;
	for (unsigned count = 0; !imap_next_is(p, ')'); count++)
		if ((count && !imap_take_space(p)) || !imap_take_atom(p, &resource) || !imap_take_space(p) || !imap_take_number(p, 0, &limit))
			return false;
	return imap_take_char(p, ')');
}

void imap_setquota(struct imap_session *s, struct imap_parser *p)
{
	struct span root;
	if (!imap_take_space(p) || !imap_take_astring(p, &root) || !imap_take_space(p) || !take_limits(p) || !imap_take_end(p))
		imap_bad(s, p);
	else
		imap_no(s, "[NOPERM] Quotas are set by the server's administrator");
}
