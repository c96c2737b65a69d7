/* Where an IMAP command ends: see imap_command.h. RFC 7888 §3: the end of every line is looked at for a literal. */
#include "wire/imap_command.h"

/* Keeps the last bytes of the line, in which a literal's announcement stands. */
static void keep_tail(struct imap_scanner *s, struct span bytes)
{
	if (bytes.len > IMAP_SCAN_TAIL)
		bytes = span_skip(bytes, bytes.len - IMAP_SCAN_TAIL);
	unsigned drop = s->tail_len + bytes.len > IMAP_SCAN_TAIL ? s->tail_len + (unsigned)bytes.len - IMAP_SCAN_TAIL : 0;
	memmove(s->tail, s->tail + drop, s->tail_len - drop);
	s->tail_len -= drop;
	if (bytes.len)
		memcpy(s->tail + s->tail_len, bytes.ptr, bytes.len);
	s->tail_len += (unsigned)bytes.len;
}

/* True if the line ends in "{" number ["+"] "}" CR LF. A number that is too long for the tail has lost its brace and is
 * caught by its digits. */
static bool find_literal(struct imap_scanner *s)
{
	struct span line = span_of(s->tail, s->tail_len);
	if (!span_ends_with(line, SPAN("}\r\n")))
		return false;
	line = span_slice(line, 0, line.len - 3);
	s->literal_waits = !span_ends_with(line, SPAN("+"));
	if (!s->literal_waits)
		line.len--;
	size_t digits = 0;
	while (digits < line.len && ascii_is_digit(line.ptr[line.len - 1 - digits]))
		digits++;
	if (digits == 0 || (digits < line.len && line.ptr[line.len - 1 - digits] != '{'))
		return false;
	s->literal_size = UINT64_MAX;
	uint64_t size;
	if (digits < line.len && span_to_u64(span_skip(line, line.len - digits), UINT32_MAX, &size) == 0)
		s->literal_size = size;
	return true;
}

size_t imap_scan(struct imap_scanner *s, struct span in, enum imap_scan_result *result)
{
	size_t taken = 0;
	*result = IMAP_SCAN_MORE;
	if (s->literal_left) {
		taken = s->literal_left < in.len ? (size_t)s->literal_left : in.len;
		s->literal_left -= taken;
		in = span_skip(in, taken);
		if (s->literal_left || in.len == 0)
			return taken;
	}
	ssize_t end = span_chr(in, '\n');
	struct span line = end < 0 ? in : span_slice(in, 0, (size_t)end + 1);
	keep_tail(s, line);
	taken += line.len;
	if (end < 0)
		return taken;
	*result = find_literal(s) ? IMAP_SCAN_LITERAL : IMAP_SCAN_LINE;
	s->tail_len = 0;
	return taken;
}

void imap_scan_literal(struct imap_scanner *s)
{
	s->literal_left = s->literal_size;
}
