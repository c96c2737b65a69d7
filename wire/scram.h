/* The messages of SCRAM (RFC 5802 §7) as the server reads and writes them, and the keys of an account as text (RFC 5803 §2).
 * Nothing here computes a key: that is vault/scram_keys.h. */
#ifndef WIRE_SCRAM_H
#define WIRE_SCRAM_H

#include "base/buf.h"
#include "base/error.h"

enum {
	SCRAM_MESSAGE_MOST = 2048, /* of the client's: a name of 512 bytes in its longest form, and the nonce */
	SCRAM_NONCE_MOST = 256,    /* of the client's; those that are made have 16 to 64 characters */
	SCRAM_KEY_BYTES = 32,      /* of SHA-256: RFC 7677 §3 */
	SCRAM_SALT_MOST = 64,
	SCRAM_KEYS_TEXT_MOST = 255,
	SCRAM_ITERATIONS_LEAST = 4096, /* RFC 7677 §4 */
	SCRAM_ITERATIONS_MOST = 65536, /* beyond, Cyrus SASL's client gives up */
};

/* What the client says of channel binding: its gs2-cbind-flag, RFC 5802 §6. */
enum scram_binding {
	SCRAM_BINDING_NONE,   /* "n": it knows none */
	SCRAM_BINDING_UNUSED, /* "y": it would have, but was not offered it */
	SCRAM_BINDING_USED,   /* "p": it demands the one that it names */
};

/* Spans point into the message. */
struct scram_client_first {
	enum scram_binding binding;
	struct span binding_name; /* of "p" */
	struct span gs2_header;   /* up to and with its second comma */
	struct span bare;         /* client-first-message-bare, which is what is behind that */
	struct span nonce;
};

/* Reads a client-first-message. The names are appended with their "=2C" and "=3D" undone: *user; and *authzid, empty where there is
 * none. -1 with *why where it is none, where it demands an extension ("m="), or has more than the bounds above. */
int scram_parse_client_first(struct span message, struct scram_client_first *out, struct buf *user, struct buf *authzid, struct error *why);

struct scram_client_final {
	struct span binding;       /* of "c=", in base64 */
	struct span nonce;
	struct span without_proof; /* client-final-message-without-proof */
	unsigned char proof[SCRAM_KEY_BYTES];
};

int scram_parse_client_final(struct span message, struct scram_client_final *out, struct error *why);
/* True if the "c=" of a final message is that gs2-header with that binding's data behind it (none: empty). */
bool scram_binding_is(struct span binding, struct span gs2_header, struct span data);

/* What is kept for an account in place of its password. */
struct scram_keys {
	uint32_t iterations;
	unsigned char salt[SCRAM_SALT_MOST];
	size_t salt_len;
	unsigned char stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES];
};

/* "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey", the last three in base64. -1 with *why, which has no part of them in it. */
int scram_keys_parse(struct span text, struct scram_keys *out, struct error *why);
void scram_keys_write(const struct scram_keys *k, struct buf *out);

/* Appends a server-first-message; nonce: the client's and ours behind it. */
void scram_write_server_first(struct span nonce, const struct scram_keys *k, struct buf *out);
/* Appends a server-final-message that says that we know the keys too. */
void scram_write_server_final(struct span signature, struct buf *out);

#endif
