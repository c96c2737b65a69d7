/* IMAP commands: however the stream is cut they end at the same place; every parser takes any bytes. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/imap_append.h"
#include "wire/imap_command.h"
#include "wire/imap_fetch.h"
#include "wire/imap_list.h"
#include "wire/imap_metadata.h"
#include "wire/imap_modifiers.h"
#include "wire/imap_notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The length of the first command, literals of up to 64 KiB taken; `step` bytes at a time. */
static size_t scan(struct span in, size_t step)
{
	struct imap_scanner s = {0};
	size_t at = 0;

	while (at < in.len) {
		enum imap_scan_result result;
		struct span piece = span_slice(in, at, step);
		size_t n = imap_scan(&s, piece, &result);

		if (n > piece.len || (result == IMAP_SCAN_MORE && n != piece.len))
			die("scan takes %zu of %zu", n, piece.len);
		at += n;
		if (result == IMAP_SCAN_LINE || (result == IMAP_SCAN_LITERAL && s.literal_size > 65536))
			return at;
		if (result == IMAP_SCAN_LITERAL)
			imap_scan_literal(&s);
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), out;
	ARENA_AUTO a = {0};
	struct imap_parser p;
	struct imap_parser at;
	struct imap_sequence_set set;
	struct imap_flags flags;
	struct imap_append_reader reader = {0};
	struct imap_append_step step;
	struct imap_select_parameters parameters;
	struct imap_fetch_modifiers modifiers;
	struct imap_url url;
	struct imap_metadata_get get;
	struct imap_metadata_set values;
	struct imap_notify notify;
	uint64_t since;
	bool is_there;
	struct imap_fetch fetch;
	struct imap_list list;
	unsigned items;
	int64_t day;

	if (scan(in, 1) != scan(in, size + 1) || scan(in, 3) != scan(in, 7))
		die("the command's end depends on how it comes in");
	p = (struct imap_parser){.rest = in, .arena = &a};
	imap_parser_init(&p, in, &a);
	imap_take_tag(&p, &out);
	at = p, imap_take_atom(&at, &out);
	at = p, imap_take_sequence_set(&at, &set);
	at = p, imap_take_flags(&at, true, &flags);
	at = p, imap_take_status_items(&at, &items);
	at = p, imap_take_date(&at, &day);
	at = p;
	for (unsigned steps = 0; imap_append_next(&at, &reader, &step) < IMAP_APPEND_END; steps++)
		if (steps > 2 * size + 10)
			die("APPEND has more steps than bytes");
	at = p, imap_take_select_parameters(&at, &parameters);
	at = p, imap_take_fetch_modifiers(&at, &modifiers);
	at = p, imap_take_store_modifiers(&at, &is_there, &since);
	if (imap_url_parse(in, &a, &url) && (url.uid == 0 || !utf8_is_valid(url.mailbox)))
		die("a URL that names no message");
	at = p, imap_take_fetch(&at, &fetch);
	at = p;
	if (imap_take_getmetadata(&at, &get) && get.count > IMAP_METADATA_ENTRIES_MAX)
		die("GETMETADATA of %zu entries", get.count);
	at = p;
	if (imap_take_setmetadata(&at, &values))
		for (size_t i = 0; i < values.count; i++)
			if (values.values[i].entry.len > IMAP_METADATA_NAME_MAX)
				die("an annotation's name of %zu bytes", values.values[i].entry.len);
	at = p;
	if (imap_take_notify(&at, &notify) && notify.count > IMAP_NOTIFY_GROUPS_MAX)
		die("NOTIFY with %zu groups", notify.count);
	at = p;
	if (imap_take_list(&at, false, &list))
		for (size_t i = 0; i < list.pattern_count; i++) {
			struct imap_pattern *m = list.patterns[i].ptr ? imap_pattern_new(list.patterns[i]) : NULL;

			if (m)
				imap_pattern_matches(m, in);
			imap_pattern_free(m);
		}
	at = p;
	if (imap_take_mailbox(&at, &out) && (!utf8_is_valid(out) || span_chr(out, 0) >= 0 || out.len > IMAP_MAILBOX_NAME_MAX))
		die("a mailbox name that store cannot have");
	return 0;
}
