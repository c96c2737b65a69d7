/* The DATA phase in both directions: RFC 5321 §4.5.2 and §2.3.8.
 *
 *   state       CR           LF            "."        other
 *   LINE_START  CR           TEXT bare LF  DOT        TEXT
 *   TEXT        CR           TEXT bare LF  TEXT       TEXT
 *   CR          CR bare CR   LINE_START    TEXT bare  TEXT bare CR
 *   DOT         DOT_CR       TEXT bare LF  TEXT       TEXT
 *   DOT_CR      CR bare CR   END           TEXT bare  TEXT bare CR
 *
 * Only CR LF leads to LINE_START, so only CR LF "." CR LF leads to END. */
#include "wire/smtp.h"

/* Length of the bytes at the front that change no state in TEXT: all but CR, LF and NUL. */
static size_t plain_length(struct span in)
{
	size_t i = 0;

	while (i < in.len &&
	       ((unsigned char)in.ptr[i] > '\r' || (in.ptr[i] != '\r' && in.ptr[i] != '\n' && in.ptr[i] != '\0')))
		i++;
	return i;
}

/* The byte as message text, in a state where neither it nor what is before it is structure. */
static enum smtp_data_state text_byte(struct smtp_data_scanner *s, char c)
{
	if (c == '\r')
		return SMTP_DATA_CR;
	if (c == '\n')
		s->has_bare_lf = true;
	if (c == '\0')
		s->has_nul = true;
	return SMTP_DATA_TEXT;
}

/* True if the byte is framing rather than message in this state. */
static bool is_framing(enum smtp_data_state state, char c)
{
	switch (state) {
	case SMTP_DATA_LINE_START: return c == '.';
	case SMTP_DATA_DOT: return c == '\r';
	case SMTP_DATA_DOT_CR: return true;
	case SMTP_DATA_END: return true;
	case SMTP_DATA_TEXT: return false;
	case SMTP_DATA_CR: return false;
	}
	return false;
}

/* Length of the message bytes at the front; moves the state over them. */
static size_t payload_run(struct smtp_data_scanner *s, struct span in)
{
	size_t at = 0;

	while (at < in.len) {
		char c = in.ptr[at];

		if (s->state == SMTP_DATA_TEXT && (unsigned char)c > '\r') {
			at += plain_length(span_skip(in, at));
			continue;
		}
		if (is_framing(s->state, c))
			break;
		if (s->state == SMTP_DATA_CR && c == '\n') {
			s->state = SMTP_DATA_LINE_START;
		} else {
			if (s->state == SMTP_DATA_CR)
				s->has_bare_cr = true;
			s->state = text_byte(s, c);
		}
		at++;
	}
	return at;
}

bool smtp_data_scan(struct smtp_data_scanner *s, struct span *in, struct span *payload)
{
	*payload = (struct span){0};
	while (in->len > 0 && s->state != SMTP_DATA_END) {
		size_t run = payload_run(s, *in);

		if (run > 0) {
			*payload = span_slice(*in, 0, run);
			*in = span_skip(*in, run);
			s->payload_bytes += run;
			return true;
		}
		if (s->state == SMTP_DATA_DOT_CR && in->ptr[0] != '\n') {
			/* The CR behind the dot was text after all; the byte at hand is looked at next. */
			s->has_bare_cr = true;
			s->state = SMTP_DATA_TEXT;
			*payload = SPAN("\r");
			s->payload_bytes++;
			return true;
		}
		/* LINE_START, DOT and DOT_CR are followed in this order: a byte of framing is one step. */
		s->state = s->state == SMTP_DATA_LINE_START ? SMTP_DATA_DOT
		           : s->state == SMTP_DATA_DOT      ? SMTP_DATA_DOT_CR
		                                            : SMTP_DATA_END;
		*in = span_skip(*in, 1);
	}
	return false;
}

void smtp_chunk_scan(struct smtp_chunk_scanner *s, struct span piece)
{
	while (piece.len && !(s->is_binary && s->in_body)) {
		size_t plain = plain_length(piece);
		char c = plain < piece.len ? piece.ptr[plain] : 'x';
		s->in_line |= plain > 0;
		if (s->after_cr && (plain || c != '\n'))
			s->is_malformed = true; /* a bare CR */
		if (c == '\0' || (c == '\n' && (plain || !s->after_cr)))
			s->is_malformed = true; /* a NUL, or a bare LF */
		s->after_cr = c == '\r';
		if (c == '\n') {
			s->in_body |= !s->in_line; /* the empty line */
			s->in_line = false;
		}
		piece = span_skip(piece, plain + 1);
	}
}

void smtp_chunk_scan_end(struct smtp_chunk_scanner *s)
{
	s->is_malformed |= s->after_cr && !(s->is_binary && s->in_body);
}

static void end_line(struct smtp_dot_stuffer *s, struct buf *out)
{
	buf_add_cstr(out, "\r\n");
	s->in_line = false;
	s->after_cr = false;
}

void smtp_dot_stuff(struct smtp_dot_stuffer *s, struct span piece, struct buf *out)
{
	size_t at = 0;

	while (at < piece.len) {
		size_t run = at;
		char c = piece.ptr[at];

		if (s->after_cr) {
			end_line(s, out);
			if (c == '\n') {
				at++;
				continue;
			}
		}
		while (run < piece.len && piece.ptr[run] != '\r' && piece.ptr[run] != '\n')
			run++;
		if (run > at) {
			if (!s->in_line && c == '.')
				buf_add_char(out, '.');
			buf_add(out, span_slice(piece, at, run - at));
			s->in_line = true;
			at = run;
		} else if (c == '\n') {
			end_line(s, out);
			at++;
		} else {
			s->after_cr = true;
			at++;
		}
	}
}

void smtp_dot_stuff_end(struct smtp_dot_stuffer *s, struct buf *out)
{
	if (s->in_line || s->after_cr)
		end_line(s, out);
	buf_add_cstr(out, ".\r\n");
}
