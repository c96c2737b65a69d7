/* The computing of SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): an account's keys from its password, and the proofs of both sides by them.
 *
 * The keys lie beside the password's hash, and are the weaker of the two: who steals them can try passwords at the cost of
 * SCRAM_ITERATIONS each, where one of yescrypt costs more, and memory. He cannot log in with them as they are. */
#ifndef VAULT_SCRAM_KEYS_H
#define VAULT_SCRAM_KEYS_H

#include "wire/scram.h"

enum {
	/* Twice what RFC 7677 §4 took for a tenth of a second in 2015; a client pays it at each login, a telephone too, and the
	 * server once for each password. Clients that take no more than SCRAM_ITERATIONS_MOST have room. */
	SCRAM_ITERATIONS = 30000,
	SCRAM_SALT_BYTES = 16,
};

/* Keys of the password (SASLprep is done here; a password that it refuses is taken byte for byte, since PLAIN takes it), as
 * text (wire/scram.h), appended. Slow on purpose; safe to call from any thread. */
void scram_keys_make(struct span password, struct buf *out);
/* The same with salt and iterations as they are in *k, which gets its keys. */
void scram_keys_derive(struct span password, struct scram_keys *k);
/* True if the keys are as scram_keys_make makes them now; else they are made anew when the password is seen. */
bool scram_keys_are_ours(struct span text);

/* What an account has that is not there: a salt that is the name's for ever, by a secret, and keys that nothing matches. */
void scram_keys_make_up(struct span secret, struct span name, struct scram_keys *out);

/* True if the proof is of one who has the password; in the same time whether or not. auth_message: RFC 5802 §3. */
bool scram_proof_matches(const struct scram_keys *k, struct span auth_message, const unsigned char proof[SCRAM_KEY_BYTES]);
/* ServerSignature */
void scram_sign(const struct scram_keys *k, struct span auth_message, unsigned char out[SCRAM_KEY_BYTES]);

#endif
