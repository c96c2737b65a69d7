/* Bounces: see dsn.h. */
#include "wire/dsn.h"

#include "base/utf8.h"
#include "wire/date.h"
#include "wire/dsn_words.h"
#include "wire/encoded_word.h"
#include "wire/header.h"
#include "wire/smtp.h"

/* Characters of the human-readable part's lines. */
#define TEXT_WIDTH 76

/* Text for a structured field or the human part: printable ASCII on one line. */
static void add_clean(struct buf *out, struct span text)
{
	text = span_slice(text, 0, DSN_TEXT_MAX);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		buf_add_char(out, c < 32 || c == 127 ? ' ' : c > 126 ? '?' : (char)c);
	}
}

static bool needs_utf8_type(struct span address)
{
	return utf8_has_8bit(address) && utf8_is_valid(address);
}

/* "rfc822; user@host", or RFC 6533 §3 utf-8-addr-xtext for what is not ASCII. */
static void add_typed_address(struct buf *out, struct span address)
{
	address = span_slice(address, 0, DSN_TEXT_MAX / 3);
	if (!needs_utf8_type(address)) {
		buf_add_cstr(out, "rfc822; ");
		add_clean(out, address);
		return;
	}
	buf_add_cstr(out, "utf-8; ");
	while (address.len > 0) {
		size_t width = utf8_char_length(address);
		uint32_t c = (unsigned char)address.ptr[0];

		if (width > 1) {
			c &= 0x7fu >> width;
			for (size_t i = 1; i < width; i++)
				c = c << 6 | ((unsigned char)address.ptr[i] & 0x3f);
			buf_printf(out, "\\x{%02X}", (unsigned)c);
		} else {
			add_clean(out, span_slice(address, 0, 1));
		}
		address = span_skip(address, width > 0 ? width : 1);
	}
}

/* Appends words of ours, or what add_clean has cleaned, folded at spaces; every line begins with `indent`. */
static void add_wrapped(struct buf *out, const char *indent, struct span rest)
{
	struct span word;
	size_t column = 0;

	while ((word = span_next_word(&rest)).len > 0) {
		if (column > 0 && column + 1 + word.len > TEXT_WIDTH) {
			buf_add_cstr(out, "\r\n");
			column = 0;
		}
		buf_add_cstr(out, column == 0 ? indent : " ");
		buf_add(out, word);
		column += 1 + word.len;
	}
	buf_add_cstr(out, "\r\n");
}

static void add_wrapped_clean(struct buf *out, const char *indent, struct span text)
{
	BUF_AUTO clean = {0};

	add_clean(&clean, text);
	add_wrapped(out, indent, buf_span(&clean));
}

static void add_date_field(struct buf *out, const char *name, int64_t when)
{
	if (when == 0)
		return;
	buf_printf(out, "%s: ", name);
	date_format(when, out);
	buf_add_cstr(out, "\r\n");
}

/* RFC 3461 §6.3: the type and the address as the sender's ORCPT had them. */
static void add_original_recipient(struct buf *out, const struct dsn_recipient *r)
{
	if (r->original_type.len == 0) {
		add_typed_address(out, r->original);
		return;
	}
	add_clean(out, r->original_type);
	buf_add_cstr(out, "; ");
	add_clean(out, r->original);
}

/* For programs; what people read is in wire/dsn_words.c. */
static const struct action {
	const char *word; /* RFC 3464 §2.3.3 */
	const char *status; /* where none is known */
} actions[DSN_ACTIONS] = {
    [DSN_FAILED] = {"failed", "5.0.0"},
    [DSN_DELAYED] = {"delayed", "4.0.0"},
    [DSN_DELIVERED] = {"delivered", "2.0.0"},
    [DSN_RELAYED] = {"relayed", "2.0.0"},
    [DSN_EXPANDED] = {"expanded", "2.0.0"},
};

/* What the notification is about as a whole. */
static enum dsn_action first_action(const struct dsn *d)
{
	return d->recipient_count ? d->recipients[0].action : DSN_FAILED;
}

/* An address in a header field; nothing in it can end the brackets or the field. */
static void add_address(struct buf *out, struct span address)
{
	BUF_AUTO clean = {0};

	add_clean(&clean, address);
	buf_add_char(out, '<');
	for (size_t i = 0; i < clean.len; i++)
		if (clean.ptr[i] != '<' && clean.ptr[i] != '>')
			buf_add_char(out, clean.ptr[i]);
	buf_add_char(out, '>');
}

static void add_header(const struct dsn *d, struct span boundary, bool is_8bit, struct buf *out)
{
	buf_add_cstr(out, "From: Mail Delivery System ");
	add_address(out, d->postmaster);
	buf_add_cstr(out, "\r\nTo: ");
	add_address(out, d->recipient);
	buf_add_cstr(out, "\r\nSubject: ");
	encoded_word_encode(span_cstr(dsn_words(d->language)->actions[first_action(d)].subject), out);
	buf_add_cstr(out, "\r\n");
	add_date_field(out, "Date", d->now != 0 ? d->now : 1);
	buf_add_cstr(out, "Message-ID: ");
	add_clean(out, d->message_id);
	/* RFC 3834 §5: no automatic answers to this. */
	buf_add_cstr(out, "\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	                  "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"");
	buf_add(out, boundary);
	buf_add_cstr(out, is_8bit ? "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" : "\"\r\n\r\n");
}

static void add_delimiter(struct span boundary, const char *content_type, struct buf *out)
{
	buf_add_cstr(out, "--");
	buf_add(out, boundary);
	buf_printf(out, "\r\nContent-Type: %s\r\n", content_type);
}

static struct span valid_status(const struct dsn_recipient *r)
{
	struct span status = r->status;
	const char *standard = actions[r->action].status;
	bool is_success = standard[0] == '2';
	/* a message that was tried until its time was over has failed with a 4.x.x */
	bool valid = status.len > 0 && (status.ptr[0] == '2') == is_success && smtp_enhanced_length(status) == status.len;

	return valid ? status : span_cstr(standard);
}

static void add_human_recipient(const struct dsn_words *words, enum language language, const struct dsn_recipient *r, struct buf *out)
{
	const char *outcome = words->actions[r->action].outcome;

	buf_add_cstr(out, "\r\n");
	add_wrapped_clean(out, "  ", r->original.len > 0 ? r->original : r->address);
	add_wrapped(out, "    ", span_cstr(outcome ? outcome : dsn_explain(language, valid_status(r))));
	if (r->diagnostic.len == 0)
		return;
	if (r->remote_mta.len > 0) {
		BUF_AUTO line = {0};

		buf_add_cstr(&line, words->answer);
		add_clean(&line, r->remote_mta);
		buf_add_cstr(&line, words->said);
		add_wrapped(out, "    ", buf_span(&line));
	}
	add_wrapped_clean(out, "      ", r->diagnostic);
}

static void add_human_part(const struct dsn *d, size_t count, struct buf *out)
{
	const struct dsn_words *words = dsn_words(d->language);

	buf_printf(out, "\r\n%s", words->here);
	add_clean(out, span_slice(d->reporting_mta, 0, 255));
	buf_printf(out, ".\r\n\r\n%s", words->actions[first_action(d)].intro);
	for (size_t i = 0; i < count; i++)
		add_human_recipient(words, d->language, &d->recipients[i], out);
	buf_printf(out, "\r\n%s\r\n", d->original_message.len ? words->whole_attached : words->header_attached);
}

static void add_field(struct buf *out, const char *name, const char *type, struct span value)
{
	if (value.len == 0)
		return;
	buf_printf(out, "%s: %s", name, type);
	add_clean(out, value);
	buf_add_cstr(out, "\r\n");
}

static bool is_reply(struct span text)
{
	return text.len > 4 && ascii_is_digit(text.ptr[0]) && ascii_is_digit(text.ptr[1]) && ascii_is_digit(text.ptr[2]) && (text.ptr[3] == ' ' || text.ptr[3] == '-');
}

/* RFC 3464 §2.3. */
static void add_status_recipient(const struct dsn_recipient *r, struct buf *out)
{
	buf_add_cstr(out, "\r\n");
	if (r->original.len > 0) {
		buf_add_cstr(out, "Original-Recipient: ");
		add_original_recipient(out, r);
		buf_add_cstr(out, "\r\n");
	}
	buf_add_cstr(out, "Final-Recipient: ");
	add_typed_address(out, r->address);
	buf_printf(out, "\r\nAction: %s\r\n", actions[r->action].word);
	add_field(out, "Status", "", valid_status(r));
	/* "mx.example.org[192.0.2.1]:25" is what people want to read, and no name of the DNS (RFC 3464 §2.3.5) */
	ssize_t bracket = span_chr(r->remote_mta, '[');
	add_field(out, "Remote-MTA", "dns; ", bracket > 0 ? span_slice(r->remote_mta, 0, (size_t)bracket) : r->remote_mta);
	/* RFC 3461 §9.2: of type smtp is what a server has replied; what we say ourselves is of a type of ours */
	add_field(out, "Diagnostic-Code", is_reply(r->diagnostic) ? "smtp; " : "X-Carteiro; ", r->diagnostic);
	add_date_field(out, "Last-Attempt-Date", r->last_attempt);
}

static bool has_utf8_address(const struct dsn *d, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (needs_utf8_type(d->recipients[i].address) || needs_utf8_type(d->recipients[i].original))
			return true;
	return false;
}

/* The header fields that fit, whole, with CR LF lines; a bare CR or NUL becomes a space. */
static void add_original_header(struct span header, struct buf *out)
{
	struct header_reader r = {.header = header};
	struct header_field field;
	size_t start = out->len;

	while (header_next(&r, &field) && out->len - start + field.whole.len <= DSN_HEADER_MAX) {
		/* A line that is no field might be a boundary. */
		if (field.name.len == 0)
			continue;
		for (size_t i = 0; i < field.whole.len; i++) {
			char c = field.whole.ptr[i];
			bool before_lf = i + 1 < field.whole.len && field.whole.ptr[i + 1] == '\n';

			if (c == '\n')
				buf_add_cstr(out, "\r\n");
			else if (c != '\r' || !before_lf)
				buf_add_char(out, c == '\r' || c == '\0' ? ' ' : c);
		}
		if (field.whole.ptr[field.whole.len - 1] != '\n')
			buf_add_cstr(out, "\r\n");
	}
}

/* Only letters and digits, so that it needs no care where it stands. */
static void clean_boundary(struct span boundary, struct buf *out)
{
	boundary = span_slice(boundary, 0, 60);
	buf_add_cstr(out, "=_");
	for (size_t i = 0; i < boundary.len; i++)
		if (ascii_is_alpha(boundary.ptr[i]) || ascii_is_digit(boundary.ptr[i]))
			buf_add_char(out, boundary.ptr[i]);
}

void dsn_build(const struct dsn *d, struct buf *out)
{
	size_t count = d->recipient_count < DSN_RECIPIENTS_MAX ? d->recipient_count : DSN_RECIPIENTS_MAX;
	BUF_AUTO boundary_text = {0};
	BUF_AUTO original = {0};
	BUF_AUTO human = {0};
	struct span boundary;
	bool is_8bit;

	clean_boundary(d->boundary, &boundary_text);
	boundary = buf_span(&boundary_text);
	if (d->original_message.len == 0)
		add_original_header(d->original_header, &original);
	else
		buf_add(&original, d->original_message);
	add_human_part(d, count, &human);
	is_8bit = utf8_has_8bit(buf_span(&original));
	add_header(d, boundary, is_8bit || utf8_has_8bit(buf_span(&human)), out);
	add_delimiter(boundary, utf8_has_8bit(buf_span(&human)) ? "text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
	                                                        : "text/plain; charset=us-ascii", out);
	buf_add(out, buf_span(&human));
	add_delimiter(boundary,
	              has_utf8_address(d, count) ? "message/global-delivery-status" : "message/delivery-status", out);
	buf_add_cstr(out, "\r\n");
	add_field(out, "Original-Envelope-Id", "", d->envelope_id);
	add_field(out, "Reporting-MTA", "dns; ", d->reporting_mta);
	add_field(out, "X-Queue-ID", "", d->queue_id);
	add_date_field(out, "Arrival-Date", d->arrival);
	for (size_t i = 0; i < count; i++)
		add_status_recipient(&d->recipients[i], out);
	buf_add_cstr(out, "\r\n");
	add_delimiter(boundary, d->original_message.len ? "message/rfc822" : "text/rfc822-headers", out);
	if (is_8bit)
		buf_add_cstr(out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_add_cstr(out, "\r\n");
	buf_add(out, buf_span(&original));
	buf_add_cstr(out, "\r\n--");
	buf_add(out, boundary);
	buf_add_cstr(out, "--\r\n");
}
