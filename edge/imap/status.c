/* Commands about mailboxes by name: RFC 3501 §6.3.3 to §6.3.7 and §6.3.10, RFC 2342, RFC 6154 §3, RFC 8438. */
#include "wire/imap_list.h"

#include "edge/imap/session.h"
#include "wire/imap_structure.h"
#include "wire/imap_utf7.h"
#include "wire/rights.h"

static const struct imap_answers plain_answers = {.done = imap_done_plainly};

static bool take_one_mailbox(struct imap_session *s, struct imap_parser *p, struct span *name)
{
	if (imap_take_space(p) && imap_take_mailbox(p, name) && imap_take_end(p))
		return true;
	imap_bad(s, p);
	return false;
}

void imap_add_mailbox_id(uint32_t id, uint64_t owner, struct buf *out)
{
	buf_printf(out, owner ? "F%u-%llu" : "F%u", id, (unsigned long long)owner);
}

bool imap_is_selected(const struct imap_session *s, const struct msg_mailbox_row *m)
{
	return s->state == IMAP_SELECTED && m->id == s->view.id && m->owner == s->view.owner;
}

static void on_created(struct imap_session *s, const struct msg_mailbox_row *m)
{
	struct span *id = s->work;
	BUF_AUTO text = {0};
	imap_add_mailbox_id(m->id, m->owner, &text);
	*id = arena_dup(&s->arena, buf_span(&text));
}

/* RFC 8474 §4.1 */
static void on_create_done(struct imap_session *s, const struct msg_request_done *m)
{
	const struct span *id = s->work;
	if (m->outcome == REQUEST_OK)
		imap_ok(s, "[MAILBOXID (%.*s)] CREATE done", SPAN_ARG(*id));
	else
		imap_no_outcome(s, m, false);
}

void imap_create(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.row = on_created, .done = on_create_done};
	struct imap_create what;
	if (!imap_take_space(p) || !imap_take_create(p, &what) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (what.is_bad_use) {
		imap_no(s, "[USEATTR] That use is not one that a mailbox can have here"); /* RFC 6154 §3 */
		return;
	}
	s->work = arena_alloc(&s->arena, sizeof(struct span));
	imap_ask(s, &answers, mailbox_create, .name = what.name, .special_use = (uint8_t)what.use);
}

/* The mailbox that is selected may be the one; store knows, whatever its name is by now. */
static void on_deleted(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome != REQUEST_OK_LEFT) {
		imap_done_plainly(s, m);
		return;
	}
	imap_view_close(s);
	s->state = IMAP_AUTHENTICATED;
	imap_ok(s, "DELETE done: no mailbox is selected any more");
}

void imap_delete(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.done = on_deleted};
	struct span name;
	if (take_one_mailbox(s, p, &name))
		imap_ask(s, &answers, mailbox_delete, .name = name);
}

void imap_rename(struct imap_session *s, struct imap_parser *p)
{
	struct span from, to;
	if (!imap_take_space(p) || !imap_take_mailbox(p, &from) || !imap_take_space(p) || !imap_take_mailbox(p, &to) || !imap_take_end(p))
		imap_bad(s, p);
	else
		imap_ask(s, &plain_answers, mailbox_rename, .from = from, .to = to);
}

void imap_subscribe(struct imap_session *s, struct imap_parser *p)
{
	struct span name;
	if (take_one_mailbox(s, p, &name))
		imap_ask(s, &plain_answers, mailbox_subscribe, .name = name, .is_subscribed = 1);
}

void imap_unsubscribe(struct imap_session *s, struct imap_parser *p)
{
	struct span name;
	if (take_one_mailbox(s, p, &name))
		imap_ask(s, &plain_answers, mailbox_subscribe, .name = name);
}

void imap_namespace(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	buf_add_cstr(&s->out, IMAP_NAMESPACES);
	imap_ok(s, "NAMESPACE done");
}

/* ---- STATUS ---- */

bool imap_has_utf8_names(const struct imap_session *s)
{
	return s->enabled & (IMAP_ENABLED_UTF8 | IMAP_ENABLED_REV2);
}

void imap_add_mailbox_name(struct imap_session *s, struct span name)
{
	BUF_AUTO encoded = {0};
	if (imap_has_utf8_names(s))
		buf_add(&encoded, name);
	else
		imap_utf7_encode(name, &encoded);
	if (imap_is_atom(buf_span(&encoded)) && !span_equal_nocase(buf_span(&encoded), SPAN("NIL")))
		buf_add(&s->out, buf_span(&encoded));
	else
		imap_render_string(buf_span(&encoded), imap_has_utf8_names(s) ? IMAP_STRUCTURE_UTF8 : 0, &s->out);
}

void imap_say_status(struct imap_session *s, const struct msg_mailbox_row *m, unsigned items)
{
	uint64_t append_limit = child_config(s->connection->edge->self)->message_size_limit_bytes;
	const struct {
		const char *name;
		unsigned item;
		uint64_t value;
	} values[] = {
		{"MESSAGES", IMAP_STATUS_MESSAGES, m->messages}, {"RECENT", IMAP_STATUS_RECENT, m->recent},
		{"UIDNEXT", IMAP_STATUS_UIDNEXT, m->uidnext}, {"UIDVALIDITY", IMAP_STATUS_UIDVALIDITY, m->uidvalidity},
		{"UNSEEN", IMAP_STATUS_UNSEEN, m->unseen}, {"SIZE", IMAP_STATUS_SIZE, m->size},
		{"HIGHESTMODSEQ", IMAP_STATUS_HIGHESTMODSEQ, m->highestmodseq}, {"DELETED", IMAP_STATUS_DELETED, m->deleted},
		{"APPENDLIMIT", IMAP_STATUS_APPENDLIMIT, append_limit}, {"DELETED-STORAGE", IMAP_STATUS_DELETED_STORAGE, m->deleted_size},
	};
	const char *gap = "";
	buf_add_cstr(&s->out, "* STATUS ");
	imap_add_mailbox_name(s, m->name);
	buf_add_cstr(&s->out, " (");
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		if (!(items & values[i].item))
			continue;
		buf_printf(&s->out, "%s%s %llu", gap, values[i].name, (unsigned long long)values[i].value);
		gap = " ";
	}
	if (items & IMAP_STATUS_MAILBOXID) {
		buf_printf(&s->out, "%sMAILBOXID (", gap);
		imap_add_mailbox_id(m->id, m->owner, &s->out);
		buf_add_char(&s->out, ')');
	}
	buf_add_cstr(&s->out, ")\r\n");
}

static void on_status(struct imap_session *s, const struct msg_mailbox_row *m)
{
	const unsigned *items = s->work;
	imap_say_status(s, m, *items);
}

void imap_status(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.row = on_status, .done = imap_done_plainly};
	struct span name;
	unsigned *items = arena_alloc(&s->arena, sizeof *items);
	if (!imap_take_space(p) || !imap_take_mailbox(p, &name) || !imap_take_space(p) || !imap_take_status_items(p, items) ||
	    !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (*items & IMAP_STATUS_HIGHESTMODSEQ)
		imap_enable_now(s, IMAP_ENABLED_CONDSTORE);
	s->work = items;
	imap_ask(s, &answers, mailbox_list_ask, .name = name, .needs_rights = RIGHT_READ, .wants_recent = (*items & IMAP_STATUS_RECENT) != 0);
}
