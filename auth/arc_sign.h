/* New sets for a chain (RFC 8617 §5.1): what they cover, in filter, which has the message; and the signatures, in vault, which has the
 * key.
 *
 * Vault makes the three fields itself. Each signature ends with the field that it stands in, so that it is of use nowhere else. */
#ifndef AUTH_ARC_SIGN_H
#define AUTH_ARC_SIGN_H

#include "auth/dkim_sign.h"
#include "wire/arc.h"

enum {
	ARC_RESULTS_BYTES_MOST = 16384,
	ARC_SETS_BYTES_MOST = 262144, /* of the sets before, in canonical form: a message with more leaves without a new one */
};

struct arc_request {
	unsigned instance;
	enum arc_status status;
	struct span domain, selector;         /* as in the DNS */
	struct span results;                  /* value of Authentication-Results, without its last line end */
	struct span header_names, fields;     /* as for DKIM: auth/dkim_sign.h */
	struct span body_hash;                /* SHA-256 of the relaxed body */
	struct span sets;                     /* the canonical sets before, of a chain that holds; else empty (§5.1.2) */
	uint64_t now_s;
};

/* Appends the names of the fields that an ARC-Message-Signature of this header covers: those of a DKIM-Signature, and those that have one
 * (§4.1.2). */
void arc_choose_names(const struct dkim_fields *f, struct buf *out);

/* What filter asks for, before anything is signed: hostname is who we are. -1 with *why if it is no new set of a chain. */
int arc_request_check(const struct arc_request *r, struct span hostname, struct error *why);
/* Appends the three fields, the seal first. The key is RSA. -1 if OpenSSL does not sign with it. */
int arc_sign(const struct arc_request *r, EVP_PKEY *key, struct buf *out);

#endif
