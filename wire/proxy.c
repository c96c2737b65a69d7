/* The PROXY protocol: see proxy.h; the sections are of its document. */
#include "wire/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>

enum {
	V1_LINE_MAX = 107, /* §2.1, with CR LF */
	V2_HEAD = 16,
	V2_LOCAL = 0x20, V2_PROXY = 0x21,
	V2_TCP4 = 0x11, V2_TCP6 = 0x21,
};

static const struct span v1_start = SPAN("PROXY "), v2_signature = SPAN("\r\n\r\n\0\r\nQUIT\n");

static bool is_start_of(struct span in, struct span whole)
{
	return span_starts_with(in.len < whole.len ? whole : in, in.len < whole.len ? in : whole);
}

static int set_client(int family, struct span text, struct proxy_header *out)
{
	unsigned char bytes[16];
	if (text.len >= sizeof out->client || span_chr(text, 0) >= 0)
		return -1;
	snprintf(out->client, sizeof out->client, "%.*s", SPAN_ARG(text));
	return inet_pton(family, out->client, bytes) == 1 ? 0 : -1;
}

static bool is_port(struct span text)
{
	uint64_t port;
	return span_to_u64(text, 65535, &port) == 0;
}

/* §2.1: "PROXY TCP4 source destination port port" CR LF. */
static int read_line(struct span line, struct proxy_header *out, struct error *why)
{
	struct span rest = span_skip(line, v1_start.len), family = span_next_word(&rest), client = span_next_word(&rest);
	struct span server = span_next_word(&rest), client_port = span_next_word(&rest), server_port = span_next_word(&rest);
	struct proxy_header ignored;
	if (span_equal(family, SPAN("UNKNOWN")))
		return 0; /* whatever follows */
	bool is_six = span_equal(family, SPAN("TCP6"));
	if ((!is_six && !span_equal(family, SPAN("TCP4"))) || set_client(is_six ? AF_INET6 : AF_INET, client, out) ||
	    set_client(is_six ? AF_INET6 : AF_INET, server, &ignored) || !is_port(client_port) || !is_port(server_port) || rest.len)
		return error_set(why, 0, "the line that begins with PROXY is not \"PROXY TCP4 address address port port\", or with TCP6");
	return 0;
}

static ssize_t parse_v1(struct span in, struct proxy_header *out, struct error *why)
{
	ssize_t end = span_find(span_slice(in, 0, V1_LINE_MAX), SPAN("\r\n"));
	if (end < 0)
		return in.len < V1_LINE_MAX ? 0 : error_set(why, 0, "the line that begins with PROXY is too long");
	return read_line(span_slice(in, 0, (size_t)end), out, why) ? -1 : end + 2;
}

/* §2.2. */
static ssize_t parse_v2(struct span in, struct proxy_header *out, struct error *why)
{
	if (in.len < V2_HEAD)
		return 0;
	const unsigned char *head = (const unsigned char *)in.ptr;
	size_t whole = V2_HEAD + ((size_t)head[14] << 8 | head[15]);
	if (head[12] != V2_LOCAL && head[12] != V2_PROXY)
		return error_set(why, 0, "the PROXY header has version and command %02x", head[12]);
	if (whole > PROXY_HEADER_MAX)
		return error_set(why, 0, "the PROXY header is too long");
	if (in.len < whole)
		return 0;
	if (head[12] == V2_LOCAL)
		return (ssize_t)whole;
	/* source, destination, two ports */
	size_t needed = head[13] == V2_TCP4 ? 12 : head[13] == V2_TCP6 ? 36 : 0;
	if (needed && whole < V2_HEAD + needed)
		return error_set(why, 0, "the PROXY header is too short for its addresses");
	if (needed && !inet_ntop(needed == 12 ? AF_INET : AF_INET6, head + V2_HEAD, out->client, sizeof out->client))
		return error_set(why, 0, "the PROXY header has no address");
	return (ssize_t)whole;
}

ssize_t proxy_parse(struct span in, struct proxy_header *out, struct error *why)
{
	*out = (struct proxy_header){0};
	if (in.len >= v1_start.len && span_starts_with(in, v1_start))
		return parse_v1(in, out, why);
	if (in.len >= v2_signature.len && span_starts_with(in, v2_signature))
		return parse_v2(in, out, why);
	if (is_start_of(in, v1_start) || is_start_of(in, v2_signature))
		return 0;
	return error_set(why, 0, "it begins with no PROXY header");
}
