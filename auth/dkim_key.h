/* The key of a signature: asked for in the DNS (RFC 6376 §3.6.2), and what it has signed. */
#ifndef AUTH_DKIM_KEY_H
#define AUTH_DKIM_KEY_H

#include "auth/dkim_bodies.h"
#include "auth/dns.h"
#include "auth/outcome.h"
#include "base/loop.h"

/* Zeroed; ends with dkim_key_free. */
struct dkim_key_question {
	struct dns_client *dns;
	struct dns_question *question;
	struct arena *memory;      /* of the key; it outlives this */
	struct dkim_key key;
	bool has_signed;           /* what it was last asked about, also where it may not sign mail */
	EVP_PKEY *loaded;          /* once it was needed: several signatures may have one key, and reading it takes longer than using it */
	enum auth_outcome outcome; /* none: no answer yet; pass: the key is there; temperror or permerror: it is not, for this reason */
	char reason[160];
	loop_fn *done;
	void *context;
};

/* Calls done(context) later; or returns false, and *q says why there is no such key. */
bool dkim_key_ask(struct dkim_key_question *q, struct dns_client *dns, struct span domain, struct span selector, struct arena *memory,
                  loop_fn *done, void *context);
/* At any time; done is not called any more. */
void dkim_key_free(struct dkim_key_question *q);

/* Has this key, which is there, signed what has this SHA-256? Pass; fail; or permerror: the key is not one for that (RFC 8301 §3.2). *reason:
 * of the latter two. */
enum auth_outcome dkim_key_verify(struct dkim_key_question *q, const struct dkim_signature *s, const unsigned char digest[DKIM_DIGEST_BYTES],
                                  const char **reason);

/* What can be said of a signature that covers a message without its key: none, or why it proves nothing. */
enum auth_outcome dkim_signature_look(const struct dkim_signature *s, int64_t now_s, const char **reason);
/* Does it cover all of this body, and is it that body? Pass; or what it is, and *reason. */
enum auth_outcome dkim_signature_covers(const struct dkim_signature *s, const struct dkim_bodies *bodies, const char **reason);

#endif
