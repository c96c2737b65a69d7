/* SASL responses. */
#include "edge/sasl.h"

#include "base/base64.h"

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
	struct span authzid = span_slice(m, 0, (size_t)first), rest = span_skip(m, (size_t)first + 1);
	ssize_t second = span_chr(rest, 0);
	if (second <= 0)
		return -1;
	out->user = span_slice(rest, 0, (size_t)second);
	out->password = span_skip(rest, (size_t)second + 1);
	if (out->password.len == 0 || span_chr(out->password, 0) >= 0)
		return -1;
	return authzid.len == 0 || span_equal(authzid, out->user) ? 0 : -1;
}

void sasl_wipe(struct buf *b)
{
	if (b->ptr)
		OPENSSL_cleanse(b->ptr, b->cap);
	buf_free(b);
}
