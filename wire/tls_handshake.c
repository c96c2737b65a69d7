#include "wire/tls_handshake.h"

enum message { CLIENT_HELLO = 1, SERVER_HELLO = 2, ENCRYPTED_EXTENSIONS = 8, CERTIFICATE = 11, CERTIFICATE_REQUEST = 13, CERTIFICATE_VERIFY = 15, FINISHED = 20 };

enum { HEAD = 4, HELLO_RANDOM_AT = 2, RANDOM = 32 };

/* A ServerHello with this for its random is a HelloRetryRequest: §4.1.3. */
static const unsigned char retry_random[RANDOM] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static size_t number(struct span s, size_t bytes)
{
	size_t n = 0;
	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | (unsigned char)s.ptr[i];
	return n;
}

/* Takes what has its length in so many bytes in front. */
static int take_vector(struct span *rest, size_t length_bytes, struct span *out)
{
	if (rest->len < length_bytes)
		return -1;
	size_t len = number(*rest, length_bytes);
	if (len > rest->len - length_bytes)
		return -1;
	*out = span_slice(*rest, length_bytes, len);
	*rest = span_skip(*rest, length_bytes + len);
	return 0;
}

/* Takes a message of that kind; *body without its head. */
static int take(struct span *rest, enum message kind, struct span *body)
{
	struct span after = span_skip(*rest, 1);
	if (!rest->len || (unsigned char)rest->ptr[0] != kind || take_vector(&after, HEAD - 1, body))
		return -1;
	*rest = after;
	return 0;
}

static struct span up_to(struct span from, struct span rest)
{
	return span_slice(from, 0, from.len - rest.len);
}

static bool is_retry(struct span server_hello)
{
	return span_equal(span_slice(server_hello, HELLO_RANDOM_AT, RANDOM), span_of(retry_random, RANDOM));
}

/* version, random, session id, cipher suite: §4.1.3 */
static int read_suite(struct span server_hello, uint16_t *out)
{
	struct span rest = span_skip(server_hello, HELLO_RANDOM_AT + RANDOM), session;
	if (take_vector(&rest, 1, &session) || rest.len < 2)
		return -1;
	*out = (uint16_t)number(rest, 2);
	return 0;
}

/* What the server says, and the hellos before; *rest is at the client's part then. */
static int read_server_part(struct span messages, struct span *rest, struct tls_handshake *out)
{
	struct span body, hello;
	*rest = messages;
	if (take(rest, CLIENT_HELLO, &body))
		return -1;
	struct span first = up_to(messages, *rest);
	struct span behind = *rest;
	if (take(rest, SERVER_HELLO, &hello))
		return -1;
	out->first_hello = SPAN("");
	out->before_server = messages;
	if (is_retry(hello)) {
		out->first_hello = first;
		out->before_server = behind;
		if (take(rest, CLIENT_HELLO, &body) || take(rest, SERVER_HELLO, &hello) || is_retry(hello))
			return -1;
	}
	if (read_suite(hello, &out->cipher_suite) || take(rest, ENCRYPTED_EXTENSIONS, &body) || take(rest, CERTIFICATE_REQUEST, &body) ||
	    take(rest, CERTIFICATE, &body))
		return -1;
	out->before_client = out->before_server;
	out->before_server = up_to(out->before_server, *rest);
	return take(rest, CERTIFICATE_VERIFY, &body) || take(rest, FINISHED, &body) ? -1 : 0;
}

int tls_handshake_read(struct span messages, struct tls_handshake *out, struct error *why)
{
	struct span rest, body, context;
	if (messages.len > TLS_HANDSHAKE_BYTES_MOST || read_server_part(messages, &rest, out))
		return error_set(why, 0, "that is no handshake of TLS 1.3 in which a client is asked for a certificate");
	/* §4.4.2: certificate_request_context, which is empty in a handshake, and the list */
	if (take(&rest, CERTIFICATE, &body) || take_vector(&body, 1, &context) || context.len || take_vector(&body, 3, &out->certificates) ||
	    body.len || !out->certificates.len)
		return error_set(why, 0, "the client has shown no certificate");
	out->before_client = up_to(out->before_client, rest);
	/* §4.4.3 */
	if (take(&rest, CERTIFICATE_VERIFY, &body) || body.len < 2)
		return error_set(why, 0, "the client has not signed the handshake");
	out->scheme = (uint16_t)number(body, 2);
	body = span_skip(body, 2);
	if (take_vector(&body, 2, &out->signature) || body.len)
		return error_set(why, 0, "the client's signature is broken");
	return 0;
}

int tls_handshake_next_certificate(struct span *list, struct span *der)
{
	struct span extensions;
	if (!list->len)
		return 0;
	return take_vector(list, 3, der) || take_vector(list, 2, &extensions) ? -1 : 1;
}
