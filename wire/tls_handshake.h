/* The messages of a TLS 1.3 handshake (RFC 8446 §4) in which the client showed a certificate, as far as somebody who was no part of it
 * can find in them what proves that the client has the certificate's key. Nothing here computes: that is vault/external.h. */
#ifndef WIRE_TLS_HANDSHAKE_H
#define WIRE_TLS_HANDSHAKE_H

#include "base/buf.h"
#include "base/error.h"

enum {
	TLS_HANDSHAKE_BYTES_MOST = 65536,
	TLS_CLIENT_CHAIN_MOST = 10, /* certificates that are looked at */
	TLS_SIGNED_PADDING = 64,    /* blanks in front of what is signed: §4.4.3 */
};

/* Spans point into the messages. */
struct tls_handshake {
	uint16_t cipher_suite;       /* which has the hash of the transcript */
	struct span first_hello;     /* where a HelloRetryRequest made the client begin again (§4.4.1); else empty */
	struct span before_server;   /* all messages up to and with the server's Certificate, without first_hello */
	struct span before_client;   /* the same, up to and with the client's */
	struct span certificates;    /* of the client: for tls_handshake_next_certificate */
	uint16_t scheme;             /* of the client's CertificateVerify */
	struct span signature;
};

/* Reads the messages from the first ClientHello to the client's CertificateVerify, each with its head; what comes behind is passed over.
 * -1 with *why where they are not these in the order of §2, or the client has shown no certificate. */
int tls_handshake_read(struct span messages, struct tls_handshake *out, struct error *why);

/* Takes the next certificate (DER) off the list: 1, 0 at its end, -1 where it is broken. */
int tls_handshake_next_certificate(struct span *list, struct span *der);

#endif
