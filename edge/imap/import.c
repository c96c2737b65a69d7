/* What `carteiro import` asks for beside APPEND (wire/imap_append.h), in sessions that a grant has let in (vault/grant.h). */
#include "edge/imap/session.h"
#include "wire/imap_append.h"

enum { SOURCES_MOST = 1000 }; /* of one command; the command's length is less */

/* X-MAILBOX mailbox uidvalidity uidnext: an empty mailbox gets that UIDVALIDITY; one that has it gets a UIDNEXT of at least that. OK: it has
 * that UIDVALIDITY, so that messages may keep their UIDs. */
void imap_import_mailbox(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.done = imap_done_plainly};
	struct span name;
	uint32_t uidvalidity, uidnext;
	if (!imap_take_space(p) || !imap_take_mailbox(p, &name) || !imap_take_space(p) || !imap_take_number(p, 1, &uidvalidity) ||
	    !imap_take_space(p) || !imap_take_number(p, 1, &uidnext) || !imap_take_end(p))
		imap_bad(s, p);
	else
		imap_ask(s, &answers, import_mailbox_ask, .mailbox = name, .uidvalidity = uidvalidity, .uidnext = uidnext);
}

static void on_sources(struct imap_session *s, const struct msg_import_sources *m)
{
	buf_add_cstr(&s->out, "* X-SOURCES ");
	for (size_t i = 0; i < m->known.len; i++)
		buf_add_char(&s->out, m->known.ptr[i] ? '1' : '0');
	buf_add_cstr(&s->out, "\r\n");
	imap_ok(s, "X-SOURCES done");
}

/* X-SOURCES hash *(SP hash): which messages have come before, "1" or "0" for each. */
void imap_import_sources(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.sources = on_sources};
	BUF_AUTO sources = {0};
	do {
		unsigned char source[IMAP_APPEND_SOURCE_BYTES];
		if (!imap_take_space(p) || !imap_append_take_source(p, source) ||
		    (sources.len == SOURCES_MOST * sizeof source && !imap_fail(p, "Too many at once"))) {
			imap_bad(s, p);
			return;
		}
		buf_add(&sources, span_of(source, sizeof source));
	} while (p->rest.len);
	imap_ask(s, &answers, import_sources_ask, .sources = buf_span(&sources));
}
