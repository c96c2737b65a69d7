/* Checking passwords on a pool of threads, since yescrypt is slow on purpose. The pool has no queue: who waits for it, and
 * in which order, is decided in the loop's thread (vault/login.c). */
#ifndef VAULT_PASSWORD_H
#define VAULT_PASSWORD_H

#include "base/loop.h"
#include "base/span.h"

enum { PASSWORD_BYTES_MOST = 512 };

struct password_pool;

/* new_hash, scram: not empty where the hash should be replaced by the one, and the keys for SCRAM by the other. */
typedef void password_done_fn(void *context, bool is_right, struct span new_hash, struct span scram);

struct password_pool *password_pool_new(struct loop *l, unsigned threads);
/* True if a thread has nothing to do. */
bool password_pool_is_free(const struct password_pool *p);
/* Compares with the hash (wire/password_hash.h); an empty hash is one that nothing matches, in the same time. wants_scram: makes
 * keys of the password if it is right. `done` is called later, in the loop's thread. Only while a thread is free. */
void password_check(struct password_pool *p, struct span hash, struct span password, bool wants_scram, password_done_fn *done, void *context);

#endif
