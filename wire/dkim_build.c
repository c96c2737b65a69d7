/* The field of a new signature: RFC 6376 §3.5. */
#include "wire/dkim.h"

#include "wire/transfer.h"

enum { LINE_MOST = 76 };

/* Appends text that may be folded behind each of its `breaks`. *column: where the line stands. */
static void add_folded(struct span text, char breaks, size_t *column, struct buf *out)
{
	while (text.len) {
		ssize_t at = breaks ? span_chr(text, breaks) : -1;
		size_t len = at < 0 ? text.len : (size_t)at + 1;
		if (!breaks && len > LINE_MOST - *column && *column < LINE_MOST)
			len = LINE_MOST - *column; /* base64 may be broken anywhere */
		if (*column + len > LINE_MOST) {
			buf_add(out, SPAN("\r\n\t"));
			*column = 8;
			if (!breaks)
				continue;
		}
		buf_add(out, span_slice(text, 0, len));
		*column += len;
		text = span_skip(text, len);
	}
}

static size_t start_line(const char *text, struct buf *out)
{
	buf_add(out, SPAN("\r\n\t"));
	buf_add_cstr(out, text);
	return 8 + strlen(text);
}

void dkim_build_base64(const char *tag, struct span bytes, struct buf *out)
{
	size_t column = start_line(tag, out);
	struct transfer_encoder e = {.encoding = TRANSFER_BASE64};
	BUF_AUTO text = {0}, joined = {0};
	transfer_encode(&e, bytes, &text);
	transfer_encode_end(&e, &text);
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '\r' && text.ptr[i] != '\n')
			buf_add_char(&joined, text.ptr[i]);
	add_folded(buf_span(&joined), 0, &column, out);
}

void dkim_build_names(const char *tag, struct span header_names, struct buf *out)
{
	size_t column = start_line(tag, out);
	add_folded(header_names, ':', &column, out);
	buf_add_char(out, ';');
}

void dkim_build_field(const struct dkim_new *n, struct buf *out)
{
	buf_printf(out, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s;\r\n\tt=%llu; x=%llu;",
	           n->is_ed25519 ? "ed25519-sha256" : "rsa-sha256", SPAN_ARG(n->domain), SPAN_ARG(n->selector),
	           (unsigned long long)n->time_s, (unsigned long long)n->expiration_s);
	dkim_build_names("h=", n->header_names, out);
	dkim_build_base64("bh=", n->body_hash, out);
	buf_add_char(out, ';');
	dkim_build_base64("b=", n->signature, out);
	buf_add(out, SPAN("\r\n"));
}
