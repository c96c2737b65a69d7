#include "wire/mbox.h"

#include "wire/date.h"
#include "wire/imap_command.h"

#include <time.h>

/* ---- From_ lines ---- */

static int index_of(struct span word, const char *names, int count)
{
	for (int i = 0; word.len == 3 && i < count; i++)
		if (span_equal_nocase(word, span_of(names + 3 * i, 3)))
			return i;
	return -1;
}

static bool take_time(struct span word, struct mbox_date *out)
{
	int *parts[] = {&out->hour, &out->minute, &out->second}, most[] = {23, 59, 60};
	for (size_t i = 0; i < 3; i++) {
		uint64_t number;
		ssize_t colon = span_chr(word, ':');
		struct span part = colon < 0 ? word : span_slice(word, 0, (size_t)colon);
		if (part.len == 0 || part.len > 2 || span_to_u64(part, (uint64_t)most[i], &number))
			return false;
		*parts[i] = (int)number;
		if (colon < 0)
			return i > 0;
		word = span_skip(word, (size_t)colon + 1);
	}
	return false;
}

/* "+0200"; a name of one says nothing that could be relied on. */
static bool take_zone(struct span word, struct mbox_date *out)
{
	uint64_t number;
	if (word.len == 5 && (word.ptr[0] == '+' || word.ptr[0] == '-') && span_to_u64(span_skip(word, 1), 2359, &number) == 0) {
		out->zone_minutes = (word.ptr[0] == '-' ? -1 : 1) * (int)(number / 100 * 60 + number % 100);
		out->has_zone = true;
		return true;
	}
	if (span_equal(word, SPAN("GMT")) || span_equal(word, SPAN("UTC")))
		out->has_zone = true;
	for (size_t i = 0; i < word.len; i++)
		if (!ascii_is_alpha(word.ptr[i]))
			return false;
	return word.len >= 1 && word.len <= 5;
}

static bool take_year(struct span word, struct mbox_date *out)
{
	uint64_t number;
	if (word.len != 4 || span_to_u64(word, 9999, &number) || number < 1900)
		return false;
	out->year = (int)number;
	return true;
}

/* Www Mmm dd hh:mm[:ss] [zone] yyyy [zone] */
static bool take_date(struct span rest, struct mbox_date *out)
{
	uint64_t day;
	*out = (struct mbox_date){0};
	if (index_of(span_next_word(&rest), "SunMonTueWedThuFriSat", 7) < 0)
		return false;
	out->month = index_of(span_next_word(&rest), "JanFebMarAprMayJunJulAugSepOctNovDec", 12);
	if (out->month < 0 || span_to_u64(span_next_word(&rest), 31, &day) || day == 0 || !take_time(span_next_word(&rest), out))
		return false;
	out->day = (int)day;
	struct span word = span_next_word(&rest);
	if (take_year(word, out)) {
		take_zone(span_next_word(&rest), out);
		return true;
	}
	return take_zone(word, out) && take_year(span_next_word(&rest), out);
}

bool mbox_from_parse(struct span line, struct mbox_date *out)
{
	if (line.len > MBOX_FROM_LINE_MOST || !span_starts_with(line, SPAN("From ")))
		return false;
	for (size_t at = 4; at < line.len; at++)
		if (line.ptr[at] == ' ' && take_date(span_skip(line, at), out))
			return true;
	return false;
}

void mbox_from_write(int64_t utc_seconds, struct buf *out)
{
	struct tm tm;
	time_t at = (time_t)utc_seconds;
	char text[64];
	if (!gmtime_r(&at, &tm) || !strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm))
		strcpy(text, "Thu Jan  1 00:00:00 1970");
	buf_printf(out, "From MAILER-DAEMON %s\n", text);
}

/* ---- reading ---- */

static const char *const dropped[] = {"Status:", "X-Status:", "X-Keywords:", "X-UID:", "X-IMAP:", "X-IMAPbase:", "Content-Length:"};

static bool is_state(struct span line)
{
	for (size_t i = 0; i < sizeof dropped / sizeof dropped[0]; i++)
		if (span_starts_with_nocase(line, span_cstr(dropped[i])))
			return true;
	return false;
}

static void take_letters(struct mbox_reader *r, struct span value)
{
	static const struct {
		char letter;
		uint8_t flag;
	} letters[] = {{'R', IMAP_FLAG_SEEN}, {'A', IMAP_FLAG_ANSWERED}, {'F', IMAP_FLAG_FLAGGED}, {'T', IMAP_FLAG_DRAFT}, {'D', IMAP_FLAG_DELETED}};
	for (size_t i = 0; i < value.len; i++)
		for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++)
			if (value.ptr[i] == letters[k].letter)
				r->flags |= letters[k].flag;
}

static void take_keywords(struct mbox_reader *r, struct span value)
{
	struct span word;
	while ((word = span_next_word(&value)).len)
		if (imap_is_atom(word))
			buf_printf(&r->keywords, " %.*s", SPAN_ARG(word));
}

static void take_base(struct mbox_reader *r, struct span value)
{
	uint64_t uidvalidity, uid_last;
	if (span_to_u64(span_next_word(&value), UINT32_MAX, &uidvalidity) || span_to_u64(span_next_word(&value), UINT32_MAX - 1, &uid_last))
		return;
	r->uidvalidity = (uint32_t)uidvalidity;
	r->uid_last = (uint32_t)uid_last;
}

static void take_field(struct mbox_reader *r)
{
	struct span field = buf_span(&r->field);
	ssize_t colon = span_chr(field, ':');
	for (size_t i = 0; i < r->field.len; i++)
		if (r->field.ptr[i] == '\n' || r->field.ptr[i] == '\r')
			r->field.ptr[i] = ' ';
	if (colon > 0) {
		struct span name = span_slice(field, 0, (size_t)colon), value = span_trim(span_skip(field, (size_t)colon + 1));
		uint64_t number;
		if (span_equal_nocase(name, SPAN("Status")) || span_equal_nocase(name, SPAN("X-Status")))
			take_letters(r, value);
		else if (span_equal_nocase(name, SPAN("X-Keywords")))
			take_keywords(r, value);
		else if (span_equal_nocase(name, SPAN("X-UID")) && span_to_u64(value, UINT32_MAX - 1, &number) == 0)
			r->uid = (uint32_t)number;
		else if (span_equal_nocase(name, SPAN("Content-Length")) && span_to_u64(value, UINT32_MAX, &r->length) == 0)
			r->has_length = true;
		else if (span_starts_with_nocase(name, SPAN("X-IMAP")))
			take_base(r, value);
		r->is_internal |= span_equal_nocase(name, SPAN("X-IMAP"));
	}
	buf_clear(&r->field);
}

static void add(struct mbox_reader *r, struct span bytes, struct buf *out)
{
	if (!r->is_dropped)
		buf_add(out, bytes);
	else if (r->field.len + bytes.len <= MBOX_FIELD_MOST)
		buf_add(&r->field, bytes);
}

enum { QUOTES_MOST = 32 }; /* so many that the front of a line shows them all */

/* How many ">" stand before "From "; -1: it is no such line. */
static int quotes_of(struct span line)
{
	int marks = 0;
	while (marks < (int)line.len && line.ptr[marks] == '>')
		marks++;
	return span_starts_with(span_skip(line, (size_t)marks), SPAN("From ")) ? marks : -1;
}

/* Enough of a line is here to know what it is. */
static void begin_line(struct mbox_reader *r, struct buf *out)
{
	struct span front = span_of(r->front, r->front_len);
	bool is_continued = !r->is_body && front.len && (front.ptr[0] == ' ' || front.ptr[0] == '\t');
	if (!is_continued && r->is_dropped) {
		take_field(r);
		r->is_dropped = false;
	}
	if (!r->is_body && (span_equal(front, SPAN("\n")) || span_equal(front, SPAN("\r\n"))))
		r->is_body = true;
	else if (!r->is_body && !is_continued)
		r->is_dropped = is_state(front);
	int quotes = quotes_of(front);
	add(r, span_skip(front, r->is_body && quotes > 0 && quotes <= QUOTES_MOST), out);
	r->front_len = 0;
	r->is_in_line = true;
}

void mbox_read(struct mbox_reader *r, struct span bytes, struct buf *out)
{
	while (bytes.len) {
		if (r->is_in_line) {
			ssize_t end = span_chr(bytes, '\n');
			struct span rest = end < 0 ? bytes : span_slice(bytes, 0, (size_t)end + 1);
			add(r, rest, out);
			r->is_in_line = end < 0;
			bytes = span_skip(bytes, rest.len);
			continue;
		}
		char c = bytes.ptr[0];
		bytes = span_skip(bytes, 1);
		r->front[r->front_len++] = c;
		if (c != '\n' && r->front_len < sizeof r->front)
			continue;
		begin_line(r, out);
		r->is_in_line = c != '\n';
	}
}

void mbox_read_end(struct mbox_reader *r, struct buf *out)
{
	if (r->front_len)
		begin_line(r, out);
	if (r->is_dropped)
		take_field(r);
	r->is_dropped = false;
}

void mbox_read_free(struct mbox_reader *r)
{
	buf_free(&r->field);
	buf_free(&r->keywords);
}

/* ---- writing ---- */

static void put(struct mbox_writer *w, struct span bytes, struct buf *out)
{
	if (!bytes.len)
		return;
	buf_add(out, bytes);
	w->last = bytes.ptr[bytes.len - 1];
}

static void write_front(struct mbox_writer *w, struct buf *out)
{
	struct span front = span_of(w->front, w->front_len);
	int quotes = quotes_of(front);
	if (quotes >= 0 && quotes < QUOTES_MOST)
		put(w, SPAN(">"), out);
	put(w, front, out);
	w->front_len = 0;
}

static void write_byte(struct mbox_writer *w, char c, struct buf *out)
{
	if (w->is_in_line) {
		put(w, span_of(&c, 1), out);
		w->is_in_line = c != '\n';
		return;
	}
	w->front[w->front_len++] = c;
	if (c != '\n' && w->front_len < sizeof w->front)
		return;
	write_front(w, out);
	w->is_in_line = c != '\n';
}

void mbox_write(struct mbox_writer *w, struct span bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.ptr[i];
		if (w->was_cr && c != '\n')
			write_byte(w, '\r', out);
		w->was_cr = c == '\r';
		if (!w->was_cr)
			write_byte(w, c, out);
	}
}

void mbox_write_end(struct mbox_writer *w, struct buf *out)
{
	if (w->was_cr)
		write_byte(w, '\r', out);
	if (w->front_len)
		write_front(w, out);
	if (w->last != '\n')
		buf_add_char(out, '\n');
	buf_add_char(out, '\n');
}

/* ---- mbx ---- */

static bool take_hex(struct span text, uint32_t *out)
{
	*out = 0;
	for (size_t i = 0; i < text.len; i++) {
		int digit = ascii_hex_value(text.ptr[i]);
		if (digit < 0)
			return false;
		*out = *out << 4 | (uint32_t)digit;
	}
	return text.len > 0;
}

bool mbx_head_parse(struct span bytes, struct mbx_head *out)
{
	*out = (struct mbx_head){0};
	if (bytes.len < MBX_HEAD_BYTES || !span_starts_with(bytes, SPAN("*mbx*\r\n")) || !take_hex(span_slice(bytes, 7, 8), &out->uidvalidity) ||
	    !take_hex(span_slice(bytes, 15, 8), &out->uid_last) || !span_equal(span_slice(bytes, 23, 2), SPAN("\r\n")))
		return false;
	struct span rest = span_slice(bytes, 25, MBX_HEAD_BYTES - 25);
	for (size_t i = 0; i < MBX_KEYWORDS; i++) {
		ssize_t end = span_find(rest, SPAN("\r\n"));
		if (end < 0)
			break;
		struct span word = span_slice(rest, 0, (size_t)end);
		out->keywords[i] = imap_is_atom(word) ? word : SPAN("");
		rest = span_skip(rest, (size_t)end + 2);
	}
	return true;
}

/* "24-Dec-2002 18:00:00 +0100,1234;000000000001-00000005": keywords, flags, "-", UID, in hexadecimal digits. */
bool mbx_message_parse(struct span bytes, struct mbx_message *out)
{
	enum { SEEN = 1, DELETED = 2, FLAGGED = 4, ANSWERED = 8, DRAFT = 32, EXPUNGED = 0x8000 };
	struct date date;
	uint32_t flags;
	ssize_t end = span_find(span_slice(bytes, 0, MBX_LINE_MOST), SPAN("\r\n"));
	*out = (struct mbx_message){0};
	if (end < 0)
		return false;
	struct span line = span_slice(bytes, 0, (size_t)end);
	ssize_t comma = span_chr(line, ','), semicolon = span_chr(line, ';');
	if (comma < 0 || semicolon < comma || date_parse_imap(span_slice(line, 0, (size_t)comma), &date) ||
	    span_to_u64(span_slice(line, (size_t)comma + 1, (size_t)(semicolon - comma - 1)), UINT32_MAX, &out->size))
		return false;
	struct span state = span_skip(line, (size_t)semicolon + 1);
	if (state.len != 21 || state.ptr[12] != '-' || !take_hex(span_slice(state, 0, 8), &out->keywords) || !take_hex(span_slice(state, 8, 4), &flags) ||
	    !take_hex(span_skip(state, 13), &out->uid))
		return false;
	out->date_s = date.utc_seconds;
	out->flags = (uint8_t)((flags & SEEN ? IMAP_FLAG_SEEN : 0) | (flags & DELETED ? IMAP_FLAG_DELETED : 0) |
	                       (flags & FLAGGED ? IMAP_FLAG_FLAGGED : 0) | (flags & ANSWERED ? IMAP_FLAG_ANSWERED : 0) | (flags & DRAFT ? IMAP_FLAG_DRAFT : 0));
	out->is_expunged = flags & EXPUNGED;
	out->line_bytes = (size_t)end + 2;
	return true;
}
