/* Dates as mail writes them: RFC 5322 §3.3 and §4.3, IMAP (RFC 3501 §9 date, date-time), and RFC 3339. No locale, no time zone
 * database; all arithmetic is on the proleptic Gregorian calendar. */
#ifndef WIRE_DATE_H
#define WIRE_DATE_H

#include "base/buf.h"

struct date {
	int64_t utc_seconds; /* since 1970-01-01 00:00:00 UTC */
	int zone_minutes;    /* east of Greenwich, as written; 0 for "-0000" and unknown zones */
};

/* Longest text that is looked at: a real date with long comments. */
#define DATE_TEXT_MAX 1000

/* Parses the value of a Date field with folding, comments and the obsolete forms (two-digit years, names of zones, no
 * seconds). The name of the weekday is not checked against the date. A missing or unknown zone is UTC (RFC 5322 §4.3).
 * Returns 0, or -1 if it is no date from the year 1900 to 9999. */
int date_parse(struct span text, struct date *out);

/* Appends "Thu, 1 Jan 2026 10:00:00 +0000". Times outside the years 1 to 9999 are taken as the nearest one inside. */
void date_format(int64_t utc_seconds, struct buf *out);

/* Parses "01-Jan-2026 10:00:00 +0000" without its quotes; the day may have a space for its first digit.
 * Returns 0, or -1. */
int date_parse_imap(struct span text, struct date *out);

/* Appends the same, without quotes, in the given zone (clamped to +-9959). */
void date_format_imap(int64_t utc_seconds, int zone_minutes, struct buf *out);

/* Parses "1-Jan-2026" (one or two digits for the day) to days since 1970-01-01. Returns 0, or -1. */
int date_parse_imap_day(struct span text, int64_t *utc_day);

/* Parses "2026-12-24T18:00:00Z", or with a fraction or an offset ("+01:00"), all of it (RFC 3339 §5.6). Returns 0, or -1. */
int date_parse_internet(struct span text, struct date *out);

/* Appends the same, in UTC, without a fraction. */
void date_format_internet(int64_t utc_seconds, struct buf *out);

#endif
