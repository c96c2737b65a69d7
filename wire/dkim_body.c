/* Bodies in canonical form: RFC 6376 §3.4.3 and §3.4.4. Linear, with a few words of state. */
#include "wire/dkim.h"

/* Empty lines that turned out not to be the last ones. They were fed before, so the output stays within the input. */
static void add_empty_lines(struct dkim_body *b, struct buf *out)
{
	for (; b->empty_lines; b->empty_lines--)
		buf_add(out, SPAN("\r\n"));
}

static void add_space(struct dkim_body *b, struct buf *out)
{
	if (b->has_space)
		buf_add_char(out, ' ');
	b->has_space = false;
}

static void start_text(struct dkim_body *b, struct buf *out)
{
	add_empty_lines(b, out);
	add_space(b, out);
	b->in_line = b->has_any = true;
}

static void end_line(struct dkim_body *b, struct buf *out)
{
	b->has_space = false; /* relaxed: white space at the end of a line */
	if (b->in_line)
		buf_add(out, SPAN("\r\n"));
	else
		b->empty_lines++;
	b->in_line = false;
}

/* Bytes at the front of `piece` that stand in the canonical form as they are. */
static size_t plain_run(const struct dkim_body *b, struct span piece)
{
	size_t n = 0;
	while (n < piece.len && piece.ptr[n] != '\r' && piece.ptr[n] != '\n' &&
	       (b->form == DKIM_SIMPLE || (piece.ptr[n] != ' ' && piece.ptr[n] != '\t')))
		n++;
	return n;
}

void dkim_body_feed(struct dkim_body *b, struct span piece, struct buf *out)
{
	while (piece.len) {
		char c = piece.ptr[0];
		size_t run = plain_run(b, piece);
		if (b->has_cr && c != '\n') { /* a bare CR is text */
			b->has_cr = false;
			start_text(b, out);
			buf_add_char(out, '\r');
			continue;
		}
		if (run) {
			start_text(b, out);
			buf_add(out, span_slice(piece, 0, run));
			piece = span_skip(piece, run);
			continue;
		}
		if (c == '\r')
			b->has_cr = true;
		else if (c == '\n') {
			end_line(b, out); /* a bare LF is taken for a line's end: it is none, and no signature made of it holds */
			b->has_cr = false;
		} else {
			b->has_space = true;
		}
		piece = span_skip(piece, 1);
	}
}

void dkim_body_end(struct dkim_body *b, struct buf *out)
{
	if (b->has_cr) {
		start_text(b, out);
		buf_add_char(out, '\r');
	}
	b->has_space = false;
	if (b->in_line)
		buf_add(out, SPAN("\r\n")); /* a last line without an end gets one */
	/* §3.4.3: an empty body is one CR LF in the simple form; §3.4.4: nothing in the relaxed one */
	if (!b->has_any && b->form == DKIM_SIMPLE)
		buf_add(out, SPAN("\r\n"));
}
