/* TLS 1.2 and 1.3 contexts. A server's private key is elsewhere (in another process): signing is asked for and waited for
 * without blocking, through a small OpenSSL provider that is called "remote" here. */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include "base/buf.h"
#include "base/error.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* What is signed with; the numbers travel between processes. */
enum tls_scheme {
	TLS_SCHEME_NONE,
	TLS_ECDSA_SHA256, TLS_ECDSA_SHA384, TLS_ECDSA_SHA512,
	TLS_RSA_PSS_SHA256, TLS_RSA_PSS_SHA384, TLS_RSA_PKCS1_SHA256, TLS_RSA_PKCS1_SHA384,
	TLS_ED25519,
};

/* One signature that is waited for. The asker fills `bytes`, sets is_done, and calls `resume`. */
struct tls_signature {
	bool is_done, is_signed;
	struct buf bytes;
	void (*resume)(void *context);
	void *context;
};

/* Asks for the signature of `text`; answers at any later time. -1: it cannot even be asked. */
typedef int tls_ask_signature_fn(void *context, enum tls_scheme scheme, struct span text, struct tls_signature *pending);

/* To be called once in a process, before its sandbox closes: loads what OpenSSL would load late. */
void tls_library_start(void);
/* Who is asked for signatures in this process. */
void tls_set_signer(tls_ask_signature_fn *ask, void *context);

/* A context for servers with the certificate chain (PEM) and no key. Where client_authorities (PEM) has certificates, clients are asked for
 * one of theirs; any that they show, or none, is taken, and judged elsewhere: stream_client_handshake. NULL with *why. */
struct ssl_ctx_st *tls_server_context(struct span chain_pem, struct span client_authorities, struct error *why);
/* What a server's certificate must match: TLSA records of DANE-TA and DANE-EE, as on the wire (RFC 6698 §2.1); without any, one of the
 * authorities that the context believes must have signed it. */
struct tls_proof {
	const char *name;       /* what an authority or DANE-TA must have signed for; of DANE, the TLSA base domain; sent as SNI */
	const char *other_name; /* or this; NULL: nothing else (RFC 7672 §3.2.2) */
	const struct span *records;
	size_t record_count;
	bool is_by_list;        /* of a name: one that the certificate lists, not its subject's (RFC 8461 §4.2) */
	bool is_advisory;       /* of a name: the handshake goes on without it, and stream_distrust says what is wrong */
};

/* A context for clients: opportunistic, the certificate is judged by a struct tls_proof or not at all (RFC 7435). authorities: the file
 * with the certificates that are believed, in PEM form, read now; one that cannot be read is said in *why with the context returned all the
 * same, that believes none. NULL with *why. */
struct ssl_ctx_st *tls_client_context(const char *authorities, struct error *why);
/* Makes another context for clients, a library's, believe the authorities of `client` and none else, and demand that a server proves to be
 * `name` by a DNS name that its certificate lists (RFC 6125: neither by its subject, nor by part of a label). -1 if OpenSSL fails. */
int tls_context_demand(struct ssl_ctx_st *context, struct ssl_ctx_st *client, const char *name);
void tls_context_free(struct ssl_ctx_st *context);

/* What a PEM text holds, to be freed with OpenSSL. The key is one without a passphrase: nobody is there to type it. NULL
 * with *why. */
struct evp_pkey_st *tls_read_key(struct span pem, struct error *why);
/* The first certificate of a chain. */
struct x509_st *tls_read_certificate(struct span pem, struct error *why);

/* The signer's side: signs `text` as the scheme says with a key in memory. -1 with *why. */
struct evp_pkey_st;
int tls_sign(struct evp_pkey_st *key, enum tls_scheme scheme, struct span text, struct buf *signature, struct error *why);

/* The last OpenSSL error as text for a log; clears the queue. */
void tls_error_text(char *out, size_t size);

#endif
