/* The steps of APPEND, and URLs of messages: see imap_append.h. */
#include "wire/imap_append.h"

#include "base/utf8.h"
#include "wire/date.h"

bool imap_next_is_literal_head(const struct imap_parser *p, uint64_t *size, bool *is_binary)
{
	struct span rest = p->rest;
	*is_binary = span_starts_with(rest, SPAN("~"));
	rest = span_skip(rest, *is_binary);
	if (rest.len < 3 || !span_starts_with(rest, SPAN("{")) || !span_ends_with(rest, SPAN("}")))
		return false;
	struct span number = span_slice(rest, 1, rest.len - 2);
	if (span_ends_with(number, SPAN("+")))
		number.len--;
	return span_to_u64(number, UINT32_MAX, size) == 0;
}

static enum imap_append_kind fault(struct imap_parser *p, const char *text)
{
	imap_fail(p, text);
	return IMAP_APPEND_FAULT;
}

static bool take_date(struct imap_parser *p, struct imap_append_step *out)
{
	struct span text;
	struct date date;
	if (!imap_take_string(p, &text) || !imap_take_space(p))
		return false;
	if (date_parse_imap(text, &date))
		return imap_fail(p, "Expected a date like \" 1-Jan-2026 10:00:00 +0000\"");
	out->has_date = true;
	out->date_seconds = date.utc_seconds;
	return true;
}

/* RFC 1939 §7: 1 to 70 printable characters. */
static bool is_unique_id(struct span id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] <= ' ' || id.ptr[i] >= 0x7f)
			return false;
	return id.len > 0 && id.len <= IMAP_APPEND_UNIQUE_ID_MOST;
}

bool imap_append_take_source(struct imap_parser *p, unsigned char source[IMAP_APPEND_SOURCE_BYTES])
{
	struct span hex;
	if (!imap_take_atom(p, &hex))
		return false;
	if (hex.len != 2 * IMAP_APPEND_SOURCE_BYTES)
		return imap_fail(p, "A source is 32 hexadecimal digits");
	for (size_t i = 0; i < hex.len; i += 2) {
		int high = ascii_hex_value(hex.ptr[i]), low = ascii_hex_value(hex.ptr[i + 1]);
		if (high < 0 || low < 0)
			return imap_fail(p, "A source is 32 hexadecimal digits");
		source[i / 2] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* "(" name SP value *(SP name SP value) ")", each name once. */
static bool take_import(struct imap_parser *p, struct imap_append_step *out)
{
	out->has_import = true;
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	do {
		if (!out->uid && imap_take_word(p, "UID")) {
			if (!imap_take_space(p) || !imap_take_number(p, 1, &out->uid))
				return false;
			if (out->uid == UINT32_MAX)
				return imap_fail(p, "There is no UID behind that one");
		} else if (!out->unique_id.len && imap_take_word(p, "UIDL")) {
			if (!imap_take_space(p) || !imap_take_string(p, &out->unique_id))
				return false;
			if (!is_unique_id(out->unique_id))
				return imap_fail(p, "A UIDL is 1 to 70 printable characters");
		} else if (!out->has_source && imap_take_word(p, "SOURCE")) {
			if (!imap_take_space(p) || !imap_append_take_source(p, out->source))
				return false;
			out->has_source = true;
		} else {
			return imap_fail(p, "Expected UID, UIDL or SOURCE, each once");
		}
	} while (!imap_next_is(p, ')') && imap_take_space(p));
	return imap_take_char(p, ')') && imap_take_space(p);
}

/* [SP flag-list] [SP date-time] [SP append-ext] SP, and what the message is. */
static enum imap_append_kind begin_message(struct imap_parser *p, struct imap_append_reader *r, struct imap_append_step *out)
{
	uint64_t size;
	bool is_binary;
	if (!imap_take_space(p) || (imap_next_is(p, '(') && (!imap_take_flags(p, false, &out->flags) || !imap_take_space(p))) ||
	    (imap_next_is(p, '"') && !take_date(p, out)) || (imap_take_word(p, "X-CARTEIRO") && !take_import(p, out)))
		return IMAP_APPEND_FAULT;
	if (imap_next_is_literal_head(p, &size, &is_binary)) {
		r->place = IMAP_APPEND_AT_LITERAL;
	} else if (imap_take_word(p, "CATENATE")) {
		if (!imap_take_space(p) || !imap_take_char(p, '('))
			return IMAP_APPEND_FAULT;
		r->place = IMAP_APPEND_AT_PART;
	} else if (imap_take_word(p, "UTF8")) {
		if (!imap_take_space(p) || !imap_take_char(p, '('))
			return IMAP_APPEND_FAULT;
		r->place = IMAP_APPEND_AT_UTF8;
	} else {
		return fault(p, "Expected the message as a literal");
	}
	return IMAP_APPEND_BEGIN;
}

static enum imap_append_kind take_text(struct imap_parser *p, struct imap_append_reader *r, struct imap_append_step *out)
{
	if (!imap_next_is_literal_head(p, &out->size_bytes, &out->is_binary))
		return fault(p, "Expected a literal");
	out->is_whole = r->place != IMAP_APPEND_AT_PART;
	p->rest = span_skip(p->rest, p->rest.len);
	r->place = r->place == IMAP_APPEND_AT_PART ? IMAP_APPEND_BEHIND_PART :
	           r->place == IMAP_APPEND_AT_UTF8 ? IMAP_APPEND_BEHIND_UTF8 : IMAP_APPEND_BEHIND_LITERAL;
	return IMAP_APPEND_TEXT;
}

/* cat-part = "TEXT" SP literal / "URL" SP astring (RFC 4469 §5) */
static enum imap_append_kind take_part(struct imap_parser *p, struct imap_append_reader *r, struct imap_append_step *out)
{
	uint64_t size;
	bool is_binary;
	if (imap_take_word(p, "TEXT"))
		return imap_take_space(p) ? take_text(p, r, out) : IMAP_APPEND_FAULT;
	if (!imap_take_word(p, "URL"))
		return fault(p, "Expected TEXT or URL");
	if (!imap_take_space(p))
		return IMAP_APPEND_FAULT;
	if (imap_next_is_literal_head(p, &size, &is_binary) && !is_binary)
		return IMAP_APPEND_MORE;
	if (!imap_take_astring(p, &out->url))
		return IMAP_APPEND_FAULT;
	r->place = IMAP_APPEND_BEHIND_PART;
	return IMAP_APPEND_URL;
}

static enum imap_append_kind end_message(struct imap_append_reader *r)
{
	r->messages++;
	r->place = IMAP_APPEND_AT_MESSAGE;
	return IMAP_APPEND_DONE;
}

static enum imap_append_kind next(struct imap_parser *p, struct imap_append_reader *r, struct imap_append_step *out)
{
	switch (r->place) {
	case IMAP_APPEND_AT_MESSAGE:
		if (r->messages && p->rest.len == 0)
			return IMAP_APPEND_END;
		return begin_message(p, r, out);
	case IMAP_APPEND_AT_LITERAL: return take_text(p, r, out);
	case IMAP_APPEND_BEHIND_LITERAL: return end_message(r);
	case IMAP_APPEND_AT_PART: return take_part(p, r, out);
	case IMAP_APPEND_BEHIND_PART:
		if (imap_next_is(p, ')'))
			return imap_take_char(p, ')') ? end_message(r) : IMAP_APPEND_FAULT;
		r->place = IMAP_APPEND_AT_PART;
		return imap_take_space(p) ? take_part(p, r, out) : IMAP_APPEND_FAULT;
	case IMAP_APPEND_AT_UTF8: return imap_next_is(p, '~') ? take_text(p, r, out) : fault(p, "Expected a literal8");
	case IMAP_APPEND_BEHIND_UTF8: return imap_take_char(p, ')') ? end_message(r) : IMAP_APPEND_FAULT;
	}
	return IMAP_APPEND_FAULT;
}

enum imap_append_kind imap_append_next(struct imap_parser *p, struct imap_append_reader *r, struct imap_append_step *out)
{
	*out = (struct imap_append_step){0};
	out->kind = next(p, r, out);
	return out->kind;
}

/* ---- URLs ---- */

static bool percent_decode(struct span in, struct arena *arena, struct span *out)
{
	char *plain = arena_alloc(arena, in.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < in.len; i++) {
		int high = 0, low = 0;
		if (in.ptr[i] != '%') {
			plain[n++] = in.ptr[i];
			continue;
		}
		if (in.len - i < 3 || (high = ascii_hex_value(in.ptr[i + 1])) < 0 || (low = ascii_hex_value(in.ptr[i + 2])) < 0)
			return false;
		plain[n++] = (char)(high << 4 | low);
		i += 2;
	}
	*out = span_of(plain, n);
	return true;
}

/* Takes ";NAME=" and what follows up to the next ";", or "/;". */
static bool take_parameter(struct span *rest, struct span name, struct span *value)
{
	struct span r = *rest;
	r = span_skip(r, span_starts_with(r, SPAN("/;")) ? 2 : span_starts_with(r, SPAN(";")) ? 1 : r.len);
	if (!span_starts_with_nocase(r, name))
		return false;
	r = span_skip(r, name.len);
	ssize_t end = span_chr(r, ';');
	*value = end < 0 ? r : span_slice(r, 0, (size_t)end);
	*rest = span_skip(r, value->len);
	if (end > 0 && span_ends_with(*value, SPAN("/"))) {
		value->len--;
		*rest = span_of(rest->ptr - 1, rest->len + 1);
	}
	return true;
}

static bool take_number(struct span *rest, struct span name, uint32_t *out)
{
	struct span value;
	uint64_t number;
	if (!take_parameter(rest, name, &value) || span_to_u64(value, UINT32_MAX, &number) || number == 0)
		return false;
	*out = (uint32_t)number;
	return true;
}

/* ";PARTIAL=" number ["." nz-number]: RFC 5092 §6.1 */
static bool take_partial(struct span *rest, struct imap_url *out)
{
	struct span value;
	uint64_t origin, length = 0;
	if (!take_parameter(rest, SPAN("PARTIAL="), &value))
		return false;
	ssize_t dot = span_chr(value, '.');
	if (span_to_u64(dot < 0 ? value : span_slice(value, 0, (size_t)dot), UINT32_MAX, &origin) ||
	    (dot >= 0 && (span_to_u64(span_skip(value, (size_t)dot + 1), UINT32_MAX, &length) || length == 0)))
		return false;
	out->is_partial = true;
	out->origin = (uint32_t)origin;
	out->length = (uint32_t)length;
	return true;
}

bool imap_url_parse(struct span url, struct arena *arena, struct imap_url *out)
{
	*out = (struct imap_url){0};
	ssize_t end = span_chr(url, ';');
	if (end < 0 || span_starts_with(url, SPAN("//")))
		return false;
	struct span mailbox = span_slice(url, 0, (size_t)end), rest = span_skip(url, (size_t)end), section = {0};
	mailbox = span_skip(mailbox, span_starts_with(mailbox, SPAN("/")));
	if (span_ends_with(mailbox, SPAN("/")))
		mailbox.len--;
	if (!percent_decode(mailbox, arena, &out->mailbox) || !utf8_is_valid(out->mailbox) || out->mailbox.len > IMAP_MAILBOX_NAME_MAX ||
	    span_chr(out->mailbox, 0) >= 0)
		return false;
	BUF_AUTO name = {0};
	buf_add(&name, out->mailbox);
	imap_capitalise_inbox(&name, "/");
	out->mailbox = arena_dup(arena, buf_span(&name));
	bool is_good = (!span_starts_with_nocase(span_skip(rest, 1), SPAN("UIDVALIDITY=")) || take_number(&rest, SPAN("UIDVALIDITY="), &out->uidvalidity)) &&
	               take_number(&rest, SPAN("UID="), &out->uid);
	if (is_good && take_parameter(&rest, SPAN("SECTION="), &section))
		is_good = percent_decode(section, arena, &out->section);
	if (is_good && rest.len)
		is_good = take_partial(&rest, out);
	return is_good && rest.len == 0;
}
