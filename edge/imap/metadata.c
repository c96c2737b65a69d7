/* GETMETADATA and SETMETADATA: RFC 5464. What is private and what is shared lies with the mailbox; the server's own entries are the
 * account's, but for /shared/admin, which this server says itself. */
#include "wire/imap_metadata.h"

#include "edge/imap/session.h"
#include "ipc/words.h"
#include "wire/imap_structure.h"

enum { VALUE_BYTES_MOST = 32 * 1024 };

struct getting {
	struct imap_metadata_get what;
	bool has_begun;
	size_t longest; /* of those that are longer than MAXSIZE */
};

static void say_place(struct imap_session *s, struct span mailbox)
{
	if (mailbox.len)
		imap_add_mailbox_name(s, mailbox);
	else
		buf_add_cstr(&s->out, "\"\"");
}

void imap_add_metadata(struct imap_session *s, struct span entry, struct span value)
{
	buf_add(&s->out, entry);
	buf_add_char(&s->out, ' ');
	if (span_chr(value, 0) >= 0) {
		buf_printf(&s->out, "~{%zu}\r\n", value.len);
		buf_add(&s->out, value);
	} else {
		imap_render_string(value, imap_has_utf8_names(s) ? IMAP_STRUCTURE_UTF8 : 0, &s->out);
	}
}

static void say_entry(struct imap_session *s, struct getting *w, struct span entry, struct span value)
{
	if (w->what.has_maxsize && value.len > w->what.maxsize) {
		w->longest = value.len > w->longest ? value.len : w->longest;
		return;
	}
	if (!w->has_begun) {
		buf_add_cstr(&s->out, "* METADATA ");
		say_place(s, w->what.mailbox);
		buf_add_cstr(&s->out, " (");
	} else {
		buf_add_char(&s->out, ' ');
	}
	w->has_begun = true;
	imap_add_metadata(s, entry, value);
}

static void on_row(struct imap_session *s, const struct msg_metadata_row *m)
{
	say_entry(s, s->work, m->entry, m->value);
}

/* RFC 5464 §3.2.1.1: whom to write to. */
static void say_admin(struct imap_session *s, struct getting *w)
{
	static const struct span admin = {"/shared/admin", 13}, above = {"/shared", 7};
	BUF_AUTO uri = {0};
	bool is_asked = false;
	for (size_t i = 0; i < w->what.count; i++)
		is_asked |= span_equal(w->what.entries[i], admin) || (w->what.depth != IMAP_DEPTH_NONE && span_equal(w->what.entries[i], above));
	buf_printf(&uri, "mailto:postmaster@%s", child_hostname(s->connection->edge->self));
	if (is_asked && !w->what.mailbox.len)
		say_entry(s, w, admin, buf_span(&uri));
}

static void on_got(struct imap_session *s, const struct msg_request_done *m)
{
	struct getting *w = s->work;
	if (m->outcome != REQUEST_OK) {
		imap_no_outcome(s, m, false);
		return;
	}
	say_admin(s, w);
	if (w->has_begun)
		buf_add_cstr(&s->out, ")\r\n");
	if (w->longest)
		imap_ok(s, "[METADATA LONGENTRIES %zu] GETMETADATA done", w->longest);
	else
		imap_ok(s, "GETMETADATA done");
}

void imap_getmetadata(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.metadata = on_row, .done = on_got};
	struct getting *w = arena_alloc(&s->arena, sizeof *w);
	BUF_AUTO entries = {0};
	if (!imap_take_space(p) || !imap_take_getmetadata(p, &w->what) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	words_pack(&entries, w->what.entries, w->what.count);
	s->work = w;
	imap_ask(s, &answers, metadata_get, .mailbox = w->what.mailbox, .scope = w->what.mailbox.len ? METADATA_OF_MAILBOX : METADATA_OF_SERVER,
	         .depth = (uint8_t)w->what.depth, .entries = buf_span(&entries));
}

static void on_set(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome == REQUEST_TOO_MANY)
		imap_no(s, "[METADATA TOOMANY] There are too many entries already");
	else
		imap_done_plainly(s, m);
}

void imap_setmetadata(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.done = on_set};
	struct imap_metadata_set what;
	BUF_AUTO entries = {0}, value = {0};
	if (!imap_take_space(p) || !imap_take_setmetadata(p, &what) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	struct span *words = arena_alloc_array(&s->arena, 2 * what.count, sizeof *words);
	for (size_t i = 0; i < what.count; i++) {
		const struct imap_metadata_value *v = &what.values[i];
		if (v->value.len > VALUE_BYTES_MOST) {
			imap_no(s, "[METADATA MAXSIZE %d] A value is too long", VALUE_BYTES_MOST);
			return;
		}
		if (!what.mailbox.len && span_starts_with(v->entry, SPAN("/shared"))) {
			imap_no(s, "[NOPERM] What all users share is the administrator's");
			return;
		}
		buf_clear(&value);
		buf_add_cstr(&value, "v");
		buf_add(&value, v->value);
		words[2 * i] = v->entry;
		words[2 * i + 1] = v->is_nil ? SPAN("") : arena_dup(&s->arena, buf_span(&value));
	}
	words_pack(&entries, words, 2 * what.count);
	imap_ask(s, &answers, metadata_set, .mailbox = what.mailbox, .entries = buf_span(&entries));
}
