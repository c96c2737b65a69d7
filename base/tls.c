/* TLS contexts, and signing on the side that has the key. */
#include "base/tls.h"

#include "base/die.h"
#include "base/tls_remote_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

void tls_library_start(void)
{
	unsigned char draw[16];
	tls_remote_key_start();
	/* each of these would open a file after the sandbox has closed */
	if (!OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) ||
	    RAND_bytes(draw, sizeof draw) != 1 || RAND_priv_bytes(draw, sizeof draw) != 1)
		die("tls: OpenSSL does not start");
	SSL_CTX_free(SSL_CTX_new(TLS_method()));
}

void tls_error_text(char *out, size_t size)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	snprintf(out, size, "%s", reason ? reason : "unknown error");
	ERR_clear_error();
}

static SSL_CTX *new_context(const SSL_METHOD *method, struct error *why)
{
	SSL_CTX *context = SSL_CTX_new(method);
	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)) {
		error_set(why, 0, "OpenSSL does not make a TLS context");
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	return context;
}

/* Uses the first certificate of the chain, and the rest as its issuers. */
static int use_chain(SSL_CTX *context, struct span pem, struct error *why)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL, *issuer;
	EVP_PKEY *key = leaf ? tls_remote_key_new(X509_get0_pubkey(leaf)) : NULL;
	int result = 0;
	if (!leaf)
		result = error_set(why, 0, "there is no PEM certificate in it");
	else if (!key)
		result = error_set(why, 0, "the certificate's key is neither EC, RSA nor Ed25519");
	else if (SSL_CTX_use_certificate(context, leaf) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1) {
		char text[128];
		tls_error_text(text, sizeof text);
		result = error_set(why, 0, "OpenSSL does not take the certificate: %s", text);
	}
	while (!result && (issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		if (SSL_CTX_add0_chain_cert(context, issuer) != 1)
			X509_free(issuer);
	ERR_clear_error(); /* the end of the chain is an error to OpenSSL */
	EVP_PKEY_free(key);
	X509_free(leaf);
	BIO_free(bio);
	return result;
}

/* Whoever judges the certificate (vault) needs the handshake in which it was shown, and one that resumes a session has none: so this
 * session is not to be resumed. Called before its tickets would leave. */
static int take_any_certificate(X509_STORE_CTX *chain, void *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
	(void)context;
	SSL_set_num_tickets(ssl, 0);
	return 1;
}

/* The names of the authorities go into the CertificateRequest, so that programs offer their users the right certificates. */
static void ask_for_certificates(SSL_CTX *context, struct span authorities)
{
	BIO *bio = BIO_new_mem_buf(authorities.ptr, (int)authorities.len);
	X509 *one;
	while (bio && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		SSL_CTX_add_client_CA(context, one);
		X509_free(one);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end is an error to OpenSSL */
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context, take_any_certificate, NULL);
}

SSL_CTX *tls_server_context(struct span chain_pem, struct span client_authorities, struct error *why)
{
	SSL_CTX *context = new_context(TLS_server_method(), why);
	if (!context)
		return NULL;
	if (use_chain(context, chain_pem, why)) {
		SSL_CTX_free(context);
		return NULL;
	}
	SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"carteiro", 8);
	SSL_CTX_set_max_early_data(context, 0);
	if (client_authorities.len)
		ask_for_certificates(context, client_authorities);
	return context;
}

SSL_CTX *tls_client_context(const char *authorities, struct error *why)
{
	SSL_CTX *context = new_context(TLS_client_method(), why);
	if (!context)
		return NULL;
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	if (SSL_CTX_dane_enable(context) <= 0) {
		error_set(why, 0, "OpenSSL knows no DANE");
		SSL_CTX_free(context);
		return NULL;
	}
	if (SSL_CTX_load_verify_file(context, authorities) != 1) {
		char text[128];
		tls_error_text(text, sizeof text);
		error_set(why, 0, "cannot read authorities from %s: %s", authorities, text);
	}
	return context;
}

int tls_context_demand(SSL_CTX *context, SSL_CTX *client, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
	X509_STORE *authorities = SSL_CTX_get_cert_store(client);
	if (!X509_STORE_up_ref(authorities))
		return -1;
	SSL_CTX_set_cert_store(context, authorities);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 ? 0 : -1;
}

void tls_context_free(SSL_CTX *context)
{
	SSL_CTX_free(context);
}

/* OpenSSL's own would ask at the terminal. */
static int no_passphrase(char *out, int size, int is_writing, void *was_asked)
{
	(void)out;
	(void)size;
	(void)is_writing;
	*(bool *)was_asked = true;
	return -1;
}

EVP_PKEY *tls_read_key(struct span pem, struct error *why)
{
	bool was_asked = false;
	BIO *bio = BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &was_asked) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!key)
		error_set(why, 0, was_asked ? "the private key in it has a passphrase: `openssl pkey` writes it without one"
		                            : "there is no private key in PEM form in it");
	return key;
}

X509 *tls_read_certificate(struct span pem, struct error *why)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, &(bool){false}) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!certificate)
		error_set(why, 0, "there is no certificate in PEM form in it");
	return certificate;
}

int tls_sign(EVP_PKEY *key, enum tls_scheme scheme, struct span text, struct buf *signature, struct error *why)
{
	static const char *digest[] = {
		[TLS_ECDSA_SHA256] = "SHA256", [TLS_ECDSA_SHA384] = "SHA384", [TLS_ECDSA_SHA512] = "SHA512",
		[TLS_RSA_PSS_SHA256] = "SHA256", [TLS_RSA_PSS_SHA384] = "SHA384", [TLS_RSA_PKCS1_SHA256] = "SHA256",
		[TLS_RSA_PKCS1_SHA384] = "SHA384", [TLS_ED25519] = NULL,
	};
	if (scheme <= TLS_SCHEME_NONE || scheme > TLS_ED25519)
		return error_set(why, 0, "no such signature scheme");
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_context = NULL;
	size_t len = (size_t)EVP_PKEY_get_size(key);
	bool is_pss = scheme == TLS_RSA_PSS_SHA256 || scheme == TLS_RSA_PSS_SHA384;
	int ok = context && EVP_DigestSignInit_ex(context, &key_context, digest[scheme], NULL, NULL, key, NULL) == 1;
	if (ok && is_pss) /* RFC 8446 §4.2.3: the salt is as long as the digest */
		ok = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
	char *out = buf_reserve(signature, len);
	ok = ok && EVP_DigestSign(context, (unsigned char *)out, &len, (const unsigned char *)text.ptr, text.len) == 1;
	EVP_MD_CTX_free(context);
	if (!ok) {
		ERR_clear_error();
		return error_set(why, 0, "the key does not sign by this scheme");
	}
	signature->len += len;
	return 0;
}
