/* Looking at a kept ENVELOPE: see imap_envelope.h. */
#include "wire/imap_envelope.h"

enum { ADDRESS_STRINGS = 4, ADDRESS_LISTS = 6 };

static bool take_char(struct span *rest, char c)
{
	if (rest->len == 0 || *rest->ptr != c)
		return false;
	*rest = span_skip(*rest, 1);
	return true;
}

static bool take_nil(struct span *rest)
{
	bool is_nil = span_starts_with(*rest, SPAN("NIL"));
	*rest = span_skip(*rest, is_nil ? 3 : 0);
	return is_nil;
}

/* RFC 3501 §9, nstring, without literals */
static bool take_nstring(struct span *rest)
{
	if (!take_char(rest, '"'))
		return take_nil(rest);
	for (size_t at = 0; at < rest->len; at++) {
		unsigned char c = (unsigned char)rest->ptr[at];
		if (c == '"') {
			*rest = span_skip(*rest, at + 1);
			return true;
		}
		if (c == '\\')
			c = ++at < rest->len && (rest->ptr[at] == '"' || rest->ptr[at] == '\\') ? '\\' : 0;
		if ((c < ' ' && c != '\t') || c > '~')
			return false;
	}
	return false;
}

static bool take_nstrings(struct span *rest, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if ((i && !take_char(rest, ' ')) || !take_nstring(rest))
			return false;
	return true;
}

/* "(" 1*address ")" / nil */
static bool take_addresses(struct span *rest)
{
	if (!take_char(rest, '('))
		return take_nil(rest);
	do {
		if (!take_char(rest, '(') || !take_nstrings(rest, ADDRESS_STRINGS) || !take_char(rest, ')'))
			return false;
	} while (!take_char(rest, ')'));
	return true;
}

bool imap_envelope_is_valid(struct span text)
{
	if (!take_char(&text, '(') || !take_nstrings(&text, 2))
		return false;
	for (unsigned i = 0; i < ADDRESS_LISTS; i++)
		if (!take_char(&text, ' ') || !take_addresses(&text))
			return false;
	return take_char(&text, ' ') && take_nstrings(&text, 2) && take_char(&text, ')') && text.len == 0;
}
