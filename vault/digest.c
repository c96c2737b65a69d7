/* HMAC-SHA-256. */
#include "vault/digest.h"

#include "base/buf.h"
#include "base/die.h"
#include "base/pack.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void digest_key_make(struct digest_key *out)
{
	random_bytes(out->bytes, sizeof out->bytes);
}

struct digest digest_make(const struct digest_key *key, const struct span *parts, size_t count)
{
	BUF_AUTO all = {0};
	struct digest d;
	unsigned len = sizeof d.bytes;
	size_t room = 0;
	for (size_t i = 0; i < count; i++)
		room += parts[i].len + sizeof(uint64_t);
	buf_reserve(&all, room); /* at once, so that no copy of a password stays behind where it grew */
	for (size_t i = 0; i < count; i++)
		pack_bytes(&all, parts[i]);
	if (!HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, (const unsigned char *)all.ptr, all.len, d.bytes, &len))
		die("vault: no HMAC");
	OPENSSL_cleanse(all.ptr, all.cap);
	return d;
}

uint64_t digest_number(const struct digest *d)
{
	uint64_t number;
	memcpy(&number, d->bytes, sizeof number);
	return number;
}
