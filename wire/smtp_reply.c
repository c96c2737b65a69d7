/* SMTP replies as a client reads them: RFC 5321 §4.2, RFC 2034 §4, RFC 3463 §2. */
#include "wire/smtp.h"

/* 1*3DIGIT at `at`; how many, 0 if there are none or more. */
static size_t digits_at(struct span text, size_t at)
{
	size_t n = 0;

	while (at + n < text.len && n < 4 && ascii_is_digit(text.ptr[at + n]))
		n++;
	return n <= 3 ? n : 0;
}

size_t smtp_enhanced_length(struct span text)
{
	size_t at = 1, n;

	if (text.len < 5 || (text.ptr[0] != '2' && text.ptr[0] != '4' && text.ptr[0] != '5'))
		return 0;
	for (int part = 0; part < 2; part++) {
		if (at >= text.len || text.ptr[at] != '.')
			return 0;
		n = digits_at(text, at + 1);
		if (n == 0)
			return 0;
		at += 1 + n;
	}
	return at == text.len || text.ptr[at] == ' ' ? at : 0;
}

int smtp_parse_reply_line(struct span line, struct smtp_reply_line *out, struct error *why)
{
	size_t enhanced;

	*out = (struct smtp_reply_line){0};
	if (line.len > SMTP_REPLY_LINE_MAX)
		return error_set(why, 0, "a reply line is longer than %d octets", SMTP_REPLY_LINE_MAX);
	if (digits_at(line, 0) != 3 || line.ptr[0] < '2' || line.ptr[0] > '5')
		return error_set(why, 0, "a reply line does not begin with a reply code");
	if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
		return error_at(why, 3, 0, "a reply line has neither space nor hyphen behind its code");
	out->code = (unsigned)((line.ptr[0] - '0') * 100 + (line.ptr[1] - '0') * 10 + (line.ptr[2] - '0'));
	out->is_last = line.len == 3 || line.ptr[3] == ' ';
	out->text = span_skip(line, 4);
	enhanced = smtp_enhanced_length(out->text);
	/* RFC 2034 §4: the class must be the first digit of the code; a contradiction is not believed. */
	if (enhanced > 0 && out->text.ptr[0] == line.ptr[0]) {
		out->enhanced = span_slice(out->text, 0, enhanced);
		out->text = span_trim(span_skip(out->text, enhanced));
	}
	return 0;
}
