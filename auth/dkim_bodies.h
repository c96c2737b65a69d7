/* The hashes of a message's body, once for all that want them: the signatures that are checked (RFC 6376 §3.7), and those that are made. */
#ifndef AUTH_DKIM_BODIES_H
#define AUTH_DKIM_BODIES_H

#include "wire/dkim.h"

#include <openssl/evp.h>

enum { DKIM_DIGEST_BYTES = 32 }; /* SHA-256 */

/* Zeroed is ready; ends with dkim_bodies_free. By enum dkim_canonical. */
struct dkim_bodies {
	struct dkim_body_hash {
		struct dkim_body canonical;
		EVP_MD_CTX *sha256;   /* NULL: nobody wants this form */
		uint64_t length;      /* of the canonical form */
		unsigned char digest[DKIM_DIGEST_BYTES]; /* after dkim_bodies_end */
	} forms[2];
	struct buf piece;
};

/* Before the body's first byte. */
void dkim_bodies_want(struct dkim_bodies *b, enum dkim_canonical form);
/* Bytes of the body, in their order. */
void dkim_bodies_feed(struct dkim_bodies *b, struct span piece);
void dkim_bodies_end(struct dkim_bodies *b);
void dkim_bodies_free(struct dkim_bodies *b);

#endif
