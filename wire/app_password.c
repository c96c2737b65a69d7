#include "wire/app_password.h"

enum { GROUP = 4, TYPED_BYTES_MOST = 100 };

/* Without i, l, o and u. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void app_password_write(const unsigned char random[APP_PASSWORD_CHARACTERS], struct buf *out)
{
	for (size_t i = 0; i < APP_PASSWORD_CHARACTERS; i++) {
		if (i && i % GROUP == 0)
			buf_add_char(out, '-');
		buf_add_char(out, alphabet[random[i] & 31]);
	}
}

int app_password_read(struct span typed, char out[APP_PASSWORD_CHARACTERS])
{
	size_t len = 0;
	if (typed.len > TYPED_BYTES_MOST)
		return -1;
	for (size_t i = 0; i < typed.len; i++) {
		char c = ascii_lower(typed.ptr[i]);
		if (c == '-' || c == ' ')
			continue;
		if (len == APP_PASSWORD_CHARACTERS || span_chr(span_cstr(alphabet), c) < 0)
			return -1;
		out[len++] = c;
	}
	return len == APP_PASSWORD_CHARACTERS ? 0 : -1;
}
