/* Comparing a password with its hash, and making a hash: yescrypt, by crypt(3). Slow on purpose; safe to call from any thread. */
#ifndef VAULT_HASH_H
#define VAULT_HASH_H

#include "base/buf.h"

/* crypt(3)'s memory between calls of one thread. Start with {0}. */
struct hash_memory {
	void *crypt;
	int size;
};

/* True if `hash` (wire/password_hash.h) is one of the password, which has no NUL. *is_ours: it is one as hash_make makes. A
 * hash that cannot be read, and none at all, is one that nothing matches, in the time of our own. */
bool hash_matches(struct span hash, const char *password, bool *is_ours, struct hash_memory *memory);
/* Appends a new hash of the password. -1 if crypt(3) refuses. */
int hash_make(const char *password, struct buf *out);

#endif
