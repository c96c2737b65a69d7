#include "auth/srs.h"

#include "base/die.h"
#include "wire/address.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum {
	HASH_CHARACTERS = 6, /* 30 bits, of which a guess costs a delivery attempt each */
	DAY_CHARACTERS = 2,  /* 10 bits: days modulo 1024 */
	DAYS_MOST = 21,      /* longer than any queue keeps a bounce */
};

/* Others may have changed the case of a local part: the alphabet has one case. */
static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static void add_hash(const unsigned char key[SRS_KEY_BYTES], struct span what, struct buf *out)
{
	BUF_AUTO lower = {0};
	unsigned char digest[32];
	unsigned len = sizeof digest;
	for (size_t i = 0; i < what.len; i++)
		buf_add_char(&lower, ascii_lower(what.ptr[i]));
	if (!HMAC(EVP_sha256(), key, SRS_KEY_BYTES, (const unsigned char *)lower.ptr, lower.len, digest, &len))
		die("auth: no HMAC");
	for (size_t i = 0; i < HASH_CHARACTERS; i++)
		buf_add_char(out, alphabet[digest[i] & 31]);
}

static bool is_hash_of(const unsigned char key[SRS_KEY_BYTES], struct span hash, struct span what)
{
	BUF_AUTO right = {0}, given = {0};
	add_hash(key, what, &right);
	for (size_t i = 0; i < hash.len; i++)
		buf_add_char(&given, ascii_lower(hash.ptr[i]));
	return given.len == right.len && CRYPTO_memcmp(given.ptr, right.ptr, right.len) == 0;
}

static struct span take_until(struct span *rest, char end)
{
	ssize_t at = span_chr(*rest, end);
	struct span word = at < 0 ? SPAN("") : span_slice(*rest, 0, (size_t)at);
	*rest = at < 0 ? SPAN("") : span_skip(*rest, (size_t)at + 1);
	return word;
}

static bool is_form(struct span local, const char *name)
{
	return span_starts_with_nocase(local, span_cstr(name)) && local.len > 5 && span_chr(SPAN("=+-"), local.ptr[4]) >= 0;
}

bool srs_is(struct span local_part)
{
	return is_form(local_part, "SRS0") || is_form(local_part, "SRS1");
}

static int finish(struct span form, const unsigned char key[SRS_KEY_BYTES], struct span what, struct span domain, struct buf *out)
{
	BUF_AUTO local = {0};
	buf_add(&local, form);
	add_hash(key, what, &local);
	buf_add_char(&local, '=');
	buf_add(&local, what);
	if (local.len > ADDRESS_LOCAL_PART_LOOSE || local.len + 1 + domain.len + 2 > ADDRESS_PATH_MAX)
		return -1;
	buf_add(out, buf_span(&local));
	buf_add_char(out, '@');
	buf_add(out, domain);
	return 0;
}

int srs_make(const unsigned char key[SRS_KEY_BYTES], struct span sender, struct span domain, uint64_t day, struct buf *out)
{
	ssize_t at = span_rchr(sender, '@');
	struct span local = span_slice(sender, 0, at < 0 ? 0 : (size_t)at), host = span_skip(sender, (size_t)(at + 1));
	BUF_AUTO what = {0};
	if (at <= 0 || !host.len || span_chr(local, '"') >= 0)
		return -1;
	if (is_form(local, "SRS0")) { /* another forwarder's: what comes back goes to it */
		buf_add(&what, host);
		buf_add(&what, SPAN("=="));
		buf_add(&what, span_skip(local, 5));
		return finish(SPAN("SRS1="), key, buf_span(&what), domain, out);
	}
	if (is_form(local, "SRS1")) { /* the same, passed on by a second one: the first forwarder stays */
		struct span rest = span_skip(local, 5);
		take_until(&rest, '=');
		return finish(SPAN("SRS1="), key, rest, domain, out);
	}
	buf_add_char(&what, alphabet[day >> 5 & 31]);
	buf_add_char(&what, alphabet[day & 31]);
	buf_add_char(&what, '=');
	buf_add(&what, host);
	buf_add_char(&what, '=');
	buf_add(&what, local);
	return finish(SPAN("SRS0="), key, buf_span(&what), domain, out);
}

static bool is_recent(struct span stamp, uint64_t day)
{
	ssize_t high = stamp.len == DAY_CHARACTERS ? span_chr(SPAN(alphabet), ascii_lower(stamp.ptr[0])) : -1;
	ssize_t low = high >= 0 ? span_chr(SPAN(alphabet), ascii_lower(stamp.ptr[1])) : -1;
	return low >= 0 && ((day - (uint64_t)(high << 5 | low)) & 1023) <= DAYS_MOST;
}

int srs_undo(const unsigned char key[SRS_KEY_BYTES], struct span local_part, uint64_t day, struct buf *out)
{
	struct span rest = span_skip(local_part, 5), hash = take_until(&rest, '=');
	if (!srs_is(local_part) || !is_hash_of(key, hash, rest))
		return -1;
	if (is_form(local_part, "SRS1")) {
		struct span forwarder = take_until(&rest, '=');
		if (!forwarder.len || !rest.len)
			return -1;
		buf_add(out, SPAN("SRS0"));
		buf_add(out, rest); /* begins with its "=" */
		buf_add_char(out, '@');
		buf_add(out, forwarder);
		return 0;
	}
	struct span stamp = take_until(&rest, '='), host = take_until(&rest, '=');
	if (!is_recent(stamp, day) || !host.len || !rest.len)
		return -1;
	buf_add(out, rest);
	buf_add_char(out, '@');
	buf_add(out, host);
	return 0;
}
