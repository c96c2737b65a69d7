/* XCLIENT, as Postfix's XCLIENT_README has it. */
#include "wire/smtp.h"

#include <arpa/inet.h>
#include <stdio.h>

static bool is_unknown(struct span value)
{
	return span_equal_nocase(value, SPAN("[UNAVAILABLE]")) || span_equal_nocase(value, SPAN("[TEMPUNAVAIL]"));
}

static int set_address(struct span value, struct smtp_xclient *out)
{
	unsigned char bytes[16];
	bool is_six = span_starts_with_nocase(value, SPAN("IPV6:"));
	struct span text = span_skip(value, is_six ? 5 : 0);

	if (text.len >= sizeof out->client || span_chr(text, 0) >= 0)
		return -1;
	snprintf(out->client, sizeof out->client, "%.*s", SPAN_ARG(text));
	return inet_pton(is_six ? AF_INET6 : AF_INET, out->client, bytes) == 1 ? 0 : -1;
}

static int set_attribute(struct span name, struct span value, struct smtp_xclient *out, struct error *why)
{
	struct error ignored;

	/* the name of the client is looked up here, as that of any other */
	if (span_equal_nocase(name, SPAN("NAME")) || span_equal_nocase(name, SPAN("PORT")) || span_equal_nocase(name, SPAN("PROTO")))
		return 0;
	if (span_equal_nocase(name, SPAN("ADDR"))) {
		if (is_unknown(value))
			return error_set(why, 501, "5.5.4 XCLIENT without a client's address says nothing");
		return set_address(value, out) ? error_set(why, 501, "5.5.4 ADDR must be an IPv4 address, or IPV6: and one") : 0;
	}
	if (span_equal_nocase(name, SPAN("HELO"))) {
		buf_clear(&out->helo);
		if (!is_unknown(value) && (smtp_xtext_decode(value, &out->helo) || smtp_check_hello(buf_span(&out->helo), &ignored)))
			return error_set(why, 501, "5.5.4 HELO must be the xtext of a domain name or an address literal");
		return 0;
	}
	return error_set(why, 501, "5.5.4 XCLIENT takes NAME, ADDR, PORT, PROTO and HELO");
}

int smtp_parse_xclient(struct span argument, struct smtp_xclient *out, struct error *why)
{
	struct span word;

	*out = (struct smtp_xclient){0};
	while ((word = span_next_word(&argument)).len) {
		ssize_t equals = span_chr(word, '=');

		if (equals < 0)
			return error_set(why, 501, "5.5.4 XCLIENT takes NAME=value");
		if (set_attribute(span_slice(word, 0, (size_t)equals), span_skip(word, (size_t)equals + 1), out, why))
			return -1;
	}
	return 0;
}
