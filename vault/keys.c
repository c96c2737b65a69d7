/* Loading keys, and signing handshakes with them. */
#include "vault/keys.h"

#include "base/tls.h"
#include "vault/external.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

enum { FILE_BYTES_MOST = 65536 }; /* of certificate_answer.chain */

static EVP_PKEY *read_key(struct vault_process *v, const struct config *config, struct error *why)
{
	BUF_AUTO pem = {0};
	struct error reason;
	EVP_PKEY *key = NULL;
	if (key_file_read(&v->files[KEY_FILE_KEY], config->tls_key, FILE_BYTES_MOST, &pem, why) == 0) {
		key = tls_read_key(buf_span(&pem), &reason);
		if (!key)
			error_set(why, 0, "%s: %s", config->tls_key, reason.text);
	}
	if (pem.ptr)
		OPENSSL_cleanse(pem.ptr, pem.cap);
	return key;
}

static int check_pair(const struct config *config, struct span chain, EVP_PKEY *key, struct error *why)
{
	struct error reason;
	X509 *certificate = tls_read_certificate(chain, &reason);
	if (!certificate)
		return error_set(why, 0, "%s: %s", config->tls_certificate, reason.text);
	bool fits = X509_check_private_key(certificate, key) == 1;
	X509_free(certificate);
	return fits ? 0 : error_set(why, 0, "%s is not the key of %s", config->tls_key, config->tls_certificate);
}

int keys_load(struct vault_process *v, const struct config *config, struct error *why)
{
	struct buf chain = {0};
	EVP_PKEY *key = read_key(v, config, why);
	int bad = key_file_read(&v->files[KEY_FILE_CERTIFICATE], config->tls_certificate, FILE_BYTES_MOST, &chain, key ? why : NULL);
	if (!key || bad || check_pair(config, buf_span(&chain), key, why)) {
		EVP_PKEY_free(key);
		buf_free(&chain);
		return -1;
	}
	struct identity *current = &v->identities[v->current], *next = current;
	if (current->key && !span_equal(buf_span(&chain), buf_span(&current->chain))) {
		v->current = (v->current + 1) % IDENTITIES_MOST;
		next = &v->identities[v->current];
	}
	EVP_PKEY_free(next->key);
	buf_free(&next->chain);
	*next = (struct identity){key, chain};
	return 0;
}

/* Only what a TLS server signs in a handshake: so this is no oracle for other texts under the same key. */
static bool is_handshake(struct span text)
{
	static const char tls13[] = "TLS 1.3, server CertificateVerify"; /* RFC 8446 §4.4.3; its NUL counts */
	bool is_padded = text.len > 64 + sizeof tls13;
	for (size_t i = 0; is_padded && i < 64; i++)
		is_padded = text.ptr[i] == ' ';
	if (is_padded)
		return span_equal(span_slice(text, 64, sizeof tls13), span_of(tls13, sizeof tls13));
	/* RFC 8422 §5.4: two randoms, then ServerECDHParams, which begin with named_curve (3) */
	return text.len > 64 + 4 && text.len < 64 + 300 && text.ptr[64] == 3;
}

void keys_sign(struct edge_peer *e, const struct msg_sign_ask *m)
{
	struct vault_process *v = e->vault;
	BUF_AUTO signature = {0};
	struct error why = {0};
	EVP_PKEY *key = m->slot < IDENTITIES_MOST ? v->identities[m->slot].key : NULL;
	bool is_signed = key && is_handshake(m->text) && tls_sign(key, (enum tls_scheme)m->scheme, m->text, &signature, &why) == 0;
	v->signed_count += is_signed;
	if (is_signed)
		external_signed(e, m->text);
	channel_send(e->channel, sign_answer, .id = m->id, .is_signed = is_signed, .signature = is_signed ? buf_span(&signature) : SPAN(""));
}

void keys_certificate(struct edge_peer *e, const struct msg_certificate_ask *m)
{
	const struct vault_process *v = e->vault;
	channel_send(e->channel, certificate_answer, .id = m->id, .slot = (uint8_t)v->current,
	             .chain = buf_span(&v->identities[v->current].chain),
	             .client_authorities = e->role == ROLE_EDGE_USER ? external_authorities(v) : SPAN("")); /* other servers have no accounts */
}
