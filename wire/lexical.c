#include "wire/lexical.h"

struct span lexical_skip_cfws(struct span in)
{
	size_t i = 0, depth = 0;

	for (; i < in.len; i++) {
		char c = in.ptr[i];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\' && i + 1 < in.len)
			i++;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	return span_skip(in, i);
}

static bool is_token_char(char c)
{
	return (unsigned char)c > 32 && c != 127 && !strchr("()<>@,;:\\\"/[]?=", c);
}

struct span lexical_take_token(struct span *in)
{
	struct span token;
	size_t n = 0;

	*in = lexical_skip_cfws(*in);
	while (n < in->len && is_token_char(in->ptr[n]))
		n++;
	token = span_slice(*in, 0, n);
	*in = span_skip(*in, n);
	return token;
}

void lexical_take_quoted(struct span *in, struct buf *out)
{
	size_t i = 1;

	for (; i < in->len && in->ptr[i] != '"'; i++) {
		if (in->ptr[i] == '\\' && i + 1 < in->len)
			i++;
		buf_add_char(out, in->ptr[i]);
	}
	*in = span_skip(*in, i + 1);
}

void lexical_take_value(struct span *in, struct buf *out)
{
	*in = lexical_skip_cfws(*in);
	if (in->len > 0 && in->ptr[0] == '"')
		lexical_take_quoted(in, out);
	else
		buf_add(out, lexical_take_token(in));
}
