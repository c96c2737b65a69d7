/* The fields of a new set: RFC 8617 §4.1. */
#include "wire/arc.h"

#include "wire/dkim.h"

void arc_build_results(const struct arc_new *n, struct buf *out)
{
	buf_printf(out, "ARC-Authentication-Results: i=%u; ", n->instance);
	buf_add(out, n->results);
	buf_add(out, SPAN("\r\n"));
}

void arc_build_message(const struct arc_new *n, struct buf *out)
{
	buf_printf(out, "ARC-Message-Signature: i=%u; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s;\r\n\tt=%llu;", n->instance,
	           SPAN_ARG(n->domain), SPAN_ARG(n->selector), (unsigned long long)n->time_s);
	dkim_build_names("h=", n->header_names, out);
	dkim_build_base64("bh=", n->body_hash, out);
	buf_add_char(out, ';');
	dkim_build_base64("b=", n->signature, out);
	buf_add(out, SPAN("\r\n"));
}

void arc_build_seal(const struct arc_new *n, struct buf *out)
{
	buf_printf(out, "ARC-Seal: i=%u; a=rsa-sha256; cv=%s;\r\n\td=%.*s; s=%.*s;\r\n\tt=%llu;", n->instance, arc_status_word(n->status),
	           SPAN_ARG(n->domain), SPAN_ARG(n->selector), (unsigned long long)n->time_s);
	dkim_build_base64("b=", n->signature, out);
	buf_add(out, SPAN("\r\n"));
}
