/* Plain and TLS streams on libevent's bufferevent, which reads, and writes what a socket does not take at once. */
#include "base/stream.h"

#include "base/deflate.h"
#include "base/die.h"
#include "base/tls_record.h"
#include "base/tls_remote_key.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	TLS_WRITE_BYTES = 16 * 1024, /* one record */
	TLS_PLAIN_AHEAD = 64 * 1024, /* decrypted input that waits for the owner */
	INFLATED_AHEAD = 64 * 1024,
};

static const char CLOSED_BY_PEER[] = "closed by the peer";

enum tls_state { TLS_NONE, TLS_HANDSHAKE, TLS_SECURED };

struct stream {
	struct loop *loop;
	struct bufferevent *socket;
	struct stream_events events;
	void *context;
	struct evbuffer *plain;      /* decrypted input; NULL while the stream is plain */
	struct deflate *deflate;     /* NULL while the stream is not compressed */
	struct evbuffer *inflated;
	bool has_more_inflated;      /* zlib holds some back for want of room */
	SSL *ssl;
	struct tls_signature signature;
	enum tls_state tls;
	struct later announce;       /* calls readable outside of the call that made it so */
	struct later flush;          /* writes what this turn has to say */
	bool is_paused, is_closing, is_closed;
	const char *ended;           /* why the peer's side is over, while the owner has not read all of it */
	bool is_signing;             /* a signature is waited for: the SSL must not be freed before it is there */
	bool is_in_use, is_freed;
};

static void destroy(struct stream *s)
{
	loop_later_cancel(s->loop, &s->announce);
	loop_later_cancel(s->loop, &s->flush);
	if (s->plain)
		evbuffer_free(s->plain);
	if (s->inflated)
		evbuffer_free(s->inflated);
	deflate_free(s->deflate);
	SSL_free(s->ssl);
	bufferevent_free(s->socket);
	buf_free(&s->signature.bytes);
	free(s);
}

/* Runs around everything that calls the owner, so that the owner may free the stream inside. */
static bool enter(struct stream *s)
{
	bool was_in_use = s->is_in_use;
	s->is_in_use = true;
	return was_in_use;
}

static void leave(struct stream *s, bool was_in_use)
{
	s->is_in_use = was_in_use;
	if (!was_in_use && s->is_freed && !s->is_signing)
		destroy(s);
}

static void report_closed(struct stream *s, const char *why)
{
	if (s->is_closed)
		return;
	s->is_closed = true;
	bufferevent_disable(s->socket, EV_READ | EV_WRITE);
	if (!s->is_freed && s->events.closed)
		s->events.closed(s->context, why);
}

/* As it came, or decrypted. */
static struct evbuffer *raw_input_of(const struct stream *s)
{
	return s->plain ? s->plain : bufferevent_get_input(s->socket);
}

static struct evbuffer *input_of(const struct stream *s)
{
	return s->inflated ? s->inflated : raw_input_of(s);
}

/* What a turn of the loop writes leaves at its end in one call, and without asking epoll whether it may: that would cost
 * three more system calls an answer. Only what the socket did not take waits for the bufferevent to write it. */
static void write_later(struct stream *s, const void *bytes, size_t n)
{
	evbuffer_add(bufferevent_get_output(s->socket), bytes, n);
	if (!(bufferevent_get_enabled(s->socket) & EV_WRITE))
		loop_later(s->loop, &s->flush);
}

/* Moves what OpenSSL has to say to the socket. */
static void tls_push(struct stream *s)
{
	BIO *out = SSL_get_wbio(s->ssl);
	char *data;
	long n = BIO_get_mem_data(out, &data);
	if (n <= 0)
		return;
	write_later(s, data, (size_t)n);
	BIO_reset(out);
}

/* Writes what the socket takes. */
static void flush(struct stream *s)
{
	struct evbuffer *out = bufferevent_get_output(s->socket);
	if (evbuffer_get_length(out) == 0)
		return;
	evbuffer_unfreeze(out, 1); /* a bufferevent keeps its output's front to itself */
	evbuffer_write(out, bufferevent_getfd(s->socket));
	evbuffer_freeze(out, 1);
}

static void tls_fail(struct stream *s)
{
	char reason[96], text[128];
	tls_error_text(reason, sizeof reason);
	snprintf(text, sizeof text, "TLS: %s", reason);
	tls_push(s);
	flush(s); /* the alert */
	report_closed(s, text);
}

/* Gives the ciphertext that came in to OpenSSL. */
static void tls_pull(struct stream *s)
{
	struct evbuffer *in = bufferevent_get_input(s->socket);
	BIO *bio = SSL_get_rbio(s->ssl);
	size_t n;
	while ((n = evbuffer_get_contiguous_space(in)) > 0) {
		BIO_write(bio, evbuffer_pullup(in, (ssize_t)n), (int)n);
		evbuffer_drain(in, n);
	}
}

static void tls_handshake(struct stream *s)
{
	ERR_clear_error();
	tls_set_current(&s->signature);
	int n = SSL_do_handshake(s->ssl);
	tls_set_current(NULL);
	int error = n == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, n);
	s->is_signing = error == SSL_ERROR_WANT_ASYNC;
	if (s->is_closed)
		return;
	tls_push(s);
	if (error == SSL_ERROR_NONE) {
		s->tls = TLS_SECURED;
		SSL_clear_mode(s->ssl, SSL_MODE_ASYNC);
		tls_record_end(s->ssl);
		if (!s->is_freed && s->events.secured)
			s->events.secured(s->context);
	} else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_ASYNC) {
		tls_fail(s);
	}
}

/* Decrypts as far as the owner has room. True if there is more plain input than before. */
static bool tls_read(struct stream *s)
{
	bool has_more = false;
	while (!s->is_closed && evbuffer_get_length(s->plain) < TLS_PLAIN_AHEAD) {
		char bytes[TLS_WRITE_BYTES];
		ERR_clear_error();
		int n = SSL_read(s->ssl, bytes, sizeof bytes);
		if (n > 0) {
			evbuffer_add(s->plain, bytes, (size_t)n);
			has_more = true;
			continue;
		}
		int error = SSL_get_error(s->ssl, n);
		if (error == SSL_ERROR_ZERO_RETURN)
			s->ended = CLOSED_BY_PEER; /* after what it has said before */
		else if (error != SSL_ERROR_WANT_READ)
			tls_fail(s);
		break;
	}
	tls_push(s);
	return has_more;
}

/* Inflates as far as the owner has room: a few bytes can stand for very many. True if there is more input than before. */
static bool inflate_input(struct stream *s)
{
	struct evbuffer *raw = raw_input_of(s);
	bool has_more = false;
	size_t n;
	while (((n = evbuffer_get_contiguous_space(raw)) > 0 || s->has_more_inflated) && evbuffer_get_length(s->inflated) < INFLATED_AHEAD) {
		BUF_AUTO bytes = {0};
		struct span in = n ? span_of(evbuffer_pullup(raw, (ssize_t)n), n) : SPAN("");
		int result = deflate_unpack(s->deflate, &in, INFLATED_AHEAD - evbuffer_get_length(s->inflated), &bytes);
		evbuffer_drain(raw, n - in.len);
		evbuffer_add(s->inflated, bytes.ptr, bytes.len);
		has_more |= bytes.len > 0;
		s->has_more_inflated = result > 0;
		if (result < 0) {
			report_closed(s, "what came is not compressed as RFC 4978 has it");
			break;
		}
	}
	return has_more;
}

static void announce(struct stream *s)
{
	if (!s->is_paused && !s->is_closing && !s->is_closed && !s->is_freed && s->events.readable)
		s->events.readable(s->context);
}

/* The peer will say no more. It may have closed its half only: it still gets the answers to what it said before. */
static void peer_ended(struct stream *s, const char *why)
{
	s->ended = why;
	if (s->is_paused || s->announce.is_waiting)
		return; /* the owner has not had all of it */
	s->is_closing = true;
	loop_later(s->loop, &s->flush);
}

/* `is_new`: the owner hears of it only if there is more than before. */
static void process_input(struct stream *s, bool is_new)
{
	bool has_more = true;
	if (s->tls != TLS_NONE)
		tls_pull(s);
	if (s->tls == TLS_HANDSHAKE && !s->is_signing)
		tls_handshake(s);
	if (s->tls == TLS_HANDSHAKE || s->is_closed)
		return;
	if (s->tls == TLS_SECURED)
		has_more = tls_read(s);
	if (s->deflate && !s->is_closed)
		has_more = inflate_input(s);
	if (s->is_closed)
		return;
	if ((has_more || !is_new) && evbuffer_get_length(input_of(s)))
		announce(s);
	if (s->tls == TLS_SECURED && s->ended && !s->is_closed && !s->is_freed)
		peer_ended(s, s->ended);
}

static void on_read(struct bufferevent *socket, void *context)
{
	struct stream *s = context;
	if (s->is_paused) {
		bufferevent_disable(socket, EV_READ); /* this much ahead, and no more */
		return;
	}
	bool was_in_use = enter(s);
	process_input(s, true);
	leave(s, was_in_use);
}

/* Everything written has left. */
static void written(struct stream *s)
{
	bool was_in_use = enter(s);
	if (s->is_closing)
		report_closed(s, s->ended ? s->ended : "closed");
	else if (!s->is_closed && !s->is_freed && s->tls != TLS_HANDSHAKE && s->events.drained)
		s->events.drained(s->context);
	leave(s, was_in_use);
}

static void on_write(struct bufferevent *socket, void *context)
{
	bufferevent_disable(socket, EV_WRITE); /* until on_flush leaves something again */
	written(context);
}

static void on_flush(void *context)
{
	struct stream *s = context;
	struct evbuffer *out = bufferevent_get_output(s->socket);
	if (s->is_freed || (s->is_closed && !s->is_closing))
		return;
	flush(s);
	if (evbuffer_get_length(out))
		bufferevent_enable(s->socket, EV_WRITE); /* which also finds out that a peer has gone */
	else
		written(s);
}

static void on_event(struct bufferevent *socket, short what, void *context)
{
	(void)socket;
	struct stream *s = context;
	bool was_in_use = enter(s);
	bool is_silence = (what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING);
	if (is_silence && s->is_paused)
		; /* it is not the peer who lets us wait */
	else if (is_silence && s->events.silent && s->tls != TLS_HANDSHAKE && !s->is_closing && !s->is_closed && !s->is_freed)
		s->events.silent(s->context);
	else if (what & BEV_EVENT_TIMEOUT)
		report_closed(s, "timeout");
	else if (what & BEV_EVENT_ERROR)
		report_closed(s, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	else
		peer_ended(s, CLOSED_BY_PEER);
	leave(s, was_in_use);
}

/* The answer to tls_ask_signature has come. */
static void on_signature(void *context)
{
	struct stream *s = context;
	bool was_in_use = enter(s);
	if (s->is_signing)
		tls_handshake(s); /* also for a client that has gone: the job must end before the SSL may */
	if (!s->is_closed && !s->is_freed)
		process_input(s, true);
	leave(s, was_in_use);
}

static void on_announce(void *context)
{
	struct stream *s = context;
	bool was_in_use = enter(s);
	if (!s->is_paused && !s->is_closed)
		process_input(s, false);
	if (s->ended && !s->is_closed)
		peer_ended(s, s->ended);
	leave(s, was_in_use);
}

struct stream *stream_new(struct loop *l, int fd, const struct stream_events *events, void *context)
{
	struct stream *s = xcalloc(1, sizeof *s);
	*s = (struct stream){.loop = l, .events = *events, .context = context};
	s->announce = (struct later){.fn = on_announce, .context = s};
	s->flush = (struct later){.fn = on_flush, .context = s};
	s->signature = (struct tls_signature){.resume = on_signature, .context = s};
	s->socket = bufferevent_socket_new(loop_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!s->socket)
		die("stream: no bufferevent");
	bufferevent_setcb(s->socket, on_read, on_write, on_event, s);
	bufferevent_setwatermark(s->socket, EV_READ, 0, STREAM_INPUT_MOST);
	bufferevent_set_max_single_read(s->socket, STREAM_INPUT_MOST);
	bufferevent_disable(s->socket, EV_WRITE); /* until on_flush leaves something */
	bufferevent_enable(s->socket, EV_READ);
	return s;
}

void stream_free(struct stream *s)
{
	if (!s || s->is_freed)
		return;
	s->is_closed = s->is_freed = true;
	bufferevent_disable(s->socket, EV_READ | EV_WRITE);
	if (!s->is_in_use && !s->is_signing)
		destroy(s);
}

struct span stream_peek(struct stream *s, size_t most)
{
	struct evbuffer *in = input_of(s);
	size_t n = evbuffer_get_length(in);
	if (n > most)
		n = most;
	return n ? span_of(evbuffer_pullup(in, (ssize_t)n), n) : (struct span){0};
}

size_t stream_input_length(const struct stream *s)
{
	return evbuffer_get_length(input_of(s));
}

void stream_consume(struct stream *s, size_t n)
{
	evbuffer_drain(input_of(s), n);
	/* input that was held back for want of room can go on */
	bool has_tls = s->tls == TLS_SECURED && SSL_has_pending(s->ssl) && evbuffer_get_length(s->plain) < TLS_PLAIN_AHEAD;
	bool has_deflated = s->deflate && evbuffer_get_length(s->inflated) < INFLATED_AHEAD &&
	                    (s->has_more_inflated || evbuffer_get_length(raw_input_of(s)));
	if (has_tls || has_deflated)
		loop_later(s->loop, &s->announce);
}

static void write_raw(struct stream *s, struct span bytes)
{
	if (s->tls == TLS_NONE) {
		write_later(s, bytes.ptr, bytes.len);
		return;
	}
	while (bytes.len) {
		size_t n = bytes.len < TLS_WRITE_BYTES ? bytes.len : TLS_WRITE_BYTES;
		ERR_clear_error();
		int written = SSL_write(s->ssl, bytes.ptr, (int)n);
		if (written <= 0)
			return; /* a broken session: the reading side reports it */
		bytes = span_skip(bytes, (size_t)written);
		tls_push(s);
	}
}

void stream_write(struct stream *s, struct span bytes)
{
	BUF_AUTO packed = {0};
	if (s->is_closed || s->is_freed)
		return;
	if (s->deflate && bytes.len) {
		deflate_pack(s->deflate, bytes, &packed);
		bytes = buf_span(&packed);
	}
	write_raw(s, bytes);
}

size_t stream_backlog(const struct stream *s)
{
	return evbuffer_get_length(bufferevent_get_output(s->socket));
}

/* The socket is watched on: most pauses end before more has come, and then epoll need not hear of them. */
void stream_pause(struct stream *s)
{
	s->is_paused = true;
}

void stream_resume(struct stream *s)
{
	if (!s->is_paused || s->is_closed)
		return;
	s->is_paused = false;
	if (!s->ended)
		bufferevent_enable(s->socket, EV_READ); /* and its time-out begins anew */
	loop_later(s->loop, &s->announce);
}

void stream_close(struct stream *s)
{
	if (s->is_closing || s->is_closed)
		return;
	s->is_closing = true;
	bufferevent_disable(s->socket, EV_READ);
	if (s->tls == TLS_SECURED) {
		SSL_shutdown(s->ssl);
		tls_push(s);
	}
	loop_later(s->loop, &s->flush);
}

void stream_set_timeout(struct stream *s, int64_t read_ms, int64_t write_ms)
{
	struct timeval read = {.tv_sec = read_ms / 1000, .tv_usec = (read_ms % 1000) * 1000};
	struct timeval write = {.tv_sec = write_ms / 1000, .tv_usec = (write_ms % 1000) * 1000};
	bufferevent_set_timeouts(s->socket, read_ms ? &read : NULL, write_ms ? &write : NULL);
}

static void start_tls(struct stream *s, SSL_CTX *context)
{
	struct evbuffer *in = bufferevent_get_input(s->socket);
	evbuffer_drain(in, evbuffer_get_length(in));
	s->ssl = SSL_new(context);
	s->plain = evbuffer_new();
	BIO *read_bio = BIO_new(BIO_s_mem()), *write_bio = BIO_new(BIO_s_mem());
	if (!s->ssl || !s->plain || !read_bio || !write_bio)
		die("stream: OpenSSL does not make a session");
	SSL_set_bio(s->ssl, read_bio, write_bio);
	s->tls = TLS_HANDSHAKE;
}

void stream_start_tls_server(struct stream *s, SSL_CTX *context)
{
	start_tls(s, context);
	SSL_set_accept_state(s->ssl);
	tls_record_begin(s->ssl);
}

/* RFC 7672 §3.1: a DANE-EE record says all, whatever names and dates the certificate has. A record that OpenSSL cannot use is as if
 * it were not there; where none is left, the peer proves nothing (§2.2). */
static bool demand_records(SSL *ssl, const struct tls_proof *proof)
{
	size_t usable = 0;
	if (SSL_dane_enable(ssl, proof->name) <= 0)
		die("stream: OpenSSL takes no DANE");
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < proof->record_count; i++) {
		const unsigned char *r = (const unsigned char *)proof->records[i].ptr;
		size_t len = proof->records[i].len;
		usable += len > 3 && SSL_dane_tlsa_add(ssl, r[0], r[1], r[2], r + 3, len - 3) > 0;
	}
	ERR_clear_error();
	return usable > 0;
}

static void demand_proof(SSL *ssl, const struct tls_proof *proof)
{
	bool is_provable = proof->record_count == 0 || demand_records(ssl, proof);
	SSL_set_tlsext_host_name(ssl, proof->name); /* RFC 7672 §8.1 */
	if (proof->record_count == 0)
		SSL_set1_host(ssl, proof->name);
	if (proof->other_name)
		SSL_add1_host(ssl, proof->other_name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | (proof->is_by_list ? X509_CHECK_FLAG_NEVER_CHECK_SUBJECT : 0));
	SSL_set_verify(ssl, is_provable && !proof->is_advisory ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
}

void stream_start_tls_client(struct stream *s, SSL_CTX *context, const char *server_name, const struct tls_proof *proof)
{
	start_tls(s, context);
	SSL_set_connect_state(s->ssl);
	if (server_name)
		SSL_set_tlsext_host_name(s->ssl, server_name);
	if (proof)
		demand_proof(s->ssl, proof);
	bool was_in_use = enter(s);
	tls_handshake(s);
	leave(s, was_in_use);
}

void stream_start_deflate(struct stream *s)
{
	s->deflate = deflate_new();
	s->inflated = evbuffer_new();
	if (!s->inflated)
		die("stream: no memory");
	loop_later(s->loop, &s->announce); /* for what has come already */
}

bool stream_is_deflated(const struct stream *s)
{
	return s->deflate != NULL;
}

bool stream_is_secured(const struct stream *s)
{
	return s->tls == TLS_SECURED;
}

bool stream_export_binding(const struct stream *s, unsigned char out[STREAM_BINDING_BYTES])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	if (s->tls != TLS_SECURED || (SSL_version(s->ssl) < TLS1_3_VERSION && SSL_get_extms_support(s->ssl) != 1))
		return false;
	bool is_there = SSL_export_keying_material(s->ssl, out, STREAM_BINDING_BYTES, label, sizeof label - 1, (const unsigned char *)"", 0, 1) == 1;
	ERR_clear_error();
	return is_there;
}

struct span stream_client_handshake(const struct stream *s)
{
	return s->tls == TLS_SECURED ? tls_record_messages(s->ssl) : SPAN("");
}

bool stream_is_proved(const struct stream *s)
{
	return s->tls == TLS_SECURED && !SSL_is_server(s->ssl) && SSL_get_verify_mode(s->ssl) == SSL_VERIFY_PEER && SSL_get_verify_result(s->ssl) == X509_V_OK;
}

const char *stream_distrust(const struct stream *s)
{
	long fault = s->ssl ? SSL_get_verify_result(s->ssl) : X509_V_OK;
	return fault == X509_V_OK ? NULL : X509_verify_cert_error_string(fault);
}

enum stream_fault stream_fault(const struct stream *s)
{
	switch (s->ssl ? SSL_get_verify_result(s->ssl) : X509_V_OK) {
	case X509_V_OK: return STREAM_FAULT_NONE;
	case X509_V_ERR_HOSTNAME_MISMATCH: return STREAM_FAULT_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED: return STREAM_FAULT_EXPIRED;
	default: return STREAM_FAULT_TRUST;
	}
}

void stream_tls_text(const struct stream *s, char *out, size_t size)
{
	out[0] = 0;
	if (s->tls == TLS_SECURED)
		snprintf(out, size, "%s %s%s", SSL_get_version(s->ssl), SSL_get_cipher_name(s->ssl),
		         SSL_get0_dane_authority(s->ssl, NULL, NULL) >= 0 ? " DANE" : stream_is_proved(s) ? " verified" : "");
}
