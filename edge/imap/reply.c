/* How a command ends: its tagged reply, after what has changed in the mailbox (RFC 3501 §7, RFC 5530). */
#include "edge/imap/notify.h"

#include "base/clock.h"
#include "base/die.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>

/* The reply has been decided; it is written at once, or when store has said what has changed. */
static void finish(struct imap_session *s, const char *status, struct span text)
{
	s->answers = NULL;
	imap_fetch_free(s);
	imap_search_free(s);
	buf_clear(&s->reply);
	buf_add(&s->reply, s->tag.len ? s->tag : SPAN("*"));
	buf_printf(&s->reply, " %s ", status);
	imap_translate(s, text, &s->reply);
	buf_add_cstr(&s->reply, "\r\n");
	bool may_expunge = !s->running || s->is_uid || !(s->running->flags & IMAP_NO_EXPUNGE);
	if (s->state != IMAP_SELECTED || !s->running || !imap_view_refresh(s, may_expunge)) {
		imap_say_reply(s);
	} else if (!s->connection->is_waiting) {
		connection_wait(s->connection);
	}
}

static void finish_text(struct imap_session *s, const char *status, const char *format, va_list args)
{
	char text[1024];
	int n = vsnprintf(text, sizeof text, format, args);
	if (n < 0 || (size_t)n >= sizeof text)
		die("imap: a reply that is too long");
	finish(s, status, span_of(text, (size_t)n));
}

void imap_ok(struct imap_session *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	finish_text(s, "OK", format, args);
	va_end(args);
}

void imap_ok_span(struct imap_session *s, struct span text)
{
	finish(s, "OK", text);
}

void imap_ok_with_modseq(struct imap_session *s, const char *text)
{
	s->tells_modseq = s->enabled & IMAP_ENABLED_QRESYNC;
	finish(s, "OK", span_cstr(text));
}

void imap_no(struct imap_session *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	finish_text(s, "NO", format, args);
	va_end(args);
}

void imap_bad_text(struct imap_session *s, const char *text)
{
	s->bad_count++;
	finish(s, "BAD", span_cstr(text));
	if (s->bad_count >= IMAP_BAD_MOST && !s->connection->is_closing)
		imap_bye(s, "Too many bad commands");
}

void imap_bad(struct imap_session *s, const struct imap_parser *p)
{
	if (p->why.code == IMAP_FAULT_NAME)
		imap_no(s, "[CANNOT] %s", p->why.text);
	else
		imap_bad_text(s, p->why.text);
}

void imap_no_outcome(struct imap_session *s, const struct msg_request_done *m, bool is_target)
{
	const char *code = "[SERVERBUG]", *text = "That went wrong; the server's log says why";
	switch ((enum request_outcome)m->outcome) {
	case REQUEST_OK: case REQUEST_OK_LEFT: break;
	case REQUEST_NO_MAILBOX:
		code = is_target ? "[TRYCREATE]" : "[NONEXISTENT]";
		text = "There is no mailbox of that name";
		break;
	case REQUEST_EXISTS: code = "[ALREADYEXISTS]", text = "There is a mailbox of that name"; break;
	case REQUEST_BAD_NAME: code = "[CANNOT]", text = "That cannot be done with a mailbox of that name"; break;
	case REQUEST_HAS_CHILDREN: code = "[CANNOT]", text = "There are mailboxes below it: delete them first"; break;
	case REQUEST_READ_ONLY: code = "[READ-ONLY]", text = "The mailbox is open for reading only"; break;
	case REQUEST_EXPUNGED: code = "[EXPUNGEISSUED]", text = "Some of the messages are gone"; break;
	case REQUEST_LIMIT: code = "[LIMIT]", text = "That is too much"; break;
	case REQUEST_FAILED: break;
	case REQUEST_TOO_MANY: code = "[LIMIT]", text = "There are too many already"; break;
	case REQUEST_BAD_USE: code = "[USEATTR]", text = "Another mailbox has that use"; break;
	case REQUEST_NO_PERMISSION: code = "[NOPERM]", text = "You may not do that with this mailbox"; break;
	case REQUEST_NO_USER: code = "[CANNOT]", text = "There is no user of that name here"; break;
	case REQUEST_NO_SPACE: code = "[OVERQUOTA]", text = "There is no room"; break;
	case REQUEST_BAD_CHARSET: code = "[BADCHARSET (UTF-8 US-ASCII)]", text = "The charset is not known"; break;
	}
	imap_no(s, "%s %s", code, text);
}

void imap_done_plainly(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome == REQUEST_OK)
		imap_ok(s, "%s done", s->running->name);
	else
		imap_no_outcome(s, m, false);
}

void imap_say_numbered(struct imap_session *s, uint32_t number, struct span rest)
{
	buf_add(&s->out, SPAN("* "));
	buf_add_number(&s->out, number);
	buf_add(&s->out, rest);
}

void imap_begin_fetch(struct imap_session *s, uint32_t number, uint32_t uid, bool with_uid)
{
	if (s->enabled & IMAP_ENABLED_UIDONLY) {
		imap_say_numbered(s, uid, SPAN(" UIDFETCH ("));
		return;
	}
	imap_say_numbered(s, number, SPAN(" FETCH ("));
	if (with_uid) {
		buf_add(&s->out, SPAN("UID "));
		buf_add_number(&s->out, uid);
		buf_add_char(&s->out, ' ');
	}
}

void imap_flush(struct imap_session *s)
{
	if (s->out.len)
		connection_write(s->connection, buf_span(&s->out));
	s->has_written |= s->out.len > 0;
	if (s->out.cap > 2 * IMAP_OUT_BYTES)
		buf_free(&s->out);
	else
		buf_clear(&s->out);
}

static void add_reply(struct imap_session *s)
{
	size_t head = s->tells_modseq ? s->tag.len + sizeof " OK " - 1 : 0;
	buf_add(&s->out, span_slice(buf_span(&s->reply), 0, head));
	if (s->tells_modseq)
		buf_printf(&s->out, "[HIGHESTMODSEQ %llu] ", (unsigned long long)s->view.modseq);
	buf_add(&s->out, span_skip(buf_span(&s->reply), head));
	s->tells_modseq = false;
}

void imap_say_reply(struct imap_session *s)
{
	imap_contexts_refresh(s);
	imap_notify_add(s);
	add_reply(s);
	imap_flush(s);
	if (s->starts_deflate)
		connection_start_deflate(s->connection);
	s->starts_deflate = false;
	buf_free(&s->reply);
	buf_free(&s->out);
	if (s->command.ptr)
		OPENSSL_cleanse(s->command.ptr, s->command.len); /* it may have a password */
	buf_free(&s->command);
	arena_free(&s->arena);
	s->running = NULL;
	s->has_written = false;
	s->is_uid = false;
	s->work = NULL;
	s->tag = (struct span){0};
	s->input = IMAP_INPUT_COMMAND;
	if (s->connection->is_waiting && !s->connection->is_closing)
		connection_continue(s->connection);
}

void imap_bye(struct imap_session *s, const char *why)
{
	BUF_AUTO text = {0};
	imap_flush(s);
	imap_translate(s, span_slice(span_cstr(why), 0, 500), &text);
	connection_printf(s->connection, "* BYE %s\r\n", buf_cstr(&text));
	connection_close(s->connection);
}

struct channel *imap_asking(struct imap_session *s, const struct imap_answers *answers)
{
	struct channel *store = s->connection->edge->store;
	s->request++;
	s->asked_ms = clock_monotonic_ms();
	s->answers = answers;
	if (!store) {
		imap_bye(s, "[UNAVAILABLE] The server restarts: connect again");
		return NULL;
	}
	if (!s->connection->is_waiting)
		connection_wait(s->connection);
	return store;
}
