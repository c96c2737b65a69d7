/* The arguments of GETMETADATA and SETMETADATA: see imap_metadata.h. */
#include "wire/imap_metadata.h"

static bool is_below(struct span entry, struct span top)
{
	return span_starts_with(entry, top) && (entry.len == top.len || entry.ptr[top.len] == '/');
}

/* RFC 5464 §3.1: a path of ASCII without "*", "%", an empty level or a slash at its end, in any case. */
static bool take_entry(struct imap_parser *p, struct span *out)
{
	struct span name;
	if (!imap_take_astring(p, &name))
		return false;
	char *lower = arena_alloc(p->arena, name.len + 1);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (c < ' ' || c == 0x7f || c == '*' || c == '%' || (c == '/' && (i + 1 == name.len || name.ptr[i + 1] == '/')))
			return imap_fail(p, "That is not the name of an entry");
		lower[i] = ascii_lower(c);
	}
	*out = span_of(lower, name.len);
	if (name.len > IMAP_METADATA_NAME_MAX || !(is_below(*out, SPAN("/private")) || is_below(*out, SPAN("/shared"))))
		return imap_fail(p, "An entry is below /private or /shared, and not too long");
	return true;
}

bool imap_take_metadata_entries(struct imap_parser *p, struct span **entries, size_t *count)
{
	bool is_list = imap_next_is(p, '(');
	*entries = arena_alloc_array(p->arena, IMAP_METADATA_ENTRIES_MAX, sizeof(struct span));
	*count = 0;
	p->rest = span_skip(p->rest, is_list);
	do {
		if (*count == IMAP_METADATA_ENTRIES_MAX)
			return imap_fail(p, "Too many entries in one command");
		if (!take_entry(p, &(*entries)[(*count)++]))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return !is_list || imap_take_char(p, ')');
}

static bool take_option(struct imap_parser *p, struct imap_metadata_get *out)
{
	if (imap_take_word(p, "MAXSIZE")) {
		out->has_maxsize = true;
		return imap_take_space(p) && imap_take_number(p, 0, &out->maxsize);
	}
	if (!imap_take_word(p, "DEPTH"))
		return imap_fail(p, "There is no such option");
	if (!imap_take_space(p))
		return false;
	out->depth = imap_take_word(p, "1") ? IMAP_DEPTH_CHILDREN : imap_take_word(p, "infinity") ? IMAP_DEPTH_ALL : IMAP_DEPTH_NONE;
	return out->depth != IMAP_DEPTH_NONE || imap_take_word(p, "0") || imap_fail(p, "DEPTH is 0, 1 or infinity");
}

/* "(" option *(SP option) ")" SP */
static bool take_options(struct imap_parser *p, struct imap_metadata_get *out)
{
	if (!imap_take_char(p, '('))
		return false;
	do {
		if (!take_option(p, out))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')') && imap_take_space(p);
}

static bool next_is_option(const struct imap_parser *p)
{
	return span_starts_with_nocase(p->rest, SPAN("(MAXSIZE ")) || span_starts_with_nocase(p->rest, SPAN("(DEPTH "));
}

/* A mailbox, or "" for the server. */
static bool take_place(struct imap_parser *p, struct span *out)
{
	*out = SPAN("");
	if (span_starts_with(p->rest, SPAN("\"\" "))) {
		p->rest = span_skip(p->rest, 2);
		return true;
	}
	return imap_take_mailbox(p, out);
}

bool imap_take_getmetadata(struct imap_parser *p, struct imap_metadata_get *out)
{
	*out = (struct imap_metadata_get){0};
	if (imap_next_is(p, '(') && !take_options(p, out))
		return false;
	if (!take_place(p, &out->mailbox) || !imap_take_space(p))
		return false;
	if (next_is_option(p) && !take_options(p, out))
		return false;
	return imap_take_metadata_entries(p, &out->entries, &out->count);
}

static bool take_value(struct imap_parser *p, struct imap_metadata_value *out)
{
	if (!take_entry(p, &out->entry) || !imap_take_space(p))
		return false;
	out->is_nil = imap_take_word(p, "NIL");
	if (out->is_nil)
		return true;
	return imap_next_is(p, '~') ? imap_take_literal8(p, &out->value) : imap_take_string(p, &out->value);
}

bool imap_take_setmetadata(struct imap_parser *p, struct imap_metadata_set *out)
{
	*out = (struct imap_metadata_set){.values = arena_alloc_array(p->arena, IMAP_METADATA_ENTRIES_MAX, sizeof *out->values)};
	if (!take_place(p, &out->mailbox) || !imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	do {
		if (out->count == IMAP_METADATA_ENTRIES_MAX)
			return imap_fail(p, "Too many entries in one command");
		if (!take_value(p, &out->values[out->count++]))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}
