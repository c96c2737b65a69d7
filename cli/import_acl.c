/* Who else may use the mailboxes at the server that mail comes from (RFC 4314): the same users get the same rights here, as far as they are users here. */
#include "cli/import_imap.h"

#include "wire/imap_reply.h"
#include "wire/rights.h"

struct entries {
	struct import *import;
	const struct imap_source *source;
	struct span name; /* of the mailbox, as it is called here */
	unsigned lost;
};

/* Rights of RFC 2086 too; what is none here (a server's digits) is left out. */
static unsigned read_rights(struct span letters)
{
	unsigned rights = 0;
	for (size_t n = 0; n < letters.len; n++) {
		enum rights_change change;
		unsigned one;
		if (rights_parse(span_slice(letters, n, 1), &change, &one) == 0)
			rights |= one;
	}
	return rights;
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
	if (!span_starts_with_nocase(response, SPAN("* ACL ")))
		return;
	struct span rest = span_skip(response, 6);
	if (!imap_reply_word(&rest, &word))
		return;
	while (imap_reply_word(&rest, &identifier) && identifier.len && imap_reply_word(&rest, &word)) {
		if (is_owner(e, buf_span(&identifier)))
			continue;
		/* everybody there is not everybody here: that is for the owner to say */
		if (span_equal(buf_span(&identifier), SPAN("anyone"))) {
			e->lost++;
			continue;
		}
		buf_clear(&text);
		rights_format(read_rights(buf_span(&word)), &text);
		e->lost += import_rights(e->import, e->name, buf_span(&identifier), buf_span(&text)) > 0;
	}
}

void import_acl(struct import *i, struct imap_source *s, struct span raw, struct span name)
{
	struct entries e = {.import = i, .source = s, .name = name};
	BUF_AUTO line = {0};
	if (i->is_broken || !imap_source_can(s, "ACL"))
		return;
	buf_add_cstr(&line, "GETACL ");
	imap_client_add_string(&line, raw);
	imap_client_command(&s->client, buf_span(&line), on_acl, &e); /* NO: who imports may not know them */
	if (e.lost)
		import_say(i, "%.*s: %u of its rights are of nobody here, and were left out\n", SPAN_ARG(name), e.lost);
}
