/* ICU's profile for RFC 4013, whose data are inside the library: no file is opened. */
#include "wire/saslprep.h"

#include "base/utf8.h"

#include <string.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

static bool is_plain_ascii(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			return false;
	return true;
}

static int prepare(struct span text, struct buf *out)
{
	UChar wide[SASLPREP_BYTES_MOST], prepared[SASLPREP_BYTES_MOST];
	UErrorCode status = U_ZERO_ERROR;
	int32_t n = 0, bytes = 0;
	UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &status);
	u_strFromUTF8(wide, SASLPREP_BYTES_MOST, &n, text.ptr, (int32_t)text.len, &status);
	if (U_SUCCESS(status))
		n = usprep_prepare(profile, wide, n, prepared, SASLPREP_BYTES_MOST, USPREP_ALLOW_UNASSIGNED, NULL, &status);
	if (profile)
		usprep_close(profile);
	char *to = buf_reserve(out, SASLPREP_BYTES_MOST);
	u_strToUTF8(to, SASLPREP_BYTES_MOST, &bytes, prepared, n, &status);
	bool is_done = U_SUCCESS(status) && bytes > 0;
	out->len += is_done ? (size_t)bytes : 0;
	explicit_bzero(wide, sizeof wide);
	explicit_bzero(prepared, sizeof prepared);
	return is_done ? 0 : -1;
}

int saslprep(struct span text, struct buf *out)
{
	if (text.len == 0 || text.len > SASLPREP_BYTES_MOST || !utf8_is_valid(text))
		return -1;
	if (!is_plain_ascii(text))
		return prepare(text, out);
	buf_add(out, text);
	return 0;
}
