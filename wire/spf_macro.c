/* Macros: RFC 7208 §7. */
#include "wire/spf.h"


enum { PARTS_MOST = 256 }; /* of one value: a name has 127 labels, an IPv6 address 32 nibbles; more are joined as they are */

struct macro {
	char letter;
	bool is_escaped;   /* an upper-case letter */
	bool is_reversed;
	uint64_t parts;    /* 0: all */
	struct span delimiters;
};

/* "letter *DIGIT ["r"] *delimiter", what stands between "%{" and "}". */
static int read_macro(struct span in, struct macro *out)
{
	size_t digits = 0;
	if (!in.len)
		return -1;
	*out = (struct macro){.letter = ascii_lower(in.ptr[0]), .is_escaped = in.ptr[0] != ascii_lower(in.ptr[0]), .delimiters = SPAN(".")};
	in = span_skip(in, 1);
	while (digits < in.len && ascii_is_digit(in.ptr[digits]))
		digits++;
	/* a number of any length: more parts than there are means all of them */
	if (digits && span_to_u64(span_slice(in, 0, digits), UINT64_MAX, &out->parts))
		out->parts = UINT64_MAX;
	if (digits && out->parts == 0)
		return -1;
	in = span_skip(in, digits);
	if (in.len && ascii_lower(in.ptr[0]) == 'r') {
		out->is_reversed = true;
		in = span_skip(in, 1);
	}
	for (size_t i = 0; i < in.len; i++)
		if (span_chr(SPAN(".-+,/_="), in.ptr[i]) < 0)
			return -1;
	if (in.len)
		out->delimiters = in;
	return 0;
}

/* 0, or -1 if there is no such letter here. */
static int value_of(const struct macro *macro, const struct spf_macros *m, bool is_explanation, struct buf *memory, struct span *out)
{
	switch (macro->letter) {
	case 's': *out = m->sender; return 0;
	case 'l': *out = m->local_part; return 0;
	case 'o': *out = m->sender_domain; return 0;
	case 'd': *out = m->domain; return 0;
	case 'i': *out = m->dotted_ip; return 0;
	case 'p': *out = m->validated_name; return 0;
	case 'v': *out = m->is_ipv6 ? SPAN("ip6") : SPAN("in-addr"); return 0;
	case 'h': *out = m->helo; return 0;
	case 'c': *out = m->readable_ip; break;
	case 'r': *out = m->receiver; break;
	case 't':
		buf_printf(memory, "%lld", (long long)m->now_s);
		*out = buf_span(memory);
		break;
	default: return -1;
	}
	return is_explanation ? 0 : -1;
}

static size_t split(struct span value, struct span delimiters, struct span parts[PARTS_MOST])
{
	size_t count = 0, from = 0;
	for (size_t i = 0; i < value.len && count < PARTS_MOST - 1; i++) {
		if (span_chr(delimiters, value.ptr[i]) < 0)
			continue;
		parts[count++] = span_slice(value, from, i - from);
		from = i + 1;
	}
	parts[count++] = span_skip(value, from);
	return count;
}

static void add_transformed(const struct macro *macro, struct span value, struct buf *out)
{
	struct span parts[PARTS_MOST];
	bool is_plain = !macro->is_reversed && !macro->parts && span_equal(macro->delimiters, SPAN("."));
	if (is_plain) {
		buf_add(out, value);
		return;
	}
	size_t count = split(value, macro->delimiters, parts);
	size_t keep = macro->parts && macro->parts < count ? (size_t)macro->parts : count;
	for (size_t i = count - keep; i < count; i++) {
		if (i > count - keep)
			buf_add_char(out, '.');
		buf_add(out, parts[macro->is_reversed ? count - 1 - i : i]);
	}
}

/* RFC 3986 §2.3: unreserved characters stand as they are. */
static void add_escaped(struct span value, struct buf *out)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (ascii_is_alpha(c) || ascii_is_digit(c) || span_chr(SPAN("-._~"), c) >= 0)
			buf_add_char(out, c);
		else
			buf_printf(out, "%%%02X", (unsigned char)c);
	}
}

static int add_macro(struct span in, const struct spf_macros *m, bool is_explanation, struct buf *out)
{
	struct macro macro;
	struct span value;
	BUF_AUTO memory = {0}, text = {0};
	if (read_macro(in, &macro) || value_of(&macro, m, is_explanation, &memory, &value))
		return -1;
	add_transformed(&macro, value, &text);
	if (macro.is_escaped)
		add_escaped(buf_span(&text), out);
	else
		buf_add(out, buf_span(&text));
	return 0;
}

int spf_expand(struct span text, const struct spf_macros *m, bool is_explanation, struct buf *out)
{
	size_t before = out->len;
	while (text.len) {
		char c = text.ptr[0], next = text.len > 1 ? text.ptr[1] : 0;
		if (out->len - before > SPF_EXPANDED_MOST || ((unsigned char)c < 33 && !(c == ' ' && is_explanation)) || (unsigned char)c > 126)
			return -1;
		if (c != '%') {
			buf_add_char(out, c);
			text = span_skip(text, 1);
			continue;
		}
		ssize_t close = next == '{' ? span_chr(text, '}') : -1;
		switch (next) {
		case '%': buf_add_char(out, '%'); break;
		case '_': buf_add_char(out, ' '); break;
		case '-': buf_add(out, SPAN("%20")); break;
		default:
			if (close < 0 || add_macro(span_slice(text, 2, (size_t)close - 2), m, is_explanation, out))
				return -1;
		}
		text = span_skip(text, close < 0 ? 2 : (size_t)close + 1);
	}
	return 0;
}

bool spf_uses_macro(struct span text, char letter)
{
	for (size_t i = 0; i + 2 < text.len; i++) {
		if (text.ptr[i] == '%' && text.ptr[i + 1] == '%')
			i++;
		else if (text.ptr[i] == '%' && text.ptr[i + 1] == '{' && ascii_lower(text.ptr[i + 2]) == letter)
			return true;
	}
	return false;
}
