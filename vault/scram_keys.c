/* PBKDF2, HMAC and SHA-256, as RFC 5802 §3 puts them together. */
#include "vault/scram_keys.h"

#include "base/die.h"
#include "base/random.h"
#include "wire/saslprep.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static void hmac(const unsigned char key[SCRAM_KEY_BYTES], struct span text, unsigned char out[SCRAM_KEY_BYTES])
{
	unsigned len = SCRAM_KEY_BYTES;
	if (!HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, (const unsigned char *)text.ptr, text.len, out, &len))
		die("vault: no HMAC");
}

static void hash(const unsigned char in[SCRAM_KEY_BYTES], unsigned char out[SCRAM_KEY_BYTES])
{
	if (EVP_Digest(in, SCRAM_KEY_BYTES, out, NULL, EVP_sha256(), NULL) != 1)
		die("vault: no SHA-256");
}

void scram_keys_derive(struct span password, struct scram_keys *k)
{
	struct buf prepared = {0};
	unsigned char salted[SCRAM_KEY_BYTES], client_key[SCRAM_KEY_BYTES];
	if (saslprep(password, &prepared))
		buf_add(&prepared, password);
	if (PKCS5_PBKDF2_HMAC(prepared.ptr, (int)prepared.len, k->salt, (int)k->salt_len, (int)k->iterations, EVP_sha256(), sizeof salted, salted) != 1)
		die("vault: no PBKDF2");
	hmac(salted, SPAN("Client Key"), client_key);
	hash(client_key, k->stored_key);
	hmac(salted, SPAN("Server Key"), k->server_key);
	OPENSSL_cleanse(salted, sizeof salted);
	OPENSSL_cleanse(client_key, sizeof client_key);
	OPENSSL_cleanse(prepared.ptr, prepared.cap);
	buf_free(&prepared);
}

void scram_keys_make(struct span password, struct buf *out)
{
	struct scram_keys k = {.iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT_BYTES};
	random_bytes(k.salt, SCRAM_SALT_BYTES);
	scram_keys_derive(password, &k);
	scram_keys_write(&k, out);
}

bool scram_keys_are_ours(struct span text)
{
	struct scram_keys k;
	return scram_keys_parse(text, &k, NULL) == 0 && k.iterations == SCRAM_ITERATIONS && k.salt_len == SCRAM_SALT_BYTES;
}

void scram_keys_make_up(struct span secret, struct span name, struct scram_keys *out)
{
	unsigned char digest[SCRAM_KEY_BYTES];
	if (secret.len != SCRAM_KEY_BYTES)
		die("vault: the secret of salts is not whole");
	*out = (struct scram_keys){.iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT_BYTES};
	hmac((const unsigned char *)secret.ptr, name, digest);
	memcpy(out->salt, digest, SCRAM_SALT_BYTES);
	random_bytes(out->stored_key, SCRAM_KEY_BYTES);
	random_bytes(out->server_key, SCRAM_KEY_BYTES);
}

bool scram_proof_matches(const struct scram_keys *k, struct span auth_message, const unsigned char proof[SCRAM_KEY_BYTES])
{
	unsigned char client_key[SCRAM_KEY_BYTES], stored_key[SCRAM_KEY_BYTES];
	hmac(k->stored_key, auth_message, client_key);
	for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
		client_key[i] ^= proof[i];
	hash(client_key, stored_key);
	OPENSSL_cleanse(client_key, sizeof client_key);
	return CRYPTO_memcmp(stored_key, k->stored_key, SCRAM_KEY_BYTES) == 0;
}

void scram_sign(const struct scram_keys *k, struct span auth_message, unsigned char out[SCRAM_KEY_BYTES])
{
	hmac(k->server_key, auth_message, out);
}
