/* Replies of strangers. */
#include "relay/reply.h"

#include "base/utf8.h"
#include "wire/smtp.h"

#include <stdio.h>

size_t text_clean(struct span in, char *out, size_t size)
{
	size_t len = 0;
	while (in.len) {
		size_t n = utf8_char_length(in);
		bool is_good = n > 1 || (n == 1 && in.ptr[0] >= ' ' && in.ptr[0] != 0x7f);
		if (n == 0)
			n = 1;
		if (len + (is_good ? n : 1) >= size)
			break;
		if (is_good)
			memcpy(out + len, in.ptr, n);
		else
			out[len] = '?';
		len += is_good ? n : 1;
		in = span_skip(in, n);
	}
	out[len] = 0;
	return len;
}

static void begin(struct reply *r, const struct smtp_reply_line *line)
{
	r->code = line->code;
	if (line->enhanced.len && line->enhanced.len < sizeof r->status)
		snprintf(r->status, sizeof r->status, "%.*s", SPAN_ARG(line->enhanced));
	else
		snprintf(r->status, sizeof r->status, "%u.0.0", line->code / 100);
}

static void add_text(struct reply_reader *r, struct span text)
{
	size_t room = sizeof r->reply.text - r->text_len;
	if (text.len == 0 || room < 3)
		return;
	r->reply.text[r->text_len++] = ' ';
	r->text_len += text_clean(text, r->reply.text + r->text_len, room - 1);
}

int reply_take(struct reply_reader *r, struct span line, struct span *keyword, struct error *why)
{
	struct smtp_reply_line parsed;
	if (smtp_parse_reply_line(line, &parsed, why))
		return -1;
	if (r->lines == 0) {
		begin(&r->reply, &parsed);
		r->text_len = (size_t)snprintf(r->reply.text, sizeof r->reply.text, "%u", parsed.code);
		add_text(r, parsed.enhanced);
	}
	if (parsed.code != r->reply.code)
		return error_set(why, 0, "the lines of a reply have different codes");
	if (++r->lines > REPLY_LINES_MOST)
		return error_set(why, 0, "a reply has more than %d lines", REPLY_LINES_MOST);
	add_text(r, parsed.text);
	*keyword = parsed.text;
	return parsed.is_last;
}
