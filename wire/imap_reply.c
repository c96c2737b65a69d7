#include "wire/imap_reply.h"

#include "wire/imap_command.h"

#include "wire/date.h"

bool imap_reply_literal(struct span line, uint64_t *size)
{
	ssize_t brace = span_rchr(line, '{');
	return brace >= 0 && span_ends_with(line, SPAN("}")) &&
	       span_to_u64(span_slice(line, (size_t)brace + 1, line.len - (size_t)brace - 2), UINT32_MAX, size) == 0;
}

/* A literal in front; its bytes go to *text, as far as they are there. */
static bool take_literal(struct span *rest, struct span *text, uint64_t *size)
{
	ssize_t end = span_find(*rest, SPAN("\r\n"));
	if (end < 0 || !imap_reply_literal(span_slice(*rest, 0, (size_t)end), size))
		return false;
	*rest = span_skip(*rest, (size_t)end + 2);
	*text = *size > rest->len ? SPAN("") : span_slice(*rest, 0, (size_t)*size);
	return true;
}

/* Offset behind the quoted string in front; 0: it does not end. */
static size_t quoted_length(struct span s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.ptr[i] == '"')
			return i + 1;
		i += s.ptr[i] == '\\';
	}
	return 0;
}

static void add_unquoted(struct span quoted, struct buf *out)
{
	for (size_t i = 1; i + 1 < quoted.len; i++) {
		i += quoted.ptr[i] == '\\' && i + 2 < quoted.len;
		buf_add_char(out, quoted.ptr[i]);
	}
}

/* An atom with the section that it may have: "BODY[HEADER.FIELDS (A B)]<0>". */
static struct span take_atom(struct span *rest)
{
	size_t n = 0, brackets = 0;
	for (; n < rest->len; n++) {
		char c = rest->ptr[n];
		brackets += c == '[';
		if (!brackets && (c == ' ' || c == '(' || c == ')' || c == '\r' || c == '\n'))
			break;
		if (brackets && c == ']')
			brackets--;
	}
	struct span atom = span_slice(*rest, 0, n);
	*rest = span_skip(*rest, n);
	return atom;
}

bool imap_reply_word(struct span *list, struct buf *out)
{
	uint64_t size;
	struct span text;
	buf_clear(out);
	*list = span_trim(*list);
	if (!list->len)
		return false;
	if (list->ptr[0] == '"') {
		size_t n = quoted_length(*list);
		add_unquoted(span_slice(*list, 0, n), out);
		*list = span_skip(*list, n ? n : list->len);
		return n > 0;
	}
	if (list->ptr[0] == '{' && take_literal(list, &text, &size)) {
		buf_add(out, text);
		*list = span_skip(*list, text.len);
		return text.len == size;
	}
	buf_add(out, take_atom(list));
	if (!out->len)
		*list = SPAN("");
	return out->len > 0;
}

bool imap_reply_list(struct span r, struct imap_reply_list *out)
{
	BUF_AUTO separator = {0};
	buf_clear(&out->name);
	buf_clear(&out->attributes);
	ssize_t end = span_chr(r, ')');
	if ((!span_starts_with_nocase(r, SPAN("* LIST (")) && !span_starts_with_nocase(r, SPAN("* LSUB ("))) || end < 8)
		return false;
	buf_add_char(&out->attributes, ' ');
	buf_add(&out->attributes, span_slice(r, 8, (size_t)end - 8));
	buf_add_char(&out->attributes, ' ');
	r = span_trim(span_skip(r, (size_t)end + 1));
	bool is_flat = span_starts_with_nocase(r, SPAN("NIL "));
	if (!imap_reply_word(&r, &separator))
		return false;
	out->separator = is_flat || separator.len != 1 ? 0 : separator.ptr[0];
	return imap_reply_word(&r, &out->name);
}

void imap_reply_list_free(struct imap_reply_list *l)
{
	buf_free(&l->name);
	buf_free(&l->attributes);
}

bool imap_reply_has(const struct imap_reply_list *l, const char *attribute)
{
	struct span rest = buf_span(&l->attributes), word;
	while ((word = span_next_word(&rest)).len)
		if (span_equal_nocase(word, span_cstr(attribute)))
			return true;
	return false;
}

/* ---- FETCH ---- */

/* Takes one value, of whatever form; *inside is what is between its parentheses or quotes. False if it ends in a literal that has not been
 * read (*size), or is none. */
static bool take_value(struct span *rest, struct span *inside, uint64_t *size)
{
	unsigned depth = 0;
	struct span start = *rest;
	*size = UINT64_MAX;
	do {
		if (depth)
			while (rest->len && rest->ptr[0] == ' ')
				*rest = span_skip(*rest, 1);
		if (!rest->len)
			return false;
		char c = rest->ptr[0];
		if (c == '(' || c == ')') {
			if (c == ')' && !depth)
				return false;
			depth = c == '(' ? depth + 1 : depth - 1;
			*rest = span_skip(*rest, 1);
			if (depth > IMAP_REPLY_DEPTH_MOST)
				return false;
		} else if (c == '"') {
			size_t n = quoted_length(*rest);
			*rest = span_skip(*rest, n);
			if (!n)
				return false;
		} else if (c == '{') {
			struct span text;
			if (!take_literal(rest, &text, size) || text.len != *size)
				return false;
			*rest = span_skip(*rest, text.len);
			*size = UINT64_MAX;
		} else if (!take_atom(rest).len) {
			return false;
		}
	} while (depth);
	*inside = span_of(start.ptr, start.len - rest->len);
	if (inside->len >= 2 && (inside->ptr[0] == '(' || inside->ptr[0] == '"'))
		*inside = span_slice(*inside, 1, inside->len - 2);
	return true;
}

static void take_item(struct span name, struct span value, struct imap_reply_fetch *out)
{
	uint64_t number;
	struct date date;
	if (span_equal_nocase(name, SPAN("UID")) && span_to_u64(value, UINT32_MAX, &number) == 0) {
		out->uid = (uint32_t)number;
	} else if (span_equal_nocase(name, SPAN("FLAGS"))) {
		out->flags = value;
		out->has_flags = true;
	} else if (span_equal_nocase(name, SPAN("INTERNALDATE")) && date_parse_imap(value, &date) == 0) {
		out->date_s = date.utc_seconds;
		out->has_date = true;
	} else if (span_equal_nocase(name, SPAN("RFC822.SIZE"))) {
		out->has_size = span_to_u64(value, UINT64_MAX, &out->size) == 0;
	} else if (span_equal_nocase(name, SPAN("X-GM-LABELS"))) {
		out->labels = value;
		out->has_labels = true;
	} else if (span_equal_nocase(name, SPAN("X-GM-MSGID"))) {
		out->has_id = span_to_u64(value, UINT64_MAX, &out->gmail_id) == 0;
	}
}

bool imap_reply_fetch(struct span r, struct imap_reply_fetch *out)
{
	*out = (struct imap_reply_fetch){0};
	if (!span_starts_with(r, SPAN("* ")))
		return false;
	r = span_skip(r, 2);
	uint64_t number;
	if (span_to_u64(take_atom(&r), UINT32_MAX, &number) || !span_starts_with_nocase(r, SPAN(" FETCH (")))
		return false;
	r = span_skip(r, 8);
	while (r.len && r.ptr[0] != ')') {
		struct span value, name;
		uint64_t size;
		if (r.ptr[0] == ' ') {
			r = span_skip(r, 1);
			continue;
		}
		name = take_atom(&r);
		if (!name.len || !span_starts_with(r, SPAN(" ")))
			return false;
		r = span_skip(r, 1);
		if (!take_value(&r, &value, &size)) {
			out->has_literal = size != UINT64_MAX && !r.len;
			out->literal_size = size;
			return out->has_literal;
		}
		take_item(name, value, out);
	}
	return r.len > 0;
}

uint8_t imap_reply_system_flag(struct span word)
{
	static const struct {
		const char *name;
		enum imap_flag flag;
	} names[] = {{"\\Seen", IMAP_FLAG_SEEN}, {"\\Answered", IMAP_FLAG_ANSWERED}, {"\\Flagged", IMAP_FLAG_FLAGGED}, {"\\Deleted", IMAP_FLAG_DELETED},
	             {"\\Draft", IMAP_FLAG_DRAFT}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (span_equal_nocase(word, span_cstr(names[i].name)))
			return (uint8_t)names[i].flag;
	return 0;
}

bool imap_reply_code(struct span response, const char *code, uint32_t *number)
{
	uint64_t value;
	BUF_AUTO start = {0};
	buf_printf(&start, "[%s ", code);
	ssize_t at = span_find(response, buf_span(&start));
	struct span rest = at < 0 ? SPAN("") : span_skip(response, (size_t)at + start.len);
	ssize_t end = span_chr(rest, ']');
	if (end <= 0 || span_to_u64(span_slice(rest, 0, (size_t)end), UINT32_MAX, &value))
		return false;
	*number = (uint32_t)value;
	return true;
}
