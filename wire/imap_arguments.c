/* Dates, and the arguments of APPEND and STATUS: see imap_command.h. */
#include "wire/date.h"
#include "wire/imap_command.h"

bool imap_take_date(struct imap_parser *p, int64_t *day)
{
	struct span text;
	if (!imap_take_astring(p, &text))
		return false;
	return date_parse_imap_day(text, day) == 0 || imap_fail(p, "Expected a date like 1-Jan-2026");
}

/* True, with the size, if nothing but a literal's announcement is left. */
static bool is_literal_head(struct span rest, uint64_t *size)
{
	if (rest.len < 3 || !span_starts_with(rest, SPAN("{")) || !span_ends_with(rest, SPAN("}")))
		return false;
	struct span number = span_slice(rest, 1, rest.len - 2);
	if (span_ends_with(number, SPAN("+")))
		number.len--;
	return span_to_u64(number, UINT32_MAX, size) == 0;
}

/* APPEND SP mailbox [SP flag-list] [SP date-time] SP literal (RFC 3501 §6.3.11). */
int imap_parse_append(struct imap_parser *p, struct imap_append *out)
{
	struct span date;
	struct date parsed;
	*out = (struct imap_append){0};
	if (is_literal_head(p->rest, &out->size_bytes))
		return 0; /* the mailbox's name */
	if (!imap_take_mailbox(p, &out->mailbox) || !imap_take_space(p))
		return -1;
	if (imap_next_is(p, '(') && (!imap_take_flags(p, false, &out->flags) || !imap_take_space(p)))
		return -1;
	if (imap_next_is(p, '"')) {
		if (!imap_take_string(p, &date) || !imap_take_space(p))
			return -1;
		if (date_parse_imap(date, &parsed)) {
			imap_fail(p, "Expected a date like \" 1-Jan-2026 10:00:00 +0000\"");
			return -1;
		}
		out->has_date = true;
		out->date_seconds = parsed.utc_seconds;
	}
	if (is_literal_head(p->rest, &out->size_bytes))
		return 1;
	imap_fail(p, "Expected the message as a literal");
	return -1;
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
		{"APPENDLIMIT", IMAP_STATUS_APPENDLIMIT},
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
