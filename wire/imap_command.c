/* The tokens of IMAP commands and the arguments that several of them have: see imap_command.h. */
#include "wire/imap_command.h"

#include "base/utf8.h"
#include "wire/imap_utf7.h"

#include <stdio.h>

bool imap_fail(struct imap_parser *p, const char *text)
{
	error_set(&p->why, IMAP_FAULT_GRAMMAR, "%s", text);
	return false;
}

bool imap_parser_init(struct imap_parser *p, struct span command, struct arena *arena)
{
	*p = (struct imap_parser){.rest = command, .arena = arena};
	if (!span_ends_with(command, SPAN("\r\n")))
		return imap_fail(p, "A line must end in CR LF");
	p->rest.len -= 2;
	return true;
}

/* RFC 3501 §9: ATOM-CHAR is any 7-bit character but controls, SP and ( ) { % * " \ ]. */
static bool is_atom_char(char c)
{
	return c > ' ' && c < 0x7f && !strchr("(){%*\"\\]", c);
}

static bool is_astring_char(char c)
{
	return is_atom_char(c) || c == ']';
}

bool imap_is_atom(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_atom_char(text.ptr[i]))
			return false;
	return text.len > 0;
}

static struct span take_while(struct imap_parser *p, bool (*is_wanted)(char))
{
	size_t n = 0;
	while (n < p->rest.len && is_wanted(p->rest.ptr[n]))
		n++;
	struct span word = span_slice(p->rest, 0, n);
	p->rest = span_skip(p->rest, n);
	return word;
}

bool imap_take_tag(struct imap_parser *p, struct span *tag)
{
	*tag = take_while(p, is_astring_char);
	if (tag->len == 0 || tag->len > IMAP_TAG_MAX || span_chr(*tag, '+') >= 0 || !imap_next_is(p, ' ')) {
		*tag = (struct span){0};
		return imap_fail(p, "A command begins with a tag and a space");
	}
	return imap_take_space(p);
}

bool imap_next_is(const struct imap_parser *p, char c)
{
	return p->rest.len && p->rest.ptr[0] == c;
}

bool imap_take_char(struct imap_parser *p, char c)
{
	char text[32];
	if (!imap_next_is(p, c)) {
		snprintf(text, sizeof text, "Expected \"%c\"", c);
		return imap_fail(p, text);
	}
	p->rest = span_skip(p->rest, 1);
	return true;
}

bool imap_take_space(struct imap_parser *p)
{
	if (!imap_next_is(p, ' '))
		return imap_fail(p, p->rest.len ? "Expected a space" : "An argument is missing");
	p->rest = span_skip(p->rest, 1);
	return true;
}

bool imap_take_end(struct imap_parser *p)
{
	return p->rest.len == 0 || imap_fail(p, "There is something behind the command's end");
}

bool imap_take_word(struct imap_parser *p, const char *word)
{
	struct span w = span_cstr(word);
	if (!span_starts_with_nocase(p->rest, w))
		return false;
	if (p->rest.len > w.len && is_astring_char(p->rest.ptr[w.len]))
		return false;
	p->rest = span_skip(p->rest, w.len);
	return true;
}

bool imap_take_atom(struct imap_parser *p, struct span *out)
{
	*out = take_while(p, is_atom_char);
	return out->len > 0 || imap_fail(p, "Expected a word");
}

static bool take_quoted(struct imap_parser *p, struct span *out)
{
	size_t end = 1, escapes = 0;
	for (; end < p->rest.len && p->rest.ptr[end] != '"'; end++) {
		char c = p->rest.ptr[end];
		if (c == '\r' || c == '\n' || c == '\0')
			return imap_fail(p, "A quoted string has no line end and no NUL");
		if (c != '\\')
			continue;
		end++;
		escapes++;
		if (end == p->rest.len || (p->rest.ptr[end] != '"' && p->rest.ptr[end] != '\\'))
			return imap_fail(p, "In a quoted string \\ stands only before \" and \\");
	}
	if (end >= p->rest.len)
		return imap_fail(p, "A quoted string has no end");
	*out = span_slice(p->rest, 1, end - 1);
	p->rest = span_skip(p->rest, end + 1);
	if (!utf8_is_valid(*out))
		return imap_fail(p, "A quoted string is not UTF-8: use a literal");
	if (escapes == 0)
		return true;
	char *plain = arena_alloc(p->arena, out->len);
	size_t n = 0;
	for (size_t i = 0; i < out->len; i++) {
		i += out->ptr[i] == '\\';
		plain[n++] = out->ptr[i];
	}
	*out = span_of(plain, n);
	return true;
}

/* "{" number ["+"] "}" CR LF at the front: the number of bytes that it takes, 0 if that is not what stands there. */
static size_t literal_head(struct span in, uint64_t *size)
{
	size_t at = 1;
	while (at < in.len && ascii_is_digit(in.ptr[at]))
		at++;
	if (in.len == 0 || in.ptr[0] != '{' || span_to_u64(span_slice(in, 1, at - 1), UINT32_MAX, size))
		return 0;
	at += at < in.len && in.ptr[at] == '+';
	return span_starts_with(span_skip(in, at), SPAN("}\r\n")) ? at + 3 : 0;
}

static bool take_literal(struct imap_parser *p, bool may_have_nul, struct span *out)
{
	uint64_t size;
	size_t head = literal_head(p->rest, &size);
	if (head == 0 || size > p->rest.len - head)
		return imap_fail(p, "That is not a literal");
	*out = span_slice(p->rest, head, (size_t)size);
	p->rest = span_skip(p->rest, head + (size_t)size);
	/* RFC 3501 §9: CHAR8 */
	return may_have_nul || span_chr(*out, 0) < 0 || imap_fail(p, "A literal has no NUL");
}

bool imap_take_literal8(struct imap_parser *p, struct span *out)
{
	return imap_take_char(p, '~') && take_literal(p, true, out);
}

bool imap_take_string(struct imap_parser *p, struct span *out)
{
	if (imap_next_is(p, '"'))
		return take_quoted(p, out);
	if (imap_next_is(p, '{'))
		return take_literal(p, false, out);
	return imap_fail(p, "Expected a string");
}

bool imap_take_astring(struct imap_parser *p, struct span *out)
{
	if (imap_next_is(p, '"') || imap_next_is(p, '{'))
		return imap_take_string(p, out);
	*out = take_while(p, is_astring_char);
	return out->len > 0 || imap_fail(p, "Expected a word or a string");
}

static bool is_digit(char c)
{
	return ascii_is_digit(c);
}

bool imap_take_number(struct imap_parser *p, uint32_t least, uint32_t *out)
{
	struct span digits = take_while(p, is_digit);
	uint64_t number;
	if (span_to_u64(digits, UINT32_MAX, &number) || number < least)
		return imap_fail(p, "Expected a number");
	*out = (uint32_t)number;
	return true;
}

void imap_capitalise_inbox(struct buf *name, const char *behind)
{
	struct span n = buf_span(name);
	if (span_starts_with_nocase(n, SPAN("INBOX")) && (n.len == 5 || strchr(behind, n.ptr[5])))
		memcpy(name->ptr, "INBOX", 5);
}

int imap_decode_name(const struct imap_parser *p, struct span written, struct buf *out)
{
	if (!p->has_utf8_names)
		return imap_utf7_decode(written, out);
	buf_add(out, written);
	return utf8_is_valid(written) && span_chr(written, 0) < 0 ? 0 : -1;
}

bool imap_take_mailbox(struct imap_parser *p, struct span *out)
{
	struct span written;
	BUF_AUTO name = {0};
	if (!imap_take_astring(p, &written))
		return false;
	if (imap_decode_name(p, written, &name) || name.len == 0 || name.len > IMAP_MAILBOX_NAME_MAX) {
		error_set(&p->why, IMAP_FAULT_NAME, "That is not a mailbox name");
		return false;
	}
	if (name.len > 1 && name.ptr[name.len - 1] == '/')
		name.len--; /* CREATE "a/" announces that names below are to follow (RFC 3501 §6.3.3); Thunderbird goes on calling the mailbox so */
	imap_capitalise_inbox(&name, "/");
	*out = arena_dup(p->arena, buf_span(&name));
	return true;
}

static bool take_set_number(struct imap_parser *p, uint32_t *out)
{
	if (!imap_next_is(p, '*'))
		return imap_take_number(p, 1, out);
	p->rest = span_skip(p->rest, 1);
	*out = IMAP_STAR;
	return true;
}

bool imap_take_sequence_set(struct imap_parser *p, struct imap_sequence_set *out)
{
	size_t room = 1;
	if (imap_next_is(p, '$')) {
		*out = (struct imap_sequence_set){.is_saved = true};
		return imap_take_char(p, '$');
	}
	for (size_t i = 0; i < p->rest.len && p->rest.ptr[i] != ' ' && p->rest.ptr[i] != ')'; i++)
		room += p->rest.ptr[i] == ',';
	if (room > IMAP_RANGES_MAX)
		return imap_fail(p, "Too many ranges in one set");
	*out = (struct imap_sequence_set){.ranges = arena_alloc_array(p->arena, room, sizeof *out->ranges)};
	for (;;) {
		struct imap_range r;
		if (!take_set_number(p, &r.first))
			return false;
		r.last = r.first;
		if (imap_next_is(p, ':')) {
			p->rest = span_skip(p->rest, 1);
			if (!take_set_number(p, &r.last))
				return false;
		}
		/* RFC 3501 §9: 2:4 and 4:2 are the same */
		bool is_turned = r.last != IMAP_STAR && (r.first == IMAP_STAR || r.first > r.last);
		out->ranges[out->count++] = is_turned ? (struct imap_range){r.last, r.first} : r;
		if (!imap_next_is(p, ','))
			return true;
		p->rest = span_skip(p->rest, 1);
	}
}

static const struct {
	const char *name;
	enum imap_flag flag;
} system_flags[] = {
	{"Seen", IMAP_FLAG_SEEN}, {"Answered", IMAP_FLAG_ANSWERED}, {"Flagged", IMAP_FLAG_FLAGGED},
	{"Deleted", IMAP_FLAG_DELETED}, {"Draft", IMAP_FLAG_DRAFT},
};

static bool take_flag(struct imap_parser *p, struct imap_flags *out)
{
	struct span name;
	bool is_system = imap_next_is(p, '\\');
	p->rest = span_skip(p->rest, is_system);
	if (!imap_take_atom(p, &name))
		return false;
	if (is_system) {
		for (size_t i = 0; i < sizeof system_flags / sizeof system_flags[0]; i++)
			if (span_equal_nocase(name, span_cstr(system_flags[i].name))) {
				out->system |= (uint8_t)system_flags[i].flag;
				return true;
			}
		return true;
	}
	if (out->keyword_count == IMAP_FLAGS_MAX || name.len > IMAP_KEYWORD_MAX)
		return imap_fail(p, "Too many keywords, or one that is too long");
	out->keywords[out->keyword_count++] = name;
	return true;
}

bool imap_take_flags(struct imap_parser *p, bool may_be_bare, struct imap_flags *out)
{
	bool is_list = imap_next_is(p, '(');
	*out = (struct imap_flags){.keywords = arena_alloc_array(p->arena, IMAP_FLAGS_MAX, sizeof *out->keywords)};
	if (!is_list && !may_be_bare)
		return imap_take_char(p, '(');
	p->rest = span_skip(p->rest, is_list);
	if (is_list && imap_next_is(p, ')'))
		return imap_take_char(p, ')');
	do {
		if (!take_flag(p, out))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return !is_list || imap_take_char(p, ')');
}
