#include "vault/external.h"

#include "base/clock.h"
#include "base/die.h"
#include "vault/client_proof.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
	FILE_BYTES_MOST = 65536,         /* of certificate_answer.client_authorities */
	HANDSHAKES_MOST = 16384,         /* that are remembered */
	HANDSHAKE_MS = 15 * 60 * 1000,   /* that a client may take to log in, or to log in anew */
	NAME_BYTES_MOST = 512,           /* of account_ask.name */
};

struct signed_handshake {
	struct digest digest;
	uint32_t incarnation; /* of the edge */
	int64_t at_ms; /* or when it was used last; 0: an empty place */
};

struct external {
	X509_STORE *authorities; /* NULL: no client is asked for a certificate */
	struct buf pem;
	struct signed_handshake signed_ones[HANDSHAKES_MOST]; /* a ring */
	size_t next;
};

static struct external *state_of(struct vault_process *v)
{
	if (!v->external)
		v->external = xcalloc(1, sizeof *v->external);
	return v->external;
}

/* ---- the authorities ---- */

/* Certificates, and lists of those that are revoked (CRLs): where there are any, each authority that signs for clients must have one. */
static X509_STORE *read_authorities(struct span pem, struct error *why)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
	STACK_OF(X509_INFO) *all = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
	X509_STORE *store = X509_STORE_new();
	int certificates = 0, lists = 0;
	if (!store)
		die("vault: OpenSSL makes no store of certificates");
	for (int i = 0; i < sk_X509_INFO_num(all); i++) {
		X509_INFO *info = sk_X509_INFO_value(all, i);
		certificates += info->x509 && X509_STORE_add_cert(store, info->x509) == 1;
		lists += info->crl && X509_STORE_add_crl(store, info->crl) == 1;
	}
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	BIO_free(bio);
	ERR_clear_error();
	if (lists)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	if (certificates)
		return store;
	X509_STORE_free(store);
	error_set(why, 0, "there is no certificate in PEM form in it");
	return NULL;
}

int external_load(struct vault_process *v, const struct config *config, struct error *why)
{
	struct external *x = state_of(v);
	struct buf pem = {0};
	struct error reason;
	X509_STORE *authorities = NULL;
	if (config->tls_client_authorities[0]) {
		int bad = key_file_read(&v->files[KEY_FILE_CLIENT_AUTHORITIES], config->tls_client_authorities, FILE_BYTES_MOST, &pem, why);
		authorities = bad ? NULL : read_authorities(buf_span(&pem), &reason);
		if (!bad && !authorities)
			error_set(why, 0, "%s: %s", config->tls_client_authorities, reason.text);
		if (!authorities) {
			buf_free(&pem);
			return -1;
		}
	}
	X509_STORE_free(x->authorities);
	buf_free(&x->pem);
	x->authorities = authorities;
	x->pem = pem;
	return 0;
}

struct span external_authorities(const struct vault_process *v)
{
	return v->external ? buf_span(&v->external->pem) : SPAN("");
}

/* ---- handshakes that were signed here ---- */

static struct digest digest_of(const struct vault_process *v, struct span text)
{
	return digest_make(v->secret, &text, 1);
}

void external_signed(struct edge_peer *e, struct span text)
{
	struct external *x = e->vault->external;
	if (!x || !x->authorities)
		return;
	x->signed_ones[x->next] = (struct signed_handshake){digest_of(e->vault, text), e->incarnation, clock_monotonic_ms()};
	x->next = (x->next + 1) % HANDSHAKES_MOST;
}

static struct signed_handshake *find_signed(struct edge_peer *e, const struct digest *digest)
{
	struct external *x = e->vault->external;
	for (size_t i = 1; i <= HANDSHAKES_MOST; i++) { /* the newest first */
		struct signed_handshake *h = &x->signed_ones[(x->next + HANDSHAKES_MOST - i) % HANDSHAKES_MOST];
		if (h->at_ms && h->incarnation == e->incarnation && memcmp(&h->digest, digest, sizeof *digest) == 0)
			return clock_monotonic_ms() - h->at_ms < HANDSHAKE_MS ? h : NULL;
	}
	return NULL;
}

void external_used(struct edge_peer *e, const struct digest *handshake)
{
	struct signed_handshake *h = find_signed(e, handshake);
	if (h)
		h->at_ms = clock_monotonic_ms();
}

/* ---- the proof ---- */

static int is_trusted(const struct external *x, STACK_OF(X509) *chain, struct error *why)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int result;
	if (!context || X509_STORE_CTX_init(context, x->authorities, sk_X509_value(chain, 0), chain) != 1 ||
	    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) != 1)
		result = error_set(why, 0, "OpenSSL looks at no certificate");
	else if (X509_verify_cert(context) == 1)
		result = 0;
	else
		result = error_set(why, 0, "the certificate: %s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
	X509_STORE_CTX_free(context);
	ERR_clear_error();
	return result;
}

/* The certificate's rfc822Name (RFC 5280 §4.2.1.6), appended; of several the one that the client wants to be, else the first. */
static int add_name(const X509 *certificate, struct span authzid, struct buf *out, struct error *why)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_EMAIL)
			continue;
		struct span text = span_of(ASN1_STRING_get0_data(name->d.rfc822Name), (size_t)ASN1_STRING_length(name->d.rfc822Name));
		bool is_wanted = span_equal_nocase(text, authzid);
		if (!text.len || text.len > NAME_BYTES_MOST || span_chr(text, 0) >= 0 || (out->len && !is_wanted))
			continue;
		buf_clear(out);
		buf_add(out, text);
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return out->len ? 0 : error_set(why, 0, "the certificate has no rfc822Name");
}

static enum login_outcome prove(struct edge_peer *e, const struct msg_external_ask *m, struct digest *handshake, struct buf *name, struct error *why)
{
	struct external *x = e->vault->external;
	BUF_AUTO server_text = {0};
	STACK_OF(X509) *chain;
	if (!x || !x->authorities) {
		error_set(why, 0, "no client is asked for a certificate any more");
		return LOGIN_LATER;
	}
	if (client_proof_check(m->handshake, &server_text, &chain, why))
		return LOGIN_REFUSED;
	*handshake = digest_of(e->vault, buf_span(&server_text));
	enum login_outcome outcome = LOGIN_OK;
	if (!find_signed(e, handshake)) {
		error_set(why, 0, "the handshake was not made here within the last minutes: it helps to connect again");
		outcome = LOGIN_LATER;
	} else if (is_trusted(x, chain, why) || add_name(sk_X509_value(chain, 0), m->authzid, name, why)) {
		outcome = LOGIN_REFUSED;
	}
	sk_X509_pop_free(chain, X509_free);
	return outcome;
}

void external_asked(struct edge_peer *e, const struct msg_external_ask *m)
{
	struct vault_process *v = e->vault;
	BUF_AUTO name = {0};
	struct digest handshake = {0};
	struct error why = {0};
	enum login_outcome outcome = prove(e, m, &handshake, &name, &why);
	struct login *l = login_new(e, m->id, m->session, buf_span(&name), m->authzid, m->client_address, m->protocol);
	l->is_external = true;
	l->handshake = handshake;
	if (outcome == LOGIN_OK) {
		login_ask_account(l);
		return;
	}
	l->guesser = throttle_guesser(v->throttle, m->client_address, buf_span(&name));
	map_put(&v->logins, l->number, l);
	login_end(l, outcome, why.text);
}
