/* Who else may use the mailboxes at the server that mail comes from (RFC 4314): the same users get the same rights here, as far as they are users here. */
#include "cli/import_imap.h"

#include "wire/imap_reply.h"
#include "wire/rights.h"

struct entries {
	struct import *import;
	const struct imap_source *source;
	struct span name; /* of the mailbox, as it is called here */
	struct buf here;  /* the response with the rights that there are here already */
	unsigned lost;
};

/* What is none here (a server's digits) is left out. c and d of RFC 2086 stand beside the rights that they are made of, whichever of those there are (RFC 4314
 * §2.1.1), and say something only where there are none of these. */
static unsigned read_rights(struct span letters)
{
	unsigned rights = 0, virtual = 0;
	for (size_t n = 0; n < letters.len; n++) {
		enum rights_change change;
		unsigned one;
		if (rights_parse(span_slice(letters, n, 1), &change, &one) == 0)
			*(letters.ptr[n] == 'c' || letters.ptr[n] == 'd' ? &virtual : &rights) |= one;
	}
	return rights & (RIGHT_CREATE | RIGHT_DELETE_MAILBOX | RIGHT_DELETE | RIGHT_EXPUNGE) ? rights : rights | virtual;
}

static void add_rights(unsigned rights, struct buf *out)
{
	for (size_t n = 0; RIGHTS_LETTERS[n]; n++)
		if (rights >> n & 1)
			buf_add_char(out, RIGHTS_LETTERS[n]);
}

/* The words of "* ACL mailbox identifier rights ..." behind the mailbox. False if it is no such response. */
static bool begin_entries(struct span response, struct span *rest)
{
	BUF_AUTO mailbox = {0};
	*rest = span_skip(response, 6);
	return span_starts_with_nocase(response, SPAN("* ACL ")) && imap_reply_word(rest, &mailbox);
}

static void on_acl_here(void *context, struct span response)
{
	struct entries *e = context;
	struct span rest;
	if (begin_entries(response, &rest)) {
		buf_clear(&e->here);
		buf_add(&e->here, response);
	}
}

static bool has_already(const struct entries *e, struct span identifier, unsigned rights)
{
	BUF_AUTO word = {0}, letters = {0};
	struct span rest;
	if (!begin_entries(buf_span(&e->here), &rest))
		return false;
	while (imap_reply_word(&rest, &word) && word.len && imap_reply_word(&rest, &letters))
		if (span_equal_nocase(buf_span(&word), identifier))
			return read_rights(buf_span(&letters)) == rights;
	return false;
}

/* The owner has all rights here: "owner" is what Dovecot calls him. */
static bool is_owner(const struct entries *e, struct span identifier)
{
	struct span user = span_cstr(e->source->user);
	ssize_t at = span_chr(user, '@');
	return span_equal_nocase(identifier, user) || (at > 0 && span_equal_nocase(identifier, span_slice(user, 0, (size_t)at))) ||
	       span_equal(identifier, SPAN("owner"));
}

static void on_acl(void *context, struct span response)
{
	struct entries *e = context;
	BUF_AUTO word = {0}, identifier = {0}, text = {0};
	struct span rest;
	if (!begin_entries(response, &rest))
		return;
	while (imap_reply_word(&rest, &identifier) && identifier.len && imap_reply_word(&rest, &word)) {
		if (is_owner(e, buf_span(&identifier)))
			continue;
		/* everybody there is not everybody here: that is for the owner to say */
		if (span_equal(buf_span(&identifier), SPAN("anyone"))) {
			e->lost++;
			continue;
		}
		unsigned rights = read_rights(buf_span(&word));
		if (!rights || has_already(e, buf_span(&identifier), rights))
			continue;
		buf_clear(&text);
		add_rights(rights, &text);
		e->lost += import_rights(e->import, e->name, buf_span(&identifier), buf_span(&text)) > 0;
	}
}

void import_acl(struct import *i, struct imap_source *s, struct span raw, struct span name)
{
	struct entries e = {.import = i, .source = s, .name = name};
	BUF_AUTO line = {0};
	if (i->is_broken || !imap_source_can(s, "ACL"))
		return;
	import_read_rights(i, name, on_acl_here, &e);
	buf_add_cstr(&line, "GETACL ");
	imap_client_add_string(&line, raw);
	imap_client_command(&s->client, buf_span(&line), on_acl, &e); /* NO: who imports may not know them */
	buf_free(&e.here);
	if (e.lost)
		import_say(i, "%.*s: %u of its rights are of nobody here, and were left out\n", SPAN_ARG(name), e.lost);
}
