/* Hashes of passwords as other servers write them. */
#include "wire/password_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct password_hash hash;
	struct error why;
	if (password_hash_parse(span_of(data, size), &hash, &why) == 0 && (hash.digest_len > PASSWORD_DIGEST_MOST || hash.salt_len > PASSWORD_SALT_MOST))
		__builtin_trap();
	return 0;
}
