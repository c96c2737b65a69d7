/* Dates: what is read is in range, and what is written is read back. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct date date, again;
	BUF_AUTO text = {0};
	int64_t day;

	date_parse_imap_day(in, &day);
	if (date_parse(in, &date) == 0) {
		date_format_imap(date.utc_seconds, date.zone_minutes, &text);
		if (date_parse_imap(buf_span(&text), &again) < 0 || again.utc_seconds != date.utc_seconds)
			die("a date does not come back");
	}
	if (date_parse_imap(in, &date) == 0)
		date_format(date.utc_seconds, &text);
	if (date_parse_internet(in, &date) == 0) {
		buf_clear(&text);
		date_format_internet(date.utc_seconds, &text);
		if (date_parse_internet(buf_span(&text), &again) < 0 || again.utc_seconds != date.utc_seconds)
			die("an internet date does not come back");
	}
	return 0;
}
