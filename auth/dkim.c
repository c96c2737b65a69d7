/* Verification: the body's hash as it comes, the keys by the DNS meanwhile, then each signature. */
#include "auth/dkim.h"

#include "auth/dkim_fields.h"
#include "base/die.h"
#include "wire/address.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	RSA_BITS_LEAST = 1024, RSA_BITS_MOST = 4096, /* RFC 8301 §3.2 */
	RSA_EXPONENT_BITS_MOST = 64,                 /* what is larger only costs time */
	KEY_BYTES_MOST = 2048,
	ED25519_BYTES = 32,
	DIGEST_BYTES = 32,
	CLOCK_SKEW_S = 3600,
};

struct one {
	struct dkim_check *check;
	struct span field;      /* the signature's own, whole */
	struct dkim_result result;
	struct dns_question *question;
	struct dkim_key key;
	bool has_key;
	char reason[160];
};

struct body {
	struct dkim_body canonical;
	EVP_MD_CTX *sha256;     /* NULL: no signature wants this form */
	uint64_t length;
	unsigned char digest[DIGEST_BYTES];
};

struct dkim_check {
	struct dns_client *dns;
	struct arena memory;
	struct dkim_fields fields;
	struct one list[DKIM_SIGNATURES_MOST];
	struct dkim_result results[DKIM_SIGNATURES_MOST];
	size_t count, waiting;
	struct body bodies[2];  /* by enum dkim_canonical */
	struct buf piece;
	bool has_ended;
	loop_fn *done;
	void *context;
};

static void conclude(struct one *o, enum auth_outcome outcome, const char *reason)
{
	snprintf(o->reason, sizeof o->reason, "%.159s", reason);
	o->result.outcome = outcome;
	o->result.reason = o->reason;
}

static bool is_open(const struct one *o)
{
	return o->result.outcome == AUTH_NONE;
}

/* ---- keys ---- */

static void take_key(struct one *o, const struct dns_answer *answer)
{
	struct error why = {0};
	if (answer->outcome == DNS_LATER) {
		snprintf(why.text, sizeof why.text, "the key cannot be had: %.*s", SPAN_ARG(span_slice(answer->text, 0, 100)));
		conclude(o, AUTH_TEMPERROR, why.text);
		return;
	}
	/* §3.6.2.2: of several records the result is undefined; the first that is a key is taken, as others do */
	snprintf(why.text, sizeof why.text, "no key for signature");
	for (size_t i = 0; i < answer->count && !o->has_key; i++)
		o->has_key = dkim_key_parse(answer->records[i], &o->check->memory, &o->key, &why) == 0;
	if (!o->has_key)
		conclude(o, AUTH_PERMERROR, why.text);
	else if (!o->key.key.len)
		conclude(o, AUTH_PERMERROR, "the key is revoked");
	else if (o->key.is_ed25519 != (o->result.signature.algorithm == DKIM_ED25519_SHA256))
		conclude(o, AUTH_PERMERROR, "the key is of another type");
	o->result.is_testing = o->has_key && o->key.is_testing;
}

static void verify_all(struct dkim_check *c);

static void on_key(void *context, const struct dns_answer *answer)
{
	struct one *o = context;
	o->question = NULL;
	take_key(o, answer);
	if (--o->check->waiting == 0 && o->check->has_ended)
		verify_all(o->check);
}

static void ask_key(struct one *o)
{
	char name[DKIM_SELECTOR_MOST + 256 + 16];
	const struct dkim_signature *s = &o->result.signature;
	BUF_AUTO domain = {0}, selector = {0};
	/* RFC 8616: names may be in UTF-8, the DNS has them as A-labels */
	if (domain_canonical(s->domain, &domain, NULL) || domain_canonical(s->selector, &selector, NULL)) {
		conclude(o, AUTH_PERMERROR, "d= or s= is no domain name");
		return;
	}
	int n = snprintf(name, sizeof name, "%.*s._domainkey.%.*s", SPAN_ARG(buf_span(&selector)), SPAN_ARG(buf_span(&domain)));
	o->check->waiting++;
	o->question = o->check->dns->ask(o->check->dns, DNS_TXT, span_of(name, (size_t)n < sizeof name ? (size_t)n : sizeof name - 1), on_key, o);
}

/* ---- signatures ---- */

static void read_signature(struct one *o, struct span value, int64_t now_s)
{
	struct error why = {0};
	struct dkim_signature *s = &o->result.signature;
	if (dkim_signature_parse(DKIM_SIGNATURE, value, &o->check->memory, s, &why)) {
		conclude(o, AUTH_PERMERROR, why.text);
		return;
	}
	if (s->algorithm == DKIM_RSA_SHA1)
		conclude(o, AUTH_PERMERROR, "SHA-1 proves nothing"); /* RFC 8301 §3.1 */
	else if (s->has_expiration && s->expiration_s < (uint64_t)now_s) {
		o->result.is_expired = true;
		conclude(o, AUTH_FAIL, "the signature has expired");
	} else if (s->has_time && s->time_s > (uint64_t)now_s + CLOCK_SKEW_S)
		conclude(o, AUTH_FAIL, "the signature is from the future");
}

struct dkim_check *dkim_check_new(struct dns_client *dns, struct span header, int64_t now_s)
{
	struct dkim_check *c = xcalloc(1, sizeof *c);
	c->dns = dns;
	dkim_fields_read(&c->fields, header);
	for (size_t i = 0; i < c->fields.count && c->count < DKIM_SIGNATURES_MOST; i++) {
		struct dkim_field *f = &c->fields.list[i];
		if (!span_equal_nocase(f->name, SPAN("DKIM-Signature")))
			continue;
		struct one *o = &c->list[c->count++];
		*o = (struct one){.check = c, .field = f->whole};
		ssize_t colon = span_chr(f->whole, ':');
		read_signature(o, span_skip(f->whole, (size_t)(colon + 1)), now_s);
		if (!is_open(o))
			continue;
		struct body *b = &c->bodies[o->result.signature.body];
		b->canonical.form = o->result.signature.body;
		if (!b->sha256 && (!(b->sha256 = EVP_MD_CTX_new()) || EVP_DigestInit_ex(b->sha256, EVP_sha256(), NULL) != 1))
			die("auth: no SHA-256");
		ask_key(o);
	}
	return c;
}

static void hash_piece(struct dkim_check *c, struct body *b)
{
	EVP_DigestUpdate(b->sha256, c->piece.ptr, c->piece.len);
	b->length += c->piece.len;
	buf_clear(&c->piece);
}

void dkim_check_body(struct dkim_check *c, struct span piece)
{
	for (size_t i = 0; i < 2; i++) {
		if (!c->bodies[i].sha256)
			continue;
		dkim_body_feed(&c->bodies[i].canonical, piece, &c->piece);
		hash_piece(c, &c->bodies[i]);
	}
}

/* ---- verifying ---- */

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

static EVP_PKEY *load_key(const struct one *o, const char **fault)
{
	struct span key = o->key.key;
	*fault = "the key cannot be read";
	if (key.len > KEY_BYTES_MOST)
		return NULL;
	if (!o->key.is_ed25519)
		return load_rsa(key, fault);
	return key.len == ED25519_BYTES ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)key.ptr, key.len) : NULL;
}

static bool is_signed_by(EVP_PKEY *key, const struct one *o, struct span data)
{
	const unsigned char *bytes = (const unsigned char *)data.ptr;
	unsigned char digest[DIGEST_BYTES];
	size_t len = data.len;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool is_rsa = !o->key.is_ed25519;
	if (!is_rsa) { /* RFC 8463 §3: what is signed is the SHA-256 */
		EVP_Digest(data.ptr, data.len, digest, NULL, EVP_sha256(), NULL);
		bytes = digest;
		len = sizeof digest;
	}
	struct span signature = o->result.signature.signature;
	bool is_right = c && EVP_DigestVerifyInit(c, NULL, is_rsa ? EVP_sha256() : NULL, NULL, key) == 1 &&
	                EVP_DigestVerify(c, (const unsigned char *)signature.ptr, signature.len, bytes, len) == 1;
	EVP_MD_CTX_free(c);
	return is_right;
}

static void verify(struct one *o)
{
	struct dkim_check *c = o->check;
	const struct dkim_signature *s = &o->result.signature;
	const struct body *body = &c->bodies[s->body];
	BUF_AUTO data = {0};
	const char *fault;
	ssize_t at = span_rchr(s->identity, '@');
	if (o->key.is_strict && s->identity.len && !span_equal_nocase(span_skip(s->identity, (size_t)(at + 1)), s->domain)) {
		conclude(o, AUTH_PERMERROR, "the key allows no subdomain in i=");
		return;
	}
	if (s->has_length && s->length > body->length) {
		conclude(o, AUTH_PERMERROR, "l= is longer than the body");
		return;
	}
	if (s->has_length && s->length < body->length) {
		conclude(o, AUTH_POLICY, "the end of the body is not signed");
		return;
	}
	if (s->body_hash.len != DIGEST_BYTES || CRYPTO_memcmp(s->body_hash.ptr, body->digest, DIGEST_BYTES)) {
		conclude(o, AUTH_FAIL, "the body has changed");
		return;
	}
	EVP_PKEY *key = load_key(o, &fault);
	if (!key) {
		conclude(o, AUTH_PERMERROR, fault);
		return;
	}
	dkim_fields_signed(&c->fields, s->header, s->header_names, s->header_name_count, &data);
	dkim_field_unsigned(s->header, o->field, s->b_value, &data);
	if (is_signed_by(key, o, buf_span(&data)))
		conclude(o, AUTH_PASS, "");
	else
		conclude(o, AUTH_FAIL, "the signature does not fit the header");
	EVP_PKEY_free(key);
}

static void verify_all(struct dkim_check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (is_open(&c->list[i]))
			verify(&c->list[i]);
		c->results[i] = c->list[i].result;
	}
	c->done(c->context);
}

void dkim_check_end(struct dkim_check *c, loop_fn *done, void *context)
{
	for (size_t i = 0; i < 2; i++) {
		struct body *b = &c->bodies[i];
		if (!b->sha256)
			continue;
		dkim_body_end(&b->canonical, &c->piece);
		hash_piece(c, b);
		EVP_DigestFinal_ex(b->sha256, b->digest, NULL);
	}
	c->has_ended = true;
	c->done = done;
	c->context = context;
	if (!c->waiting)
		verify_all(c);
}

const struct dkim_result *dkim_check_results(const struct dkim_check *c, size_t *count)
{
	*count = c->count;
	return c->results;
}

void dkim_check_free(struct dkim_check *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		if (c->list[i].question)
			c->dns->cancel(c->dns, c->list[i].question);
	for (size_t i = 0; i < 2; i++)
		EVP_MD_CTX_free(c->bodies[i].sha256);
	buf_free(&c->piece);
	dkim_fields_free(&c->fields);
	arena_free(&c->memory);
	free(c);
}
