/* Hashes. */
#include "vault/hash.h"

#include "wire/password_hash.h"

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* What a password is compared with when there is no such user: made by crypt(5) from a password that nobody has. */
static const char nobody[] = "$y$j9T$0000000000000000000000$0000000000000000000000000000000000000000000";

static bool crypt_matches(const char *hash, const char *password, struct hash_memory *memory)
{
	const char *made = crypt_ra(password, hash, &memory->crypt, &memory->size);
	size_t len = strlen(hash);
	return made && strlen(made) == len && CRYPTO_memcmp(made, hash, len) == 0;
}

static bool digest_matches(const struct password_hash *h, const char *password)
{
	const EVP_MD *kind = h->scheme == PASSWORD_SHA1 ? EVP_sha1() : h->scheme == PASSWORD_SHA256 ? EVP_sha256() : EVP_sha512();
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool is_made = context && EVP_DigestInit_ex(context, kind, NULL) == 1 && EVP_DigestUpdate(context, password, strlen(password)) == 1 &&
	               EVP_DigestUpdate(context, h->salt, h->salt_len) == 1 && EVP_DigestFinal_ex(context, made, &len) == 1;
	EVP_MD_CTX_free(context);
	return is_made && len == h->digest_len && CRYPTO_memcmp(made, h->digest, len) == 0;
}

bool hash_matches(struct span hash, const char *password, bool *is_ours, struct hash_memory *memory)
{
	struct password_hash h;
	char text[PASSWORD_HASH_BYTES_MOST + 1];
	*is_ours = true;
	if (password_hash_parse(hash, &h, NULL) || h.scheme == PASSWORD_PLAIN) {
		crypt_matches(nobody, password, memory);
		return false;
	}
	*is_ours = h.scheme == PASSWORD_YESCRYPT;
	if (h.text.len)
		memcpy(text, h.text.ptr, h.text.len);
	text[h.text.len] = 0;
	switch (h.scheme) {
	case PASSWORD_YESCRYPT: case PASSWORD_CRYPT: return crypt_matches(text, password, memory);
	case PASSWORD_ARGON2I: return argon2i_verify(text, password, strlen(password)) == ARGON2_OK;
	case PASSWORD_ARGON2ID: return argon2id_verify(text, password, strlen(password)) == ARGON2_OK;
	case PASSWORD_SHA1: case PASSWORD_SHA256: case PASSWORD_SHA512: return digest_matches(&h, password);
	case PASSWORD_PLAIN: break;
	}
	return false;
}

int hash_make(const char *password, struct buf *out)
{
	char *salt = crypt_gensalt_ra("$y$", 0, NULL, 0);
	void *memory = NULL;
	int size = 0;
	const char *hash = salt ? crypt_ra(password, salt, &memory, &size) : NULL;
	if (hash)
		buf_add_cstr(out, hash);
	free(salt);
	free(memory);
	return hash ? 0 : -1;
}
