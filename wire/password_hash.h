/* Hashes of passwords as text: as crypt(5) writes them, and as Dovecot does with a {SCHEME} in front (RFC 2307 §5.3 began
 * that). What is not taken here is checked nowhere.
 *
 * A check must neither take the machine's memory nor its time, whatever an import says: costs are bounded. */
#ifndef WIRE_PASSWORD_HASH_H
#define WIRE_PASSWORD_HASH_H

#include "base/error.h"
#include "base/span.h"

enum password_scheme {
	PASSWORD_YESCRYPT, /* what this server makes itself */
	PASSWORD_CRYPT,    /* the others of crypt(3): bcrypt, sha512crypt, sha256crypt, md5crypt */
	PASSWORD_ARGON2I,
	PASSWORD_ARGON2ID,
	PASSWORD_SHA1,     /* a digest of the password, and of the salt behind it if there is one */
	PASSWORD_SHA256,
	PASSWORD_SHA512,
	PASSWORD_PLAIN,    /* no hash: the password itself. For an import, which hashes it */
};

enum { PASSWORD_DIGEST_MOST = 64, PASSWORD_SALT_MOST = 64, PASSWORD_HASH_BYTES_MOST = 500 };

struct password_hash {
	enum password_scheme scheme;
	struct span text; /* of crypt(3) and Argon2: without the scheme in front; of PLAIN: the password. Points into what was parsed */
	unsigned char digest[PASSWORD_DIGEST_MOST], salt[PASSWORD_SALT_MOST]; /* of the SHA ones */
	size_t digest_len, salt_len;
};

/* -1 with *why, which never has a part of the hash in it. */
int password_hash_parse(struct span text, struct password_hash *out, struct error *why);

#endif
