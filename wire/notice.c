#include "wire/notice.h"

#include "base/utf8.h"
#include "wire/date.h"
#include "wire/encoded_word.h"

static void add_address(struct buf *out, struct span address)
{
	buf_add_char(out, '<');
	for (size_t i = 0; i < address.len; i++)
		if ((unsigned char)address.ptr[i] > ' ' && !strchr("<>\x7f", address.ptr[i]))
			buf_add_char(out, address.ptr[i]);
	buf_add_cstr(out, ">\r\n");
}

void notice_build(const struct notice *n, struct buf *out)
{
	bool is_8bit = utf8_has_8bit(n->text);
	buf_add_cstr(out, "From: Mail Delivery System ");
	add_address(out, n->from);
	buf_add_cstr(out, "To: ");
	add_address(out, n->to);
	buf_add_cstr(out, "Subject: ");
	encoded_word_encode(span_cstr(n->subject), out);
	buf_add_cstr(out, "\r\nDate: ");
	date_format(n->now, out);
	buf_printf(out, "\r\nMessage-ID: %.*s\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", SPAN_ARG(n->message_id));
	buf_printf(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n", is_8bit ? "8bit" : "7bit");
	buf_add(out, n->text);
}
