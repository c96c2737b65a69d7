#include "vault/client_proof.h"

#include "wire/tls_handshake.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* What a CertificateVerify signs: RFC 8446 §4.4.3, with the hash of the transcript by §4.4.1. */
static int add_signed_text(const struct tls_handshake *h, struct span messages, bool is_server, struct buf *out)
{
	static const char server[] = "TLS 1.3, server CertificateVerify", client[] = "TLS 1.3, client CertificateVerify"; /* their NULs count */
	const EVP_MD *kind = h->cipher_suite == 0x1302 /* TLS_AES_256_GCM_SHA384, the only one with that: §B.4 */ ? EVP_sha384() : EVP_sha256();
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool is_made = context && EVP_DigestInit_ex(context, kind, NULL) == 1;
	if (h->first_hello.len && is_made) {
		/* message_hash stands for the first ClientHello */
		is_made = EVP_Digest(h->first_hello.ptr, h->first_hello.len, hash, &len, kind, NULL) == 1;
		const unsigned char head[] = {254, 0, 0, (unsigned char)len};
		is_made = is_made && EVP_DigestUpdate(context, head, sizeof head) == 1 && EVP_DigestUpdate(context, hash, len) == 1;
	}
	is_made = is_made && EVP_DigestUpdate(context, messages.ptr, messages.len) == 1 && EVP_DigestFinal_ex(context, hash, &len) == 1;
	EVP_MD_CTX_free(context);
	for (size_t i = 0; i < TLS_SIGNED_PADDING; i++)
		buf_add_char(out, ' ');
	buf_add(out, is_server ? span_of(server, sizeof server) : span_of(client, sizeof client));
	buf_add(out, span_of(hash, len));
	return is_made ? 0 : -1;
}

/* The signature schemes of TLS 1.3: RFC 8446 §4.2.3. */
static bool is_signed(EVP_PKEY *key /* NULL: of a kind that OpenSSL does not know */, uint16_t scheme, struct span text, struct span signature)
{
	static const struct {
		uint16_t scheme;
		int type;
		const char *digest;
	} schemes[] = {
		{0x0403, EVP_PKEY_EC, "SHA256"}, {0x0503, EVP_PKEY_EC, "SHA384"}, {0x0603, EVP_PKEY_EC, "SHA512"},
		{0x0804, EVP_PKEY_RSA, "SHA256"}, {0x0805, EVP_PKEY_RSA, "SHA384"}, {0x0806, EVP_PKEY_RSA, "SHA512"},
		{0x0807, EVP_PKEY_ED25519, NULL}, {0x0808, EVP_PKEY_ED448, NULL},
	};
	for (size_t i = 0; key && i < sizeof schemes / sizeof schemes[0]; i++) {
		if (schemes[i].scheme != scheme || EVP_PKEY_get_base_id(key) != schemes[i].type)
			continue;
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		EVP_PKEY_CTX *key_context = NULL;
		bool is_right = context && EVP_DigestVerifyInit_ex(context, &key_context, schemes[i].digest, NULL, NULL, key, NULL) == 1;
		if (is_right && schemes[i].type == EVP_PKEY_RSA)
			is_right = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
			           EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
		is_right = is_right && EVP_DigestVerify(context, (const unsigned char *)signature.ptr, signature.len, (const unsigned char *)text.ptr, text.len) == 1;
		EVP_MD_CTX_free(context);
		ERR_clear_error();
		return is_right;
	}
	return false;
}

/* The chain as the client has shown it, its own first. NULL: it is broken. */
static STACK_OF(X509) *read_chain(struct span list)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct span der;
	int more = 0;
	while (sk_X509_num(chain) < TLS_CLIENT_CHAIN_MOST && (more = tls_handshake_next_certificate(&list, &der)) > 0) {
		const unsigned char *at = (const unsigned char *)der.ptr;
		X509 *one = d2i_X509(NULL, &at, (long)der.len);
		if (!one || !sk_X509_push(chain, one)) {
			X509_free(one);
			more = -1;
			break;
		}
	}
	ERR_clear_error();
	if (more >= 0 && sk_X509_num(chain) > 0)
		return chain;
	sk_X509_pop_free(chain, X509_free);
	return NULL;
}

int client_proof_check(struct span messages, struct buf *server_text, STACK_OF(X509) **out, struct error *why)
{
	struct tls_handshake h;
	BUF_AUTO client_text = {0};
	if (tls_handshake_read(messages, &h, why))
		return -1;
	if (add_signed_text(&h, h.before_server, true, server_text) || add_signed_text(&h, h.before_client, false, &client_text))
		return error_set(why, 0, "OpenSSL makes no hash");
	STACK_OF(X509) *chain = read_chain(h.certificates);
	if (!chain)
		return error_set(why, 0, "the certificate cannot be read");
	if (!is_signed(X509_get0_pubkey(sk_X509_value(chain, 0)), h.scheme, buf_span(&client_text), h.signature)) {
		sk_X509_pop_free(chain, X509_free);
		return error_set(why, 0, "the handshake is not signed by the certificate's key");
	}
	*out = chain;
	return 0;
}
