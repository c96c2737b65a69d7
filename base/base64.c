/* Over OpenSSL's, whose decoder takes more than it should. */
#include "base/base64.h"

#include "base/die.h"

#include <limits.h>
#include <openssl/evp.h>

int base64_decode(struct span encoded, struct buf *out)
{
	if (encoded.len % 4 || encoded.len > INT_MAX)
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

void base64_encode(struct span bytes, struct buf *out)
{
	if (bytes.len > INT_MAX / 2)
		die("base64: too much at once");
	char *to = buf_reserve(out, bytes.len / 3 * 4 + 5); /* and a NUL */
	out->len += (size_t)EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)bytes.ptr, (int)bytes.len);
}
