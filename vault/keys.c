/* Loading keys, and signing handshakes with them. */
#include "vault/keys.h"

#include "base/tls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MOST = 65536 }; /* of certificate_answer.chain */

void keys_take_file(struct vault_process *v, enum key_file which, int fd, int fault)
{
	if (v->files[which].is_open)
		close(v->files[which].fd);
	v->files[which] = (struct key_file_taken){.is_open = fd >= 0, .fd = fd, .fault = fault};
}

int keys_read_file(struct vault_process *v, enum key_file which, const char *path, size_t bytes_most, struct buf *out, struct error *why)
{
	struct key_file_taken file = v->files[which];
	struct stat status;
	ssize_t n = -1;
	if (!file.is_open)
		return error_set(why, file.fault, "cannot open %s: %s", path, strerror(file.fault));
	v->files[which] = (struct key_file_taken){.fault = EBADF};
	bool is_file = fstat(file.fd, &status) == 0 && S_ISREG(status.st_mode);
	size_t room = is_file && status.st_size >= 0 && (size_t)status.st_size < bytes_most ? (size_t)status.st_size + 1 : bytes_most + 1;
	buf_reserve(out, room);
	while (is_file && (n = read(file.fd, out->ptr + out->len, room - out->len)) > 0)
		out->len += (size_t)n;
	int code = errno;
	close(file.fd);
	if (!is_file)
		return error_set(why, 0, "%s is not a file", path);
	if (n < 0)
		return error_set(why, code, "cannot read %s: %s", path, strerror(code));
	return out->len < room ? 0 : error_set(why, 0, "%s has more than %zu bytes, or grows", path, bytes_most);
}

static EVP_PKEY *read_key(struct vault_process *v, const struct config *config, struct error *why)
{
	BUF_AUTO pem = {0};
	struct error reason;
	EVP_PKEY *key = NULL;
	if (keys_read_file(v, KEY_FILE_KEY, config->tls_key, FILE_BYTES_MOST, &pem, why) == 0) {
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
	int bad = keys_read_file(v, KEY_FILE_CERTIFICATE, config->tls_certificate, FILE_BYTES_MOST, &chain, key ? why : NULL);
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
	channel_send(e->channel, sign_answer, .id = m->id, .is_signed = is_signed, .signature = is_signed ? buf_span(&signature) : SPAN(""));
}

void keys_certificate(struct edge_peer *e, const struct msg_certificate_ask *m)
{
	const struct vault_process *v = e->vault;
	channel_send(e->channel, certificate_answer, .id = m->id, .slot = (uint8_t)v->current,
	             .chain = buf_span(&v->identities[v->current].chain));
}
