/* Handshakes of OpenSSL's own client and server, in which the client has a certificate: what they prove, and that nothing else does. */
#include "vault/client_proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static EVP_PKEY *key;
static X509 *certificate;

static void make_certificate(void)
{
	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"x", -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
}

static void record(int is_sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *out)
{
	(void)is_sent;
	(void)version;
	(void)ssl;
	if (type == SSL3_RT_HANDSHAKE)
		buf_add(out, span_of(bytes, len));
}

static int take_any(X509_STORE_CTX *chain, void *context)
{
	(void)chain;
	(void)context;
	return 1;
}

static SSL *side(const SSL_METHOD *method, const char *groups, const char *suite)
{
	SSL_CTX *context = SSL_CTX_new(method);
	assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(context, groups), 1);
	assert_int_equal(SSL_CTX_set_ciphersuites(context, suite), 1);
	SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_set_num_tickets(context, 0); /* they would come behind the client's Finished */
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context, take_any, NULL);
	SSL *ssl = SSL_new(context);
	SSL_CTX_free(context);
	return ssl;
}

/* The messages of a handshake as the server sees them. */
static void shake_hands(const char *client_groups, const char *suite, struct buf *messages)
{
	SSL *server = side(TLS_server_method(), "P-384", suite), *client = side(TLS_client_method(), client_groups, suite);
	BIO *one, *other;
	assert_int_equal(BIO_new_bio_pair(&one, 0, &other, 0), 1);
	SSL_set_bio(server, one, one);
	SSL_set_bio(client, other, other);
	SSL_set_msg_callback(server, record);
	SSL_set_msg_callback_arg(server, messages);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (int i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	assert_true(SSL_is_init_finished(server) && SSL_is_init_finished(client));
	SSL_free(server);
	SSL_free(client);
}

static int check(struct span messages, struct buf *server_text, struct error *why)
{
	STACK_OF(X509) *chain = NULL;
	int result = client_proof_check(messages, server_text, &chain, why);
	if (result == 0)
		assert_int_equal(X509_cmp(sk_X509_value(chain, 0), certificate), 0);
	sk_X509_pop_free(chain, X509_free);
	return result;
}

static void a_handshake_proves_the_clients_certificate(void **state)
{
	(void)state;
	static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
	/* with the second the client begins again: HelloRetryRequest */
	static const char *const groups[] = {"P-384", "X25519:P-384"};
	for (size_t i = 0; i < 6; i++) {
		BUF_AUTO messages = {0}, server_text = {0};
		struct error why = {0};
		shake_hands(groups[i / 3], suites[i % 3], &messages);
		if (check(buf_span(&messages), &server_text, &why))
			fail_msg("%s %s: %s", groups[i / 3], suites[i % 3], why.text);
		assert_int_equal(server_text.len, 64 + 34 + (i % 3 == 1 ? 48 : 32));
	}
}

/* The server signs up to its own Certificate: what is said there must be the same, or the text is another, which nobody has signed. */
static void no_other_handshake_proves_it(void **state)
{
	(void)state;
	for (size_t with_retry = 0; with_retry < 2; with_retry++) {
		BUF_AUTO messages = {0}, server_text = {0};
		shake_hands(with_retry ? "X25519:P-384" : "P-384", "TLS_AES_256_GCM_SHA384", &messages);
		assert_int_equal(check(buf_span(&messages), &server_text, NULL), 0);
		size_t end = messages.len - 4 - 48; /* the client's Finished is behind what is looked at */
		for (size_t at = 0; at < end; at += 3) {
			BUF_AUTO other = {0}, other_text = {0};
			buf_add(&other, buf_span(&messages));
			other.ptr[at] = (char)(other.ptr[at] ^ 1);
			assert_int_equal(check(buf_span(&other), &other_text, NULL), -1);
		}
		for (size_t len = 0; len < end; len += 7) {
			BUF_AUTO other_text = {0};
			assert_int_equal(check(span_slice(buf_span(&messages), 0, len), &other_text, NULL), -1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handshake_proves_the_clients_certificate),
		cmocka_unit_test(no_other_handshake_proves_it),
	};
	make_certificate();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return failed;
}
