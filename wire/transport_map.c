#include "wire/transport_map.h"

#include "wire/next_hop.h"

enum { HOP_BYTES_MOST = 250 }; /* as of the setting relay_host */

static bool is_one_of(const char *words, struct span name)
{
	struct span rest = span_cstr(words), word;
	while ((word = span_next_word(&rest)).len)
		if (span_equal_nocase(word, name))
			return true;
	return false;
}

/* Ports that files name by their services. */
static struct span port_of(struct span service)
{
	static const struct { const char *name, *port; } services[] = {{"smtp", "25"}, {"lmtp", "24"}, {"submission", "587"}, {"submissions", "465"}, {"smtps", "465"}};
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (span_equal_nocase(service, span_cstr(services[i].name)))
			return span_cstr(services[i].port);
	return service;
}

/* "[2001:db8::1]" is "[IPv6:2001:db8::1]" here (RFC 5321 §4.1.3). */
static int read_hop(struct span text, bool is_lmtp, struct buf *out, struct error *why)
{
	BUF_AUTO hop = {0};
	ssize_t end = span_starts_with(text, SPAN("[")) ? span_chr(text, ']') : -1;
	struct span host = end < 0 ? span_slice(text, 0, span_chr(text, ':') < 0 ? text.len : (size_t)span_chr(text, ':')) : span_slice(text, 0, (size_t)end + 1);
	struct span port = span_skip(text, host.len), name = end < 0 ? host : span_slice(host, 1, host.len - 2);
	bool is_v6 = end >= 0 && span_chr(name, ':') >= 0 && !span_starts_with_nocase(name, SPAN("IPv6:"));
	buf_printf(&hop, "%s%s%.*s", is_lmtp ? "lmtp:" : "", is_v6 ? "[IPv6:" : "", SPAN_ARG(is_v6 ? span_skip(host, 1) : host));
	if (port.len)
		buf_printf(&hop, ":%.*s", SPAN_ARG(port_of(span_skip(port, span_starts_with(port, SPAN(":"))))));
	if (hop.len > HOP_BYTES_MOST)
		return error_set(why, 0, "the next hop has more than %d characters", HOP_BYTES_MOST);
	if (next_hop_parse(buf_span(&hop), &(struct next_hop){0}, why))
		return -1;
	buf_add(out, buf_span(&hop));
	return 0;
}

static int read_lmtp(struct span hop, struct buf *out, struct error *why)
{
	static const struct span inet = SPAN("inet:");
	if (span_starts_with_nocase(hop, SPAN("unix:")))
		return error_set(why, 0, "it leads to a Unix socket: have that server listen on an address too, and name it as lmtp:inet:127.0.0.1:24");
	return read_hop(span_skip(hop, span_starts_with_nocase(hop, inet) ? inet.len : 0), true, out, why);
}

int transport_parse(struct span value, bool is_mailertable, enum transport *out, struct buf *hop, struct error *why)
{
	value = span_trim(value);
	ssize_t colon = span_chr(value, ':');
	struct span name = colon < 0 ? value : span_slice(value, 0, (size_t)colon), rest = colon < 0 ? SPAN("") : span_trim(span_skip(value, (size_t)colon + 1));
	bool is_smtp = is_one_of(is_mailertable ? "smtp esmtp smtp8 dsmtp relay" : "smtp relay", name);
	if (is_one_of("error", name)) {
		*out = TRANSPORT_ERROR;
	} else if (is_one_of(is_mailertable ? "local" : "local virtual", name) && (!is_mailertable || !rest.len)) {
		*out = TRANSPORT_HERE;
	} else if (!name.len && !rest.len && colon == 0) {
		*out = TRANSPORT_UNCHANGED;
	} else if (is_smtp && !rest.len) {
		*out = TRANSPORT_MX;
	} else if (is_smtp || (!name.len && colon == 0)) {
		*out = TRANSPORT_HOP;
		return read_hop(rest, false, hop, why);
	} else if (is_one_of("lmtp", name) && rest.len) {
		*out = TRANSPORT_HOP;
		return read_lmtp(rest, hop, why);
	} else {
		return error_set(why, 0, "\"%.*s\" is no transport here: those are smtp:, relay:, lmtp:inet:, %s and error:", SPAN_ARG(span_slice(name, 0, 40)),
		                 is_mailertable ? "esmtp:, local:" : "local:, virtual:");
	}
	return 0;
}
