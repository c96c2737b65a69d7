/* Letters of rights: see rights.h. */
#include "wire/rights.h"

#include <string.h>

enum { CREATE_MEMBERS = RIGHT_CREATE | RIGHT_DELETE_MAILBOX, DELETE_MEMBERS = RIGHT_DELETE | RIGHT_EXPUNGE };

static unsigned right_of(char letter)
{
	const char *at = letter ? strchr(RIGHTS_LETTERS, letter) : NULL;
	return letter == 'c' ? CREATE_MEMBERS : letter == 'd' ? DELETE_MEMBERS : at ? 1u << (at - RIGHTS_LETTERS) : 0;
}

int rights_parse(struct span text, enum rights_change *change, unsigned *rights)
{
	char first = text.len ? text.ptr[0] : 0;
	*change = first == '+' ? RIGHTS_ADD : first == '-' ? RIGHTS_REMOVE : RIGHTS_SET;
	*rights = 0;
	for (size_t i = *change != RIGHTS_SET; i < text.len; i++) {
		unsigned right = right_of(text.ptr[i]);
		if (!right)
			return -1; /* §3.1: none is ignored; §2: upper case is none */
		*rights |= right;
	}
	return 0;
}

void rights_format(unsigned rights, struct buf *out)
{
	if (!rights)
		buf_add_cstr(out, "\"\"");
	for (size_t i = 0; i < sizeof RIGHTS_LETTERS - 1; i++)
		if (rights >> i & 1)
			buf_add_char(out, RIGHTS_LETTERS[i]);
	if (rights & CREATE_MEMBERS)
		buf_add_char(out, 'c');
	if (rights & DELETE_MEMBERS)
		buf_add_char(out, 'd');
}
