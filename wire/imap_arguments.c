/* Dates, and the arguments of STATUS: see imap_command.h. */
#include "wire/date.h"
#include "wire/imap_command.h"

bool imap_take_date(struct imap_parser *p, int64_t *day)
{
	struct span text;
	if (!imap_take_astring(p, &text))
		return false;
	return date_parse_imap_day(text, day) == 0 || imap_fail(p, "Expected a date like 1-Jan-2026");
}

bool imap_take_status_items(struct imap_parser *p, unsigned *out)
{
	static const struct {
		const char *name;
		enum imap_status_item item;
	} items[] = {
		{"MESSAGES", IMAP_STATUS_MESSAGES}, {"RECENT", IMAP_STATUS_RECENT}, {"UIDNEXT", IMAP_STATUS_UIDNEXT},
		{"UIDVALIDITY", IMAP_STATUS_UIDVALIDITY}, {"UNSEEN", IMAP_STATUS_UNSEEN}, {"SIZE", IMAP_STATUS_SIZE},
		{"HIGHESTMODSEQ", IMAP_STATUS_HIGHESTMODSEQ}, {"MAILBOXID", IMAP_STATUS_MAILBOXID}, {"DELETED", IMAP_STATUS_DELETED},
		{"APPENDLIMIT", IMAP_STATUS_APPENDLIMIT}, {"DELETED-STORAGE", IMAP_STATUS_DELETED_STORAGE},
	};
	*out = 0;
	if (!imap_take_char(p, '('))
		return false;
	do {
		struct span name;
		unsigned found = 0;
		if (!imap_take_atom(p, &name))
			return false;
		for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
			if (span_equal_nocase(name, span_cstr(items[i].name)))
				found = items[i].item;
		if (!found)
			return imap_fail(p, "There is no such status item");
		*out |= found;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}
