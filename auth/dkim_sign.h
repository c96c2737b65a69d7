/* New signatures: which fields they cover, in filter, which has the message; and the signature, in vault, which has the key.
 *
 * Vault makes the DKIM-Signature field itself and signs what filter gave it with that field behind: so its keys sign nothing but
 * mail of their own domain. */
#ifndef AUTH_DKIM_SIGN_H
#define AUTH_DKIM_SIGN_H

#include "auth/dkim_fields.h"

#include <openssl/evp.h>

enum {
	DKIM_LIFETIME_S = 14 * 24 * 3600, /* x=: longer than any queue keeps a message, short for who replays one (attack 54) */
	DKIM_SIGNED_BYTES_MOST = 60000,   /* of the fields' canonical form: a message with more is sent without a signature */
	DKIM_NAMES_BYTES_MOST = 4000,
};

/* Appends the names of the fields that a signature of this header covers, "From:From:To...": those that a reader sees or acts on, the
 * most telling of them once more than they are there, so that no second one can be added (RFC 6376 §8.15). */
void dkim_choose_names(const struct dkim_fields *f, struct buf *out);

/* Appends the canonical form (relaxed) of what these names cover. -1 if it is more than DKIM_SIGNED_BYTES_MOST. */
int dkim_signed_fields(const struct dkim_fields *f, struct span names, struct buf *out);

struct dkim_request {
	struct span domain, selector; /* as in the DNS */
	struct span header_names, fields;
	struct span body_hash;        /* SHA-256 of the relaxed body */
	uint64_t now_s;
};

/* Appends the signature of these bytes: of their SHA-256, by RSA or Ed25519 (RFC 8463). -1 if OpenSSL does not sign with this key. */
int dkim_sign_bytes(EVP_PKEY *key, struct span data, struct buf *out);
/* Appends the DKIM-Signature field. -1 if OpenSSL does not sign with this key. */
int dkim_sign(const struct dkim_request *r, EVP_PKEY *key, struct buf *out);

#endif
