/* SASL's mechanisms. */
#include "edge/sasl.h"

#include "base/base64.h"
#include "edge/scram.h"

#include <openssl/crypto.h>

enum { RESPONSE_BYTES_MOST = 12288 }; /* RFC 4954 §4 */

int sasl_decode(struct span encoded, struct buf *out)
{
	return encoded.len > RESPONSE_BYTES_MOST ? -1 : base64_decode(encoded, out);
}

int sasl_parse_plain(struct span m, struct sasl_plain *out)
{
	ssize_t first = span_chr(m, 0);
	if (first < 0)
		return -1;
	struct span rest = span_skip(m, (size_t)first + 1);
	ssize_t second = span_chr(rest, 0);
	if (second <= 0)
		return -1;
	out->authzid = span_slice(m, 0, (size_t)first);
	out->user = span_slice(rest, 0, (size_t)second);
	out->password = span_skip(rest, (size_t)second + 1);
	return out->password.len == 0 || span_chr(out->password, 0) >= 0 ? -1 : 0;
}

void sasl_wipe(struct buf *b)
{
	if (b->ptr)
		OPENSSL_cleanse(b->ptr, b->cap);
	buf_free(b);
}

/* It needs a certificate that vault can judge: not that it would be taken. */
static bool has_external(const struct connection *c)
{
	return connection_client_handshake(c).len > 0;
}

void sasl_add_mechanisms(const struct connection *c, const char *before, struct buf *out)
{
	if (has_external(c))
		buf_printf(out, "%sEXTERNAL", before);
	scram_add_mechanisms(c, before, out);
}

bool sasl_begin(struct connection *c, struct span mechanism)
{
	if (span_equal_nocase(mechanism, SPAN("PLAIN")))
		c->mechanism = SASL_PLAIN;
	else if (span_equal_nocase(mechanism, SPAN("EXTERNAL")) && has_external(c))
		c->mechanism = SASL_EXTERNAL;
	else if (scram_begin(c, mechanism))
		c->mechanism = SASL_SCRAM;
	else
		return false;
	return true;
}

void sasl_cancel(struct connection *c)
{
	scram_cancel(c);
	c->mechanism = SASL_NONE;
}

static enum sasl_step take_plain(struct connection *c, struct span message, struct error *why)
{
	struct sasl_plain plain;
	if (sasl_parse_plain(message, &plain)) {
		error_set(why, 0, "That is not a message of PLAIN");
		return SASL_MALFORMED;
	}
	connection_login(c, plain.user, plain.authzid, plain.password);
	return SASL_TAKEN;
}

/* The message is who the client wants to be, or empty: whoever the certificate says (RFC 4422 appendix A.1). */
static enum sasl_step take_external(struct connection *c, struct span message, struct error *why)
{
	if (span_chr(message, 0) >= 0) {
		error_set(why, 0, "That is not a message of EXTERNAL");
		return SASL_MALFORMED;
	}
	connection_login_external(c, message);
	return SASL_TAKEN;
}

enum sasl_step sasl_response(struct connection *c, struct span encoded, struct error *why)
{
	enum sasl_mechanism mechanism = c->mechanism;
	BUF_AUTO message = {0};
	enum sasl_step step = SASL_MALFORMED;
	if (sasl_decode(encoded, &message)) {
		sasl_cancel(c);
		error_set(why, 0, "That is not base64");
		sasl_wipe(&message);
		return SASL_NOT_BASE64;
	}
	/* SCRAM has more steps, and is over with `logged_in` */
	c->mechanism = mechanism == SASL_SCRAM ? SASL_SCRAM : SASL_NONE;
	switch (mechanism) {
	case SASL_NONE: error_set(why, 0, "Nothing was asked"); break;
	case SASL_PLAIN: step = take_plain(c, buf_span(&message), why); break;
	case SASL_EXTERNAL: step = take_external(c, buf_span(&message), why); break;
	case SASL_SCRAM: step = scram_response(c, buf_span(&message), why) == SCRAM_MALFORMED ? SASL_MALFORMED : SASL_TAKEN; break;
	}
	sasl_wipe(&message);
	return step;
}
