/* SASL responses. */
#include "edge/sasl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { RESPONSE_BYTES_MOST = 12288 }; /* RFC 4954 §4 */

int sasl_decode(struct span encoded, struct buf *out)
{
	if (encoded.len > RESPONSE_BYTES_MOST || encoded.len % 4)
		return -1;
	if (encoded.len == 0)
		return 0;
	size_t padding = 0;
	for (size_t i = 0; i < encoded.len; i++) {
		char c = encoded.ptr[i];
		bool is_digit = ascii_is_alpha(c) || ascii_is_digit(c) || c == '+' || c == '/';
		if (c == '=' && i >= encoded.len - 2)
			padding++;
		else if (!is_digit || padding)
			return -1;
	}
	char *to = buf_reserve(out, encoded.len);
	int n = EVP_DecodeBlock((unsigned char *)to, (const unsigned char *)encoded.ptr, (int)encoded.len);
	if (n < (int)padding)
		return -1;
	out->len += (size_t)n - padding;
	return 0;
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
