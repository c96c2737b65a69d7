/* Lists of rights: RFC 4314 §3. store has them (store/mailbox/acl.h), and says who may see and change them. */
#include "wire/rights.h"

#include "edge/imap/session.h"
#include "wire/imap_structure.h"
#include "wire/saslprep.h"

struct asking {
	struct span mailbox, identifier;
	bool has_begun;
	struct span owner; /* of the mailbox */
};

static void add_astring(struct imap_session *s, struct span text)
{
	if (imap_is_atom(text))
		buf_add(&s->out, text);
	else
		imap_render_string(text, imap_has_utf8_names(s) ? IMAP_STRUCTURE_UTF8 : 0, &s->out);
}

void imap_say_rights(struct imap_session *s, struct span name, unsigned rights)
{
	buf_add_cstr(&s->out, "* MYRIGHTS ");
	imap_add_mailbox_name(s, name);
	buf_add_char(&s->out, ' ');
	rights_format(rights, &s->out);
	buf_add_cstr(&s->out, "\r\n");
}

/* §3: an identifier that SASLprep refuses, or leaves nothing of, is BAD. */
static bool take_identifier(struct imap_parser *p, struct span *out)
{
	struct span typed;
	BUF_AUTO prepared = {0};
	if (!imap_take_astring(p, &typed))
		return false;
	if (saslprep(typed, &prepared) || !prepared.len || prepared.len > 500)
		return imap_fail(p, "That cannot be an identifier");
	*out = arena_dup(p->arena, buf_span(&prepared));
	return true;
}

static bool take_mailbox(struct imap_session *s, struct imap_parser *p, struct asking *w)
{
	s->work = w;
	return imap_take_space(p) && imap_take_mailbox(p, &w->mailbox);
}

static struct asking *begin(struct imap_session *s)
{
	struct asking *w = arena_alloc(&s->arena, sizeof *w);
	*w = (struct asking){0};
	return w;
}

/* ---- MYRIGHTS ---- */

static void on_rights(struct imap_session *s, const struct msg_mailbox_row *m)
{
	const struct asking *w = s->work;
	imap_say_rights(s, w->mailbox, m->rights);
}

void imap_myrights(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.row = on_rights, .done = imap_done_plainly};
	struct asking *w = begin(s);
	if (!take_mailbox(s, p, w) || !imap_take_end(p))
		imap_bad(s, p);
	else if (w->mailbox.ptr[w->mailbox.len - 1] == '/')
		imap_no(s, "[NONEXISTENT] There is no mailbox of that name"); /* to store that would mean all below it */
	else
		imap_ask(s, &answers, mailbox_list_ask, .name = w->mailbox);
}

/* ---- GETACL ---- */

static void on_entry(struct imap_session *s, const struct msg_acl_row *m)
{
	struct asking *w = s->work;
	if (!w->has_begun) {
		buf_add_cstr(&s->out, "* ACL ");
		imap_add_mailbox_name(s, w->mailbox);
	}
	w->has_begun = true;
	buf_add_char(&s->out, ' ');
	add_astring(s, m->identifier);
	buf_add_char(&s->out, ' ');
	rights_format(m->rights, &s->out);
}

static void on_got(struct imap_session *s, const struct msg_request_done *m)
{
	const struct asking *w = s->work;
	if (w->has_begun)
		buf_add_cstr(&s->out, "\r\n");
	imap_done_plainly(s, m);
}

void imap_getacl(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.acl = on_entry, .done = on_got};
	struct asking *w = begin(s);
	if (!take_mailbox(s, p, w) || !imap_take_end(p))
		imap_bad(s, p);
	else
		imap_ask(s, &answers, acl_get, .mailbox = w->mailbox);
}

/* ---- LISTRIGHTS ---- */

/* The first one is the owner. */
static void on_owner(struct imap_session *s, const struct msg_acl_row *m)
{
	struct asking *w = s->work;
	if (!w->has_begun)
		w->owner = arena_dup(&s->arena, m->identifier);
	w->has_begun = true;
}

/* "bob" where that can only be bob@example.org. */
static bool is_owner(const struct asking *w)
{
	ssize_t at = span_chr(w->owner, '@');
	return span_equal_nocase(w->identifier, w->owner) || (at > 0 && span_equal_nocase(w->identifier, span_slice(w->owner, 0, (size_t)at)));
}

static void on_listed(struct imap_session *s, const struct msg_request_done *m)
{
	const struct asking *w = s->work;
	if (m->outcome == REQUEST_OK) {
		buf_add_cstr(&s->out, "* LISTRIGHTS ");
		imap_add_mailbox_name(s, w->mailbox);
		buf_add_char(&s->out, ' ');
		add_astring(s, w->identifier);
		/* §3.7: first what it has always, then what it can be granted; those with a space between are not tied together */
		buf_add_cstr(&s->out, is_owner(w) ? " lrswipkxteacd\r\n" : " \"\" l r s w i p k x t e a c d\r\n");
	}
	imap_done_plainly(s, m);
}

void imap_listrights(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.acl = on_owner, .done = on_listed};
	struct asking *w = begin(s);
	if (!take_mailbox(s, p, w) || !imap_take_space(p) || !take_identifier(p, &w->identifier) || !imap_take_end(p))
		imap_bad(s, p);
	else
		imap_ask(s, &answers, acl_get, .mailbox = w->mailbox);
}

/* ---- SETACL, DELETEACL ---- */

static const struct imap_answers set_answers = {.done = imap_done_plainly};

void imap_setacl(struct imap_session *s, struct imap_parser *p)
{
	struct asking *w = begin(s);
	struct span text;
	enum rights_change change;
	unsigned rights;
	if (!take_mailbox(s, p, w) || !imap_take_space(p) || !take_identifier(p, &w->identifier) || !imap_take_space(p) || !imap_take_astring(p, &text) ||
	    !imap_take_end(p))
		imap_bad(s, p);
	else if (rights_parse(text, &change, &rights))
		imap_bad_text(s, "There is no such right");
	else
		imap_ask(s, &set_answers, acl_set, .mailbox = w->mailbox, .identifier = w->identifier, .change = (uint8_t)change, .rights = (uint16_t)rights);
}

void imap_deleteacl(struct imap_session *s, struct imap_parser *p)
{
	struct asking *w = begin(s);
	if (!take_mailbox(s, p, w) || !imap_take_space(p) || !take_identifier(p, &w->identifier) || !imap_take_end(p))
		imap_bad(s, p);
	else
		imap_ask(s, &set_answers, acl_set, .mailbox = w->mailbox, .identifier = w->identifier, .change = ACL_DELETE);
}
