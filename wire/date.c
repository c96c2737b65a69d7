/* Dates: see date.h. */
#include "wire/date.h"

#include "wire/lexical.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

#define DAY_SECONDS 86400

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
	unsigned hour, minute, second;
};

/* Days since 1970-01-01; years begin in March here, so that the leap day is the last. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, struct civil *out)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	out->day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
	out->month = (unsigned)(month < 10 ? month + 3 : month - 9);
	out->year = year + era * 400 + (out->month <= 2 ? 1 : 0);
}

static unsigned days_in_month(int64_t year, unsigned month)
{
	static const unsigned char lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : lengths[month - 1];
}

/* A leap second (60) counts as the second after (RFC 5322 §3.3 allows it). */
static int to_utc(const struct civil *c, int zone_minutes, struct date *out)
{
	if (c->year < 1900 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > days_in_month(c->year, c->month) || c->hour > 23 || c->minute > 59 || c->second > 60)
		return -1;
	out->utc_seconds = days_from_civil(c->year, c->month, c->day) * DAY_SECONDS + (int64_t)c->hour * 3600 +
	                   (int64_t)c->minute * 60 + c->second - (int64_t)zone_minutes * 60;
	out->zone_minutes = zone_minutes;
	return 0;
}

static unsigned month_number(struct span word)
{
	for (unsigned i = 0; i < 12; i++)
		if (span_equal_nocase(word, span_cstr(months[i])))
			return i + 1;
	return 0;
}

static bool take_char(struct span *in, char want)
{
	*in = lexical_skip_cfws(*in);
	if (in->len == 0 || in->ptr[0] != want)
		return false;
	*in = span_skip(*in, 1);
	return true;
}

static struct span take_word(struct span *in)
{
	struct span word;
	size_t n = 0;

	*in = lexical_skip_cfws(*in);
	while (n < in->len && ascii_is_alpha(in->ptr[n]))
		n++;
	word = span_slice(*in, 0, n);
	*in = span_skip(*in, n);
	return word;
}

/* A number of min to max digits; returns how many, or 0. */
static size_t take_number(struct span *in, size_t min, size_t max, unsigned *out)
{
	size_t n = 0;

	*out = 0;
	while (n < in->len && ascii_is_digit(in->ptr[n])) {
		if (++n > max)
			return 0;
		*out = *out * 10 + (unsigned)(in->ptr[n - 1] - '0');
	}
	if (n < min)
		return 0;
	*in = span_skip(*in, n);
	return n;
}

static size_t take_spaced_number(struct span *in, size_t min, size_t max, unsigned *out)
{
	*in = lexical_skip_cfws(*in);
	return take_number(in, min, max, out);
}

/* "+hhmm", "-hhmm". */
static int take_numeric_zone(struct span *in, int *minutes)
{
	bool west = in->ptr[0] == '-';
	unsigned hhmm;

	*in = span_skip(*in, 1);
	if (take_number(in, 4, 4, &hhmm) == 0 || hhmm % 100 > 59)
		return -1;
	*minutes = (int)(hhmm / 100 * 60 + hhmm % 100);
	if (west)
		*minutes = -*minutes;
	return 0;
}

/* RFC 5322 §4.3: names that are unknown, and the military letters that RFC 822 had wrong, mean "-0000". */
static int named_zone(struct span name)
{
	static const struct {
		const char *name;
		int hours;
	} zones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6},
	             {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}};

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if (span_equal_nocase(name, span_cstr(zones[i].name)))
			return zones[i].hours * 60;
	return 0;
}

static int take_zone(struct span *in, int *minutes)
{
	*in = lexical_skip_cfws(*in);
	if (in->len > 0 && (in->ptr[0] == '+' || in->ptr[0] == '-'))
		return take_numeric_zone(in, minutes);
	*minutes = named_zone(take_word(in));
	return 0;
}

static int take_time(struct span *in, struct civil *out)
{
	if (take_spaced_number(in, 1, 2, &out->hour) == 0 || !take_char(in, ':') ||
	    take_spaced_number(in, 1, 2, &out->minute) == 0)
		return -1;
	if (take_char(in, ':') && take_spaced_number(in, 1, 2, &out->second) == 0)
		return -1;
	return 0;
}

/* RFC 5322 §4.3: two digits below 50 are in this century, others and three digits count from 1900. */
static int64_t full_year(unsigned year, size_t digits)
{
	if (digits == 2)
		return year < 50 ? 2000 + (int64_t)year : 1900 + (int64_t)year;
	return digits == 3 ? 1900 + (int64_t)year : (int64_t)year;
}

int date_parse(struct span text, struct date *out)
{
	struct civil c = {0};
	unsigned year;
	size_t digits;
	int zone;

	if (text.len > DATE_TEXT_MAX)
		return -1;
	if (take_word(&text).len > 0)
		take_char(&text, ',');
	if (take_spaced_number(&text, 1, 2, &c.day) == 0)
		return -1;
	c.month = month_number(take_word(&text));
	digits = take_spaced_number(&text, 2, 4, &year);
	if (c.month == 0 || digits == 0 || take_time(&text, &c) < 0 || take_zone(&text, &zone) < 0)
		return -1;
	c.year = full_year(year, digits);
	return to_utc(&c, zone, out);
}

static void split(int64_t seconds, struct civil *out, int64_t *days)
{
	const int64_t min = days_from_civil(1, 1, 1) * DAY_SECONDS;
	const int64_t max = days_from_civil(10000, 1, 1) * DAY_SECONDS - 1;
	int64_t of_day;

	seconds = seconds < min ? min : seconds > max ? max : seconds;
	of_day = seconds % DAY_SECONDS;
	if (of_day < 0)
		of_day += DAY_SECONDS;
	*days = (seconds - of_day) / DAY_SECONDS;
	civil_from_days(*days, out);
	out->hour = (unsigned)(of_day / 3600);
	out->minute = (unsigned)(of_day / 60 % 60);
	out->second = (unsigned)(of_day % 60);
}

void date_format(int64_t utc_seconds, struct buf *out)
{
	struct civil c;
	int64_t days;

	split(utc_seconds, &c, &days);
	/* 1970-01-01 was a Thursday. */
	buf_printf(out, "%s, %u %s %04d %02u:%02u:%02u +0000", weekdays[((days + 4) % 7 + 7) % 7], c.day,
	           months[c.month - 1], (int)c.year, c.hour, c.minute, c.second);
}

/* dd-mon-yyyy; digits: how many the day must have. */
static int take_imap_day(struct span *in, size_t min_digits, struct civil *out)
{
	unsigned year;

	if (take_number(in, min_digits, 2, &out->day) == 0 || in->len < 9 || in->ptr[0] != '-' || in->ptr[4] != '-')
		return -1;
	out->month = month_number(span_slice(*in, 1, 3));
	*in = span_skip(*in, 5);
	if (out->month == 0 || take_number(in, 4, 4, &year) == 0)
		return -1;
	out->year = year;
	return 0;
}

int date_parse_imap(struct span text, struct date *out)
{
	struct civil c = {0};
	bool padded = text.len > 0 && text.ptr[0] == ' ';
	int zone;

	/* RFC 3501 §9: date-day-fixed is (SP DIGIT) / 2DIGIT; one digit alone is what some clients send. */
	if (padded)
		text = span_skip(text, 1);
	if (take_imap_day(&text, 1, &c) < 0 || text.len != sizeof(" 10:00:00 +0000") - 1 || text.ptr[0] != ' ')
		return -1;
	text = span_skip(text, 1);
	if (take_number(&text, 2, 2, &c.hour) == 0 || text.ptr[0] != ':')
		return -1;
	text = span_skip(text, 1);
	if (take_number(&text, 2, 2, &c.minute) == 0 || text.ptr[0] != ':')
		return -1;
	text = span_skip(text, 1);
	if (take_number(&text, 2, 2, &c.second) == 0 || text.ptr[0] != ' ')
		return -1;
	text = span_skip(text, 1);
	if ((text.ptr[0] != '+' && text.ptr[0] != '-') || take_numeric_zone(&text, &zone) < 0)
		return -1;
	return to_utc(&c, zone, out);
}

void date_format_imap(int64_t utc_seconds, int zone_minutes, struct buf *out)
{
	const int zone_max = 99 * 60 + 59;
	struct civil c;
	int64_t days;
	int zone = zone_minutes > zone_max ? zone_max : zone_minutes < -zone_max ? -zone_max : zone_minutes;
	int size = zone < 0 ? -zone : zone;
	int64_t local;

	if (__builtin_add_overflow(utc_seconds, (int64_t)zone * 60, &local))
		local = utc_seconds;
	split(local, &c, &days);
	buf_printf(out, "%2u-%s-%04d %02u:%02u:%02u %c%02d%02d", c.day, months[c.month - 1], (int)c.year, c.hour,
	           c.minute, c.second, zone < 0 ? '-' : '+', size / 60, size % 60);
}

int date_parse_imap_day(struct span text, int64_t *utc_day)
{
	struct civil c = {0};
	struct date date;

	if (take_imap_day(&text, 1, &c) < 0 || text.len > 0 || to_utc(&c, 0, &date) < 0)
		return -1;
	*utc_day = days_from_civil(c.year, c.month, c.day);
	return 0;
}

/* A character in either case: "t" and "z" may be small (RFC 3339 §5.6). */
static bool take_exactly(struct span *in, char want)
{
	if (in->len == 0 || ascii_upper(in->ptr[0]) != want)
		return false;
	*in = span_skip(*in, 1);
	return true;
}

static int take_offset(struct span *in, int *minutes)
{
	bool is_west = in->len > 0 && in->ptr[0] == '-';
	unsigned hours, rest;

	*minutes = 0;
	if (take_exactly(in, 'Z'))
		return 0;
	if ((!take_exactly(in, '+') && !take_exactly(in, '-')) || take_number(in, 2, 2, &hours) == 0 || !take_exactly(in, ':') ||
	    take_number(in, 2, 2, &rest) == 0 || hours > 23 || rest > 59)
		return -1;
	*minutes = (int)(hours * 60 + rest) * (is_west ? -1 : 1);
	return 0;
}

int date_parse_internet(struct span in, struct date *out)
{
	struct civil c = {0};
	unsigned year;
	int zone;

	if (take_number(&in, 4, 4, &year) == 0 || !take_exactly(&in, '-') || take_number(&in, 2, 2, &c.month) == 0 ||
	    !take_exactly(&in, '-') || take_number(&in, 2, 2, &c.day) == 0 || !take_exactly(&in, 'T') ||
	    take_number(&in, 2, 2, &c.hour) == 0 || !take_exactly(&in, ':') || take_number(&in, 2, 2, &c.minute) == 0 ||
	    !take_exactly(&in, ':') || take_number(&in, 2, 2, &c.second) == 0)
		return -1;
	if (take_exactly(&in, '.')) {
		if (in.len == 0 || !ascii_is_digit(in.ptr[0]))
			return -1;
		while (in.len > 0 && ascii_is_digit(in.ptr[0]))
			in = span_skip(in, 1);
	}
	c.year = year;
	return take_offset(&in, &zone) < 0 || in.len > 0 ? -1 : to_utc(&c, zone, out);
}

void date_format_internet(int64_t utc_seconds, struct buf *out)
{
	struct civil c;
	int64_t days;

	split(utc_seconds, &c, &days);
	buf_printf(out, "%04d-%02u-%02uT%02u:%02u:%02uZ", (int)c.year, c.month, c.day, c.hour, c.minute, c.second);
}
