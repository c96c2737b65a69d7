#include "wire/surrogate.h"

#include "base/utf8.h"
#include "wire/address.h"
#include "wire/address_list.h"
#include "wire/encoded_word.h"
#include "wire/header.h"

static bool is_one_of(struct span name, const char *const *names)
{
	for (; *names; names++)
		if (span_equal_nocase(name, span_cstr(*names)))
			return true;
	return false;
}

static bool has_addresses(struct span name)
{
	static const char *const names[] = {"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To",
	                                    "Resent-Cc", "Resent-Bcc", "Disposition-Notification-To", "Mail-Followup-To", "Errors-To", NULL};
	return is_one_of(name, names);
}

/* Fields in which an encoded word would be no word. */
static bool is_structured(struct span name)
{
	static const char *const names[] = {"Return-Path", "Received", "Received-SPF", "Delivered-To", "Message-ID", "In-Reply-To", "References", "Date",
	                                    "MIME-Version", "DKIM-Signature", "Authentication-Results", NULL};
	static const char *const fronts[] = {"Content-", "ARC-", "List-", "Resent-"};
	for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++)
		if (span_starts_with_nocase(name, span_cstr(fronts[i])) && !span_equal_nocase(name, SPAN("Content-Description")))
			return true;
	return is_one_of(name, names);
}

static void add_with_questions(struct span text, struct buf *out)
{
	while (text.len) {
		size_t n = utf8_char_length(text);
		if (n > 1)
			buf_add_char(out, '?');
		else
			buf_add_char(out, text.ptr[0]);
		text = span_skip(text, n ? n : 1);
	}
}

/* RFC 5322 §3.2.3: atext and the dot; what has anything else needs quotes. */
static bool is_dot_atom(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alpha(text.ptr[i]) && !ascii_is_digit(text.ptr[i]) && span_chr(SPAN("!#$%&'*+-/=?^_`{|}~."), text.ptr[i]) < 0)
			return false;
	return text.len > 0 && text.ptr[0] != '.' && text.ptr[text.len - 1] != '.' && span_find(text, SPAN("..")) < 0;
}

static void add_quoted(struct span text, struct buf *out)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, text.ptr[i]);
	}
	buf_add_char(out, '"');
}

/* What is ASCII stays, encoded words among it; quotes do no harm to other names. */
static void add_phrase(struct span name, struct buf *out)
{
	if (utf8_has_8bit(name))
		encoded_word_encode(name, out);
	else if (span_find(name, SPAN("=?")) >= 0)
		buf_add(out, name);
	else
		add_quoted(name, out);
}

/* local@domain with the domain in A-labels; false where the local part is not ASCII, or there is no such domain. */
static bool add_address(const struct address_list_entry *e, struct buf *out)
{
	BUF_AUTO domain = {0};
	if (utf8_has_8bit(e->mailbox) || (utf8_has_8bit(e->domain) && domain_canonical(e->domain, &domain, NULL)))
		return false;
	if (is_dot_atom(e->mailbox))
		buf_add(out, e->mailbox);
	else
		add_quoted(e->mailbox, out);
	if (e->domain.len)
		buf_add_char(out, '@');
	buf_add(out, domain.len ? buf_span(&domain) : e->domain);
	return true;
}

/* The name of an empty group: "Ana <josé@example.org>:;" */
static void add_unsayable(const struct address_list_entry *e, struct buf *out)
{
	BUF_AUTO text = {0};
	buf_add(&text, e->name);
	if (e->name.len)
		buf_add_char(&text, ' ');
	buf_add_char(&text, '<');
	buf_add(&text, e->mailbox);
	buf_add_char(&text, '@');
	buf_add(&text, e->domain);
	buf_add_char(&text, '>');
	encoded_word_encode(buf_span(&text), out);
	buf_add_cstr(out, ":;");
}

static void add_mailbox(const struct address_list_entry *e, bool in_group, struct buf *out)
{
	BUF_AUTO address = {0};
	if (!add_address(e, &address)) {
		/* a group cannot have another in it */
		if (in_group)
			buf_add_cstr(out, "address-removed@invalid");
		else
			add_unsayable(e, out);
		return;
	}
	if (!e->name.len) {
		buf_add(out, buf_span(&address));
		return;
	}
	add_phrase(e->name, out);
	buf_printf(out, " <%s>", buf_cstr(&address));
}

static void add_addresses(struct span value, struct buf *out)
{
	struct address_list_reader r = {.rest = value};
	struct address_list_entry e;
	const char *before = "";
	bool in_group = false;
	while (address_list_next(&r, &e)) {
		switch (e.kind) {
		case ADDRESS_LIST_GROUP_START:
			buf_add_cstr(out, before);
			add_phrase(e.name, out);
			buf_add_cstr(out, ":");
			before = " ";
			in_group = true;
			break;
		case ADDRESS_LIST_GROUP_END:
			buf_add_char(out, ';');
			before = ",\r\n ";
			in_group = false;
			break;
		case ADDRESS_LIST_MAILBOX:
			buf_add_cstr(out, before);
			add_mailbox(&e, in_group, out);
			before = ",\r\n ";
			break;
		}
	}
	address_list_reader_free(&r);
}

static void add_field(const struct header_field *f, struct buf *out)
{
	BUF_AUTO value = {0}, made = {0};
	bool is_list = has_addresses(f->name);
	if (!f->name.len || utf8_has_8bit(f->name) || (!is_list && is_structured(f->name))) {
		add_with_questions(f->whole, out);
		return;
	}
	header_unfold(f->value, &value);
	if (is_list)
		add_addresses(buf_span(&value), &made);
	else
		encoded_word_encode(buf_span(&value), &made);
	buf_printf(out, "%.*s: %s\r\n", SPAN_ARG(f->name), buf_cstr(&made));
}

void surrogate_header(struct span header, struct buf *out)
{
	struct header_reader r = {.header = header};
	struct header_field f;
	while (header_next(&r, &f)) {
		if (utf8_has_8bit(f.whole) && utf8_is_valid(f.whole))
			add_field(&f, out);
		else
			buf_add(out, f.whole);
	}
	buf_add(out, span_skip(header, r.at));
}
