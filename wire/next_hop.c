#include "wire/next_hop.h"

#include "wire/address.h"

static int parse_port(struct span text, struct next_hop *out, struct error *why)
{
	uint64_t port;
	if (text.len == 0)
		return 0;
	if (text.ptr[0] != ':' || span_to_u64(span_skip(text, 1), 65535, &port) || port == 0)
		return error_set(why, 0, "\"%.*s\" is no port: write it as :587", (int)span_slice(text, 0, 40).len, text.ptr);
	out->port = (uint16_t)port;
	return 0;
}

int next_hop_parse(struct span text, struct next_hop *out, struct error *why)
{
	static const struct span lmtp = SPAN("lmtp:");
	bool is_literal = false;
	*out = (struct next_hop){.is_lmtp = span_starts_with_nocase(text, lmtp)};
	out->is_host = out->is_lmtp;
	text = span_skip(text, out->is_lmtp ? lmtp.len : 0);
	if (span_starts_with(text, SPAN("["))) {
		ssize_t end = span_chr(text, ']');
		struct span literal = span_slice(text, 0, end < 0 ? 0 : (size_t)end + 1);
		struct span name = literal.len > 2 ? span_slice(literal, 1, literal.len - 2) : SPAN("");
		out->is_host = true;
		is_literal = address_literal_is_valid(literal);
		out->host = is_literal ? literal : name;
		text = span_skip(text, literal.len);
	} else {
		ssize_t colon = span_chr(text, ':');
		out->host = colon < 0 ? text : span_slice(text, 0, (size_t)colon);
		text = span_skip(text, out->host.len);
	}
	if (!is_literal && (!domain_is_valid(out->host, ADDRESS_UTF8) || out->host.len > 253))
		return error_set(why, 0, "it is no host: write example.org, or [mail.example.org]:587 for one host without its MX records");
	return parse_port(text, out, why);
}
