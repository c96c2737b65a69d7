#include "auth/dkim_key.h"

#include "wire/address.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

enum {
	RSA_BITS_LEAST = 1024, RSA_BITS_MOST = 4096, /* RFC 8301 §3.2 */
	RSA_EXPONENT_BITS_MOST = 64,                 /* what is larger only costs time */
	KEY_BYTES_MOST = 2048,
	ED25519_BYTES = 32,
	CLOCK_SKEW_S = 3600,
};

static void conclude(struct dkim_key_question *q, enum auth_outcome outcome, const char *reason)
{
	snprintf(q->reason, sizeof q->reason, "%.159s", reason);
	q->outcome = outcome;
}

static void on_answer(void *context, const struct dns_answer *answer)
{
	struct dkim_key_question *q = context;
	struct error why = {0};
	bool has_key = false;
	q->question = NULL;
	/* §3.6.2.2: of several records the result is undefined; the first that is a key is taken, as others do */
	snprintf(why.text, sizeof why.text, "no key for signature");
	for (size_t i = 0; answer->outcome != DNS_LATER && i < answer->count && !has_key; i++)
		has_key = dkim_key_parse(answer->records[i], q->memory, &q->key, &why) == 0;
	if (answer->outcome == DNS_LATER) {
		snprintf(why.text, sizeof why.text, "the key cannot be had: %.*s", SPAN_ARG(span_slice(answer->text, 0, 100)));
		conclude(q, AUTH_TEMPERROR, why.text);
	} else if (!has_key)
		conclude(q, AUTH_PERMERROR, why.text);
	else if (!q->key.key.len)
		conclude(q, AUTH_PERMERROR, "the key is revoked");
	else
		conclude(q, AUTH_PASS, "");
	q->done(q->context);
}

bool dkim_key_ask(struct dkim_key_question *q, struct dns_client *dns, struct span domain, struct span selector, struct arena *memory,
                  loop_fn *done, void *context)
{
	char name[DKIM_SELECTOR_MOST + 256 + 16];
	BUF_AUTO d = {0}, s = {0};
	*q = (struct dkim_key_question){.dns = dns, .memory = memory, .done = done, .context = context};
	/* RFC 8616: names may be in UTF-8, the DNS has them as A-labels */
	if (domain_canonical(domain, &d, NULL) || domain_canonical(selector, &s, NULL)) {
		conclude(q, AUTH_PERMERROR, "d= or s= is no domain name");
		return false;
	}
	int n = snprintf(name, sizeof name, "%.*s._domainkey.%.*s", SPAN_ARG(buf_span(&s)), SPAN_ARG(buf_span(&d)));
	q->question = dns->ask(dns, DNS_TXT, span_of(name, (size_t)n < sizeof name ? (size_t)n : sizeof name - 1), on_answer, q);
	return true;
}

void dkim_key_free(struct dkim_key_question *q)
{
	if (q->question)
		q->dns->cancel(q->dns, q->question);
	q->question = NULL;
	EVP_PKEY_free(q->loaded);
	q->loaded = NULL;
}

/* ---- what it has signed ---- */

static EVP_PKEY *load_rsa(struct span key, const char **fault)
{
	const unsigned char *at = (const unsigned char *)key.ptr;
	EVP_PKEY *k = d2i_PUBKEY(NULL, &at, (long)key.len);
	BIGNUM *e = NULL;
	if (!k) { /* §3.6.1 says RSAPublicKey, and means SubjectPublicKeyInfo; both are seen */
		at = (const unsigned char *)key.ptr;
		k = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)key.len);
	}
	*fault = "the key cannot be read";
	if (!k || EVP_PKEY_get_base_id(k) != EVP_PKEY_RSA)
		goto refused;
	*fault = "the RSA key has not 1024 to 4096 bits";
	if (EVP_PKEY_get_bits(k) < RSA_BITS_LEAST || EVP_PKEY_get_bits(k) > RSA_BITS_MOST)
		goto refused;
	*fault = "the RSA key's exponent is not fit for use";
	if (EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_E, &e) != 1 || !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > RSA_EXPONENT_BITS_MOST)
		goto refused;
	BN_free(e);
	return k;
refused:
	BN_free(e);
	EVP_PKEY_free(k);
	return NULL;
}

static EVP_PKEY *load(const struct dkim_key *key, const char **fault)
{
	*fault = "the key cannot be read";
	if (key->key.len > KEY_BYTES_MOST)
		return NULL;
	if (!key->is_ed25519)
		return load_rsa(key->key, fault);
	return key->key.len == ED25519_BYTES ?
	       EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)key->key.ptr, key->key.len) : NULL;
}

/* RFC 8463 §3: what is signed is the SHA-256 */
static bool is_signed_by_ed25519(EVP_PKEY *key, struct span signature, const unsigned char *digest)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool is_right = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
	                EVP_DigestVerify(c, (const unsigned char *)signature.ptr, signature.len, digest, DKIM_DIGEST_BYTES) == 1;
	EVP_MD_CTX_free(c);
	return is_right;
}

static bool is_signed_by_rsa(EVP_PKEY *key, struct span signature, const unsigned char *digest)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool is_right = c && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
	                EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
	                EVP_PKEY_verify(c, (const unsigned char *)signature.ptr, signature.len, digest, DKIM_DIGEST_BYTES) == 1;
	EVP_PKEY_CTX_free(c);
	return is_right;
}

enum auth_outcome dkim_key_verify(struct dkim_key_question *q, const struct dkim_signature *s, const unsigned char digest[DKIM_DIGEST_BYTES],
                                  const char **reason)
{
	bool is_ed25519 = q->key.is_ed25519;
	*reason = "the key is of another type";
	if (is_ed25519 != (s->algorithm == DKIM_ED25519_SHA256))
		return AUTH_PERMERROR;
	if (!q->loaded && !(q->loaded = load(&q->key, reason)))
		return AUTH_PERMERROR;
	bool is_right = is_ed25519 ? is_signed_by_ed25519(q->loaded, s->signature, digest) : is_signed_by_rsa(q->loaded, s->signature, digest);
	q->has_signed = is_right;
	if (is_right && q->key.is_for_reports) {
		*reason = "the key is not for mail";
		return AUTH_PERMERROR;
	}
	*reason = is_right ? "" : "the signature does not fit the header";
	return is_right ? AUTH_PASS : AUTH_FAIL;
}

/* ---- what it is a signature of ---- */

enum auth_outcome dkim_signature_look(const struct dkim_signature *s, int64_t now_s, const char **reason)
{
	*reason = "SHA-1 proves nothing"; /* RFC 8301 §3.1 */
	if (s->algorithm == DKIM_RSA_SHA1)
		return AUTH_PERMERROR;
	*reason = "the signature has expired";
	if (s->has_expiration && s->expiration_s < (uint64_t)now_s)
		return AUTH_FAIL;
	*reason = "the signature is from the future";
	return s->has_time && s->time_s > (uint64_t)now_s + CLOCK_SKEW_S ? AUTH_FAIL : AUTH_NONE;
}

enum auth_outcome dkim_signature_covers(const struct dkim_signature *s, const struct dkim_bodies *bodies, const char **reason)
{
	const struct dkim_body_hash *body = &bodies->forms[s->body];
	*reason = "l= is longer than the body";
	if (s->has_length && s->length > body->length)
		return AUTH_PERMERROR;
	*reason = "the end of the body is not signed";
	if (s->has_length && s->length < body->length)
		return AUTH_POLICY;
	*reason = "the body has changed";
	bool is_it = s->body_hash.len == DKIM_DIGEST_BYTES && CRYPTO_memcmp(s->body_hash.ptr, body->digest, DKIM_DIGEST_BYTES) == 0;
	return is_it ? AUTH_PASS : AUTH_FAIL;
}
