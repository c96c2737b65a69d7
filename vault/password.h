/* Checking passwords: on a bounded pool of threads, since yescrypt is slow on purpose, with a short-lived memory of checks
 * that succeeded, keyed by a hash that only this process can make. */
#ifndef VAULT_PASSWORD_H
#define VAULT_PASSWORD_H

#include "base/loop.h"
#include "base/span.h"

enum { PASSWORD_WAITING_MOST = 2000, PASSWORD_BYTES_MOST = 512 };

struct password_pool;

typedef void password_done_fn(void *context, bool is_right);

struct password_pool *password_pool_new(struct loop *l, unsigned threads);

/* Compares with the hash as crypt(5) writes it; an empty hash is one that nothing matches, in the same time. Calls done in
 * the loop's thread, maybe before it returns. -1: too many wait; done is not called. */
int password_check(struct password_pool *p, struct span hash, struct span password, password_done_fn *done, void *context);

#endif
