/* The messages of a TLS handshake in which a client shows a certificate, kept for who judges that (wire/tls_handshake.h). They live with the
 * session. */
#ifndef BASE_TLS_RECORD_H
#define BASE_TLS_RECORD_H

#include "base/span.h"

struct ssl_st; /* OpenSSL's SSL */

/* Begins, if the session is a server's that asks clients for certificates. */
void tls_record_begin(struct ssl_st *ssl);
/* The handshake is done: they are kept if the client has shown a certificate now, by TLS 1.3. */
void tls_record_end(struct ssl_st *ssl);
/* Empty where nothing is kept. */
struct span tls_record_messages(const struct ssl_st *ssl);

#endif
