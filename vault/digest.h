/* Digests of names and passwords that only this process can make, under a key that dies with it: so what is remembered of
 * them tells nothing to who reads it, and nobody can choose what falls together. */
#ifndef VAULT_DIGEST_H
#define VAULT_DIGEST_H

#include "base/span.h"

enum { DIGEST_BYTES = 32 };

struct digest {
	unsigned char bytes[DIGEST_BYTES];
};

struct digest_key {
	unsigned char bytes[DIGEST_BYTES];
};

void digest_key_make(struct digest_key *out);
/* Of the parts one after the other, each with its length: {"a", "bc"} and {"ab", "c"} differ. */
struct digest digest_make(const struct digest_key *key, const struct span *parts, size_t count);
/* Its first bits, where a chance in 2^64 of falling together is little enough. */
uint64_t digest_number(const struct digest *d);

#endif
