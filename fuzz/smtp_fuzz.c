/* SMTP: command and reply lines; the DATA scanner gives the same in any pieces; stuffing comes back. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lines(struct span in)
{
	uint64_t size;
	bool is_last;
	struct smtp_command command;
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	BUF_AUTO notify = {0};
	struct smtp_reply_line reply;
	struct error why;

	smtp_parse_reply_line(in, &reply, &why);
	if (smtp_parse_command(in, &command, &why) < 0)
		return;
	smtp_parse_mail(command.argument, ADDRESS_LOOSE, &mail, &why);
	if (smtp_parse_rcpt(command.argument, ADDRESS_UTF8, &rcpt, &why) == 0)
		smtp_format_notify(rcpt.notify, &notify);
	smtp_check_hello(command.argument, &why);
	smtp_parse_bdat(command.argument, &size, &is_last, &why);
}

static void scan(struct span in, size_t step, struct smtp_data_scanner *s, struct buf *out)
{
	for (size_t at = 0; at < in.len && s->state != SMTP_DATA_END; at += step) {
		struct span piece = span_slice(in, at, step), payload;

		while (smtp_data_scan(s, &piece, &payload))
			buf_add(out, payload);
	}
}

static bool chunks_are_malformed(struct span in, size_t step)
{
	struct smtp_chunk_scanner s = {0};

	for (; in.len; in = span_skip(in, step))
		smtp_chunk_scan(&s, span_slice(in, 0, step));
	smtp_chunk_scan_end(&s);
	return s.is_malformed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_data_scanner whole = {0}, pieces = {0}, back = {0};
	struct smtp_dot_stuffer stuffer = {0};
	BUF_AUTO a = {0};
	BUF_AUTO b = {0};
	BUF_AUTO stuffed = {0};
	BUF_AUTO body = {0};
	struct span in;
	size_t step;

	if (size == 0)
		return 0;
	step = 1 + data[0] % 7;
	in = span_of(data + 1, size - 1);
	lines(in);
	scan(in, in.len, &whole, &a);
	scan(in, step, &pieces, &b);
	if (whole.state != pieces.state || !span_equal(buf_span(&a), buf_span(&b)))
		die("pieces make a difference");
	if (chunks_are_malformed(in, in.len + 1) != chunks_are_malformed(in, step))
		die("chunks make a difference");
	for (size_t at = 0; at < in.len; at += step)
		smtp_dot_stuff(&stuffer, span_slice(in, at, step), &stuffed);
	smtp_dot_stuff_end(&stuffer, &stuffed);
	scan(buf_span(&stuffed), stuffed.len, &back, &body);
	if (back.state != SMTP_DATA_END || back.has_bare_cr || back.has_bare_lf)
		die("a stuffed body is malformed");
	if (!smtp_data_is_malformed(&whole) && span_ends_with(in, SPAN("\r\n")) && whole.state != SMTP_DATA_END &&
	    !span_equal(in, buf_span(&body)) && span_find(in, SPAN("\n")) > 0) {
		/* `whole` has undone dots, so only the line ends tell whether the input was well-formed. */
		die("a stuffed body does not come back");
	}
	return 0;
}
