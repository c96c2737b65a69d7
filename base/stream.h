/* A stream of bytes to one peer, plain or TLS, with buffers on both sides and back-pressure. Nobody here knows a protocol.
 *
 * TLS runs over memory BIOs on a plain bufferevent, because bufferevent_openssl ends a handshake whose signature comes
 * from elsewhere. A stream reads no more than STREAM_INPUT_MOST ahead of its owner. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/loop.h"
#include "base/tls.h"

enum { STREAM_INPUT_MOST = 128 * 1024 };

struct stream;

struct stream_events {
	void (*readable)(void *context); /* there is more input than before */
	void (*drained)(void *context);  /* everything written has left this process */
	void (*secured)(void *context);  /* the TLS handshake is done */
	void (*closed)(void *context, const char *why); /* once; the owner calls stream_free then or later */
	/* Nothing was read for too long (stream_set_timeout): the owner says goodbye and calls stream_close. NULL: closed. */
	void (*silent)(void *context);
};

/* Takes over fd, a connected non-blocking socket. Reading is on from the start. */
struct stream *stream_new(struct loop *l, int fd, const struct stream_events *events, void *context);
/* Closes at once; what is unsent is dropped. May be called inside an event. */
void stream_free(struct stream *s);

/* The input that is there, as one range; valid until the next call on this stream. `most` bounds what is made contiguous. */
struct span stream_peek(struct stream *s, size_t most);
size_t stream_input_length(const struct stream *s);
void stream_consume(struct stream *s, size_t n);

void stream_write(struct stream *s, struct span bytes);
size_t stream_backlog(const struct stream *s);
/* No more reading from the peer (back-pressure); resuming calls `readable` again if there is input. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* After what waits is written (and TLS's close_notify), `closed` is called. No more events but that. */
void stream_close(struct stream *s);
/* `silent` or `closed` comes if nothing is read from the peer for so long, `closed` if nothing of what there is to write can be
 * written. 0: never. */
void stream_set_timeout(struct stream *s, int64_t read_ms, int64_t write_ms);

/* Becomes TLS, as server or client (with the name for SNI, or NULL; with what the server must prove, or NULL: nothing). Whatever input
 * is there is thrown away: nothing that
 * was said in the clear is heard after it (RFC 3207 §6, CVE-2011-0411). The answer to STARTTLS must be written before. */
void stream_start_tls_server(struct stream *s, struct ssl_ctx_st *context);
void stream_start_tls_client(struct stream *s, struct ssl_ctx_st *context, const char *server_name, const struct tls_proof *proof);
bool stream_is_secured(const struct stream *s);

/* Everything from here on is compressed, in both directions (RFC 4978), within TLS if there is TLS. Input that is there and not consumed
 * is taken for compressed. */
void stream_start_deflate(struct stream *s);
bool stream_is_deflated(const struct stream *s);
/* The channel binding tls-exporter (RFC 9266 §2) of this TLS session. False where there is none: it is plain, or of TLS 1.2 without the
 * extended master secret (§4.2): there, one session may have the secrets of another. */
enum { STREAM_BINDING_BYTES = 32 };
bool stream_export_binding(const struct stream *s, unsigned char out[STREAM_BINDING_BYTES]);
/* The messages of the handshake in which the peer of a server has shown a certificate, from its first ClientHello on (wire/tls_handshake.h);
 * empty where it has shown none, or not by TLS 1.3: there, what a client signs is not the whole handshake with the server's part in it. */
struct span stream_client_handshake(const struct stream *s);
/* The peer of a client has proved who it is, as its struct tls_proof wanted. */
bool stream_is_proved(const struct stream *s);
/* What is wrong with the certificate that the peer has shown, for what the struct tls_proof of a client wants of it; NULL: nothing, or it
 * has shown none. Valid also in `closed`, when that is why. */
const char *stream_distrust(const struct stream *s);
/* What kind of fault that is. */
enum stream_fault { STREAM_FAULT_NONE, STREAM_FAULT_NAME, STREAM_FAULT_EXPIRED, STREAM_FAULT_TRUST };
enum stream_fault stream_fault(const struct stream *s);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", and " DANE" or " verified" (by an authority) if the peer has proved who it is; empty if not secured. */
void stream_tls_text(const struct stream *s, char *out, size_t size);

#endif
