#include "cli/imap_client.h"

#include "wire/imap_reply.h"
#include "wire/imap_structure.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

void imap_client_open(struct imap_client *c, int fd)
{
	*c = (struct imap_client){.fd = fd};
}

void imap_client_close(struct imap_client *c)
{
	SSL_free(c->tls);
	if (c->fd >= 0)
		close(c->fd);
	buf_free(&c->in);
	buf_free(&c->response);
	c->tls = NULL;
	c->fd = -1;
}

static int lose(struct imap_client *c, const char *what, const char *why)
{
	c->is_lost = true;
	return error_set(&c->why, EPIPE, "%s%s%s", what, why ? ": " : "", why ? why : "");
}

static int wait_for(struct imap_client *c, short events)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	int n;
	while ((n = poll(&p, 1, IMAP_CLIENT_SILENCE_MS)) < 0 && errno == EINTR)
		continue;
	return n > 0 ? 0 : lose(c, n ? "the connection broke" : "the server has said nothing for too long", n ? strerror(errno) : NULL);
}

static int wait_for_tls(struct imap_client *c, int result)
{
	switch (SSL_get_error(c->tls, result)) {
	case SSL_ERROR_WANT_READ: return wait_for(c, POLLIN);
	case SSL_ERROR_WANT_WRITE: return wait_for(c, POLLOUT);
	case SSL_ERROR_ZERO_RETURN: return lose(c, "the server closed the connection", NULL);
	default: return lose(c, "the connection broke", NULL);
	}
}

/* The bytes that one call wrote or read; 0: try again. */
static ssize_t write_some(struct imap_client *c, struct span bytes)
{
	if (c->tls) {
		int n = SSL_write(c->tls, bytes.ptr, bytes.len > READ_BYTES ? READ_BYTES : (int)bytes.len);
		return n > 0 ? n : wait_for_tls(c, n);
	}
	ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return wait_for(c, POLLOUT);
	return n >= 0 || errno == EINTR ? (n < 0 ? 0 : n) : lose(c, "the connection broke", strerror(errno));
}

static ssize_t read_some(struct imap_client *c, char *to, size_t most)
{
	if (c->tls) {
		int n = SSL_read(c->tls, to, (int)most);
		return n > 0 ? n : wait_for_tls(c, n);
	}
	if (wait_for(c, POLLIN))
		return -1;
	ssize_t n = recv(c->fd, to, most, 0);
	if (n == 0)
		return lose(c, "the server closed the connection", NULL);
	return n > 0 || errno == EINTR || errno == EAGAIN ? (n < 0 ? 0 : n) : lose(c, "the connection broke", strerror(errno));
}

int imap_client_write(struct imap_client *c, struct span bytes)
{
	while (bytes.len && !c->is_lost) {
		ssize_t n = write_some(c, bytes);
		if (n < 0)
			return -1;
		bytes = span_skip(bytes, (size_t)n);
	}
	return c->is_lost ? -1 : 0;
}

static int fill(struct imap_client *c)
{
	if (c->is_lost)
		return -1;
	if (c->at == c->in.len) {
		buf_clear(&c->in);
		c->at = 0;
	} else if (c->at > READ_BYTES) {
		buf_drop_front(&c->in, c->at);
		c->at = 0;
	}
	ssize_t n = read_some(c, buf_reserve(&c->in, READ_BYTES), READ_BYTES);
	c->in.len += n > 0 ? (size_t)n : 0;
	return n < 0 ? -1 : 0;
}

int imap_client_read(struct imap_client *c, uint64_t most, struct span *bytes)
{
	while (c->at == c->in.len)
		if (fill(c))
			return -1;
	*bytes = span_slice(buf_span(&c->in), c->at, most < READ_BYTES ? (size_t)most : READ_BYTES);
	c->at += bytes->len;
	return 0;
}

static int add_line(struct imap_client *c)
{
	size_t looked = 0;
	for (;;) {
		struct span rest = span_skip(buf_span(&c->in), c->at);
		ssize_t end = span_chr(span_skip(rest, looked), '\n');
		if (end >= 0) {
			struct span line = span_slice(rest, 0, looked + (size_t)end);
			c->at += line.len + 1;
			buf_add(&c->response, span_ends_with(line, SPAN("\r")) ? span_slice(line, 0, line.len - 1) : line);
			return 0;
		}
		looked = rest.len;
		if (looked + c->response.len > IMAP_CLIENT_RESPONSE_MOST)
			return lose(c, "a response of the server is too long", NULL);
		if (fill(c))
			return -1;
	}
}

int imap_client_rest(struct imap_client *c, uint64_t inline_most, uint64_t *literal)
{
	uint64_t size;
	*literal = 0;
	for (;;) {
		if (add_line(c))
			return -1;
		if (!imap_reply_literal(buf_span(&c->response), &size))
			return 0;
		buf_add_cstr(&c->response, "\r\n");
		if (size > inline_most) {
			*literal = size;
			return 0;
		}
		if (size > IMAP_CLIENT_RESPONSE_MOST - c->response.len)
			return lose(c, "a response of the server is too long", NULL);
		while (size) {
			struct span bytes;
			if (imap_client_read(c, size, &bytes))
				return -1;
			buf_add(&c->response, bytes);
			size -= bytes.len;
		}
	}
}

int imap_client_response(struct imap_client *c, uint64_t inline_most, uint64_t *literal)
{
	buf_clear(&c->response);
	return imap_client_rest(c, inline_most, literal);
}

void imap_client_tag(struct imap_client *c, struct buf *out)
{
	buf_printf(out, "c%u ", ++c->last_tag);
}

int imap_client_result(struct imap_client *c, void (*each)(void *context, struct span response), void *context)
{
	char tag[16];
	uint64_t none;
	snprintf(tag, sizeof tag, "c%u ", c->last_tag);
	for (;;) {
		if (imap_client_response(c, UINT64_MAX, &none))
			return -1;
		struct span r = buf_span(&c->response);
		if (span_starts_with(r, span_cstr(tag))) {
			r = span_skip(r, strlen(tag));
			error_set(&c->why, 0, "%.*s", r.len > 200 ? 200 : (int)r.len, r.ptr);
			return span_starts_with_nocase(r, SPAN("OK")) ? 0 : 1;
		}
		if (span_starts_with_nocase(r, SPAN("* BYE ")))
			error_set(&c->why, 0, "%.*s", r.len > 200 ? 200 : (int)r.len - 6, r.ptr + 6);
		if (each)
			each(context, r);
	}
}

int imap_client_command(struct imap_client *c, struct span command, void (*each)(void *context, struct span response), void *context)
{
	BUF_AUTO line = {0};
	imap_client_tag(c, &line);
	buf_add(&line, command);
	buf_add_cstr(&line, "\r\n");
	return imap_client_write(c, buf_span(&line)) ? -1 : imap_client_result(c, each, context);
}

void imap_client_add_string(struct buf *out, struct span text)
{
	bool is_plain = true;
	for (size_t i = 0; i < text.len; i++)
		is_plain &= text.ptr[i] != '\r' && text.ptr[i] != '\n' && text.ptr[i] != 0;
	if (!is_plain) {
		buf_printf(out, "{%zu+}\r\n", text.len);
		buf_add(out, text);
		return;
	}
	imap_render_quoted(text, out);
}
