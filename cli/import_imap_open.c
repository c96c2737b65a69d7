#include "cli/import_imap.h"

#include "base/base64.h"
#include "base/tls.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PASSWORD_MOST = 512 };

static int fail(const struct imap_source *s, int code, const char *what, const char *why)
{
	fprintf(stderr, "carteiro: %s: %s%s%s\n", s->host, what, why ? ": " : "", why ? why : "");
	return code;
}

bool imap_source_options(struct imap_source *s, const char **words, int count, const char *address)
{
	*s = (struct imap_source){.host = words[0], .user = address, .client.fd = -1};
	int at = 1;
	for (; at < count && strncmp(words[at], "--", 2) == 0; at++) {
		const char **value = strcmp(words[at], "--user") == 0 ? &s->user : strcmp(words[at], "--password-file") == 0 ? &s->password_file :
		                     strcmp(words[at], "--port") == 0 ? &s->port : NULL;
		if (value && at + 1 < count) {
			*value = words[++at];
		} else if (strcmp(words[at], "--starttls") == 0) {
			s->is_starttls = true;
		} else if (strcmp(words[at], "--insecure") == 0) {
			s->is_insecure = true;
		} else {
			fprintf(stderr, "carteiro: %s is no option of import imap, or its value is missing\n", words[at]);
			return false;
		}
	}
	s->mailboxes = words + at;
	s->mailbox_count = count - at;
	return true;
}

static int connect_to(struct imap_source *s)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int fault = getaddrinfo(s->host, s->port ? s->port : s->is_starttls ? "143" : "993", &hints, &found), fd = -1;
	if (fault)
		return fail(s, EXIT_NO_INPUT, "it has no address", gai_strerror(fault));
	for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			int code = errno;
			close(fd);
			fd = -1;
			errno = code;
		}
	}
	freeaddrinfo(found);
	if (fd < 0)
		return fail(s, EXIT_NO_INPUT, "cannot connect", strerror(errno));
	imap_client_open(&s->client, fd);
	return 0;
}

static bool set_name(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1)
		return true;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int start_tls(struct imap_source *s, const char *authorities)
{
	char why[256];
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	bool is_ready = context && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	                (s->is_insecure || SSL_CTX_load_verify_locations(context, authorities, NULL) == 1);
	SSL *ssl = is_ready ? SSL_new(context) : NULL;
	if (context)
		SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	is_ready = ssl && SSL_set_fd(ssl, s->client.fd) == 1 && set_name(ssl, s->host);
	if (is_ready && !s->is_insecure)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (is_ready && SSL_connect(ssl) == 1) {
		s->client.tls = ssl;
		SSL_CTX_free(context);
		return 0;
	}
	long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	tls_error_text(why, sizeof why);
	SSL_free(ssl);
	SSL_CTX_free(context);
	if (verdict != X509_V_OK)
		return fail(s, EXIT_NO_INPUT, "its certificate is not believed (--insecure does without)", X509_verify_cert_error_string(verdict));
	return fail(s, EXIT_NO_INPUT, "no TLS", why);
}

/* ---- login ---- */

static void on_capability(void *context, struct span response)
{
	struct imap_source *s = context;
	if (!span_starts_with_nocase(response, SPAN("* CAPABILITY ")))
		return;
	buf_clear(&s->capabilities);
	buf_add_char(&s->capabilities, ' ');
	buf_add(&s->capabilities, span_skip(response, 13));
	buf_add_char(&s->capabilities, ' ');
}

bool imap_source_can(const struct imap_source *s, const char *capability)
{
	struct span rest = buf_span(&s->capabilities), word;
	while ((word = span_next_word(&rest)).len)
		if (span_equal_nocase(word, span_cstr(capability)))
			return true;
	return false;
}

static int read_password(const struct imap_source *s, struct buf *out)
{
	if (!s->password_file)
		return cli_read_secret("Password there", out);
	if (cli_read_file(s->password_file, out, PASSWORD_MOST))
		return -1;
	struct span line = buf_span(out);
	ssize_t end = span_chr(line, '\n');
	out->len = end < 0 ? out->len : (size_t)end;
	out->len -= out->len && out->ptr[out->len - 1] == '\r';
	return out->len ? 0 : -1;
}

/* RFC 4616 over RFC 3501 §6.2.2, without an initial response, which not all servers take. */
static int log_in_plain(struct imap_source *s, struct span password)
{
	BUF_AUTO line = {0}, message = {0};
	uint64_t literal;
	imap_client_tag(&s->client, &line);
	buf_add_cstr(&line, "AUTHENTICATE PLAIN\r\n");
	if (imap_client_write(&s->client, buf_span(&line)) || imap_client_response(&s->client, UINT64_MAX, &literal))
		return -1;
	if (!span_starts_with(buf_span(&s->client.response), SPAN("+")))
		return error_set(&s->client.why, 0, "%.200s", buf_cstr(&s->client.response));
	buf_add_char(&message, 0);
	buf_add_cstr(&message, s->user);
	buf_add_char(&message, 0);
	buf_add(&message, password);
	buf_clear(&line);
	base64_encode(buf_span(&message), &line);
	buf_add_cstr(&line, "\r\n");
	int result = imap_client_write(&s->client, buf_span(&line)) ? -1 : imap_client_result(&s->client, on_capability, s);
	explicit_bzero(message.ptr, message.cap);
	explicit_bzero(line.ptr, line.cap);
	return result;
}

static int log_in_login(struct imap_source *s, struct span password)
{
	BUF_AUTO line = {0};
	buf_add_cstr(&line, "LOGIN ");
	imap_client_add_string(&line, span_cstr(s->user));
	buf_add_char(&line, ' ');
	imap_client_add_string(&line, password);
	int result = imap_client_command(&s->client, buf_span(&line), on_capability, s);
	explicit_bzero(line.ptr, line.cap);
	return result;
}

static int log_in(struct imap_source *s)
{
	BUF_AUTO password = {0};
	if (read_password(s, &password))
		return fail(s, EXIT_NO_INPUT, "no password, by prompt, standard input or --password-file", NULL);
	int result = imap_source_can(s, "AUTH=PLAIN") ? log_in_plain(s, buf_span(&password)) : log_in_login(s, buf_span(&password));
	explicit_bzero(password.ptr, password.cap);
	return result ? fail(s, 77, "it does not let you in", s->client.why.text) : 0;
}

int imap_source_open(struct imap_source *s, const char *authorities)
{
	uint64_t literal;
	int code = connect_to(s);
	if (code == 0 && !s->is_starttls)
		code = start_tls(s, authorities);
	if (code)
		return code;
	if (imap_client_response(&s->client, UINT64_MAX, &literal) || !span_starts_with_nocase(buf_span(&s->client.response), SPAN("* OK")))
		return fail(s, EXIT_NO_INPUT, "it does not greet as an IMAP server", NULL);
	if (s->is_starttls) {
		if (imap_client_command(&s->client, SPAN("STARTTLS"), NULL, NULL))
			return fail(s, EXIT_NO_INPUT, "no STARTTLS", s->client.why.text);
		/* what was said before TLS is nobody's (RFC 3501 §6.2.1) */
		buf_clear(&s->client.in);
		s->client.at = 0;
		code = start_tls(s, authorities);
	}
	if (code == 0 && imap_client_command(&s->client, SPAN("CAPABILITY"), on_capability, s))
		code = fail(s, EXIT_NO_INPUT, "it tells no capabilities", s->client.why.text);
	if (code == 0)
		code = log_in(s);
	if (code == 0 && imap_client_command(&s->client, SPAN("CAPABILITY"), on_capability, s))
		code = fail(s, EXIT_NO_INPUT, "it tells no capabilities", s->client.why.text);
	return code;
}
