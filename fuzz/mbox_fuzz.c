/* Any bytes as an mbox or mbx: the pieces that they come in change nothing, no more comes out than went in, and what is written reads as it
 * was. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct span in, size_t piece, struct buf *out, struct mbox_reader *r)
{
	for (; in.len; in = span_skip(in, piece))
		mbox_read(r, span_slice(in, 0, piece), out);
	mbox_read_end(r, out);
}

static void look_at_mbx(struct span in)
{
	struct mbx_head head;
	struct mbx_message message;
	if (mbx_message_parse(in, &message) && (message.line_bytes > in.len || message.line_bytes > MBX_LINE_MOST + 2))
		die("a line that is not there");
	for (size_t i = 0; mbx_head_parse(in, &head) && i < MBX_KEYWORDS; i++)
		if (head.keywords[i].len > MBX_HEAD_BYTES)
			die("a keyword that is not there");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), body;
	struct mbox_reader whole = {0}, pieces = {0}, back = {0};
	struct mbox_writer w = {0};
	struct mbox_date date;
	BUF_AUTO out = {0}, other = {0}, file = {0}, again = {0};
	if (!size)
		return 0;
	if (mbox_from_parse(in, &date) && (date.month > 11 || date.day < 1 || date.day > 31 || date.hour > 23))
		die("a date that is none");
	look_at_mbx(in);
	read_all(in, size, &out, &whole);
	read_all(in, 1 + data[0] % 7, &other, &pieces);
	if (!span_equal(buf_span(&out), buf_span(&other)) || whole.flags != pieces.flags || whole.uid != pieces.uid || out.len > size)
		die("pieces change what is read");
	/* a body of lines with LF that are quoted comes back, with an empty line behind it */
	buf_add_cstr(&file, "\n");
	mbox_write(&w, in, &file);
	mbox_write_end(&w, &file);
	read_all(buf_span(&file), 5, &again, &back);
	body = span_skip(buf_span(&again), 1);
	if (span_find(in, SPAN("\r")) < 0 && span_find(in, SPAN(">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>")) < 0 && !span_equal(span_slice(body, 0, size), in))
		die("what was written reads otherwise");
	mbox_read_free(&whole);
	mbox_read_free(&pieces);
	mbox_read_free(&back);
	return 0;
}
