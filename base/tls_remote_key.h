/* The provider behind base/tls.h: keys whose private half is in another process. */
#ifndef BASE_TLS_REMOTE_KEY_H
#define BASE_TLS_REMOTE_KEY_H

#include "base/tls.h"

#include <openssl/evp.h>

/* The handshake that is being driven now, so that the provider knows whom to wake. Set around each call of OpenSSL that
 * may sign; NULL otherwise. */
void tls_set_current(struct tls_signature *pending);

/* Makes the provider known to OpenSSL; once in a process. */
void tls_remote_key_start(void);

/* A key that has the public half of `public_key` and signs elsewhere. NULL if OpenSSL will not have it. */
EVP_PKEY *tls_remote_key_new(EVP_PKEY *public_key);

#endif
