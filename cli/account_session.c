#include "cli/account_session.h"

#include "base/base64.h"
#include "base/die.h"
#include "wire/imap_reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The words that a running server says to `grant`. */
static int ask_grant(struct account_session *s, const char *config_file, const char *address, struct buf *token)
{
	struct server *server = server_connect(config_file, false);
	struct span words[] = {SPAN("grant"), span_cstr(address)};
	BUF_AUTO said = {0};
	if (!server)
		return EXIT_NO_SERVER;
	int code = server_ask(server, words, 2, &said);
	server_close(server);
	struct span rest = span_trim(buf_span(&said));
	if (code) {
		fprintf(stderr, "carteiro: %.*s\n", SPAN_ARG(rest));
		return code;
	}
	ssize_t space = span_chr(rest, ' ');
	buf_add(token, span_slice(rest, 0, space < 0 ? 0 : (size_t)space));
	buf_add(&s->user, span_skip(rest, space < 0 ? 0 : (size_t)space + 1));
	return 0;
}

static int connect_local(struct account_session *s)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/imap", s->config.run_dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || n < 0 || (size_t)n >= sizeof at.sun_path || connect(fd, (struct sockaddr *)&at, sizeof at)) {
		fprintf(stderr, "carteiro: cannot open %s/imap: %s\n", s->config.run_dir, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	imap_client_open(&s->client, fd);
	return 0;
}

static int log_in(struct account_session *s, struct span token)
{
	BUF_AUTO message = {0}, line = {0};
	uint64_t none;
	buf_add_char(&message, 0);
	buf_add(&message, buf_span(&s->user));
	buf_add_char(&message, 0);
	buf_add(&message, token);
	buf_add_cstr(&line, "AUTHENTICATE PLAIN ");
	base64_encode(buf_span(&message), &line);
	int bad = imap_client_response(&s->client, UINT64_MAX, &none) || imap_client_command(&s->client, buf_span(&line), NULL, NULL) ||
	          imap_client_command(&s->client, SPAN("ENABLE UTF8=ACCEPT"), NULL, NULL);
	explicit_bzero(message.ptr, message.cap);
	explicit_bzero(line.ptr, line.cap);
	if (bad)
		fprintf(stderr, "carteiro: the server does not let this command in: %s\n", s->client.why.text);
	return bad;
}

void account_session_add(struct account_session *s, struct span name, struct span attributes)
{
	s->mailboxes = xrealloc_array(s->mailboxes, s->mailbox_count + 1, sizeof *s->mailboxes);
	s->mailboxes[s->mailbox_count++] = (struct account_mailbox){span_strdup(name), span_strdup(attributes)};
}

static void on_list(void *context, struct span response)
{
	struct imap_reply_list listed = {0};
	if (imap_reply_list(response, &listed))
		account_session_add(context, buf_span(&listed.name), buf_span(&listed.attributes));
	imap_reply_list_free(&listed);
}

int account_session_open(struct account_session *s, const char *config_file, const char *address)
{
	BUF_AUTO token = {0};
	s->client.fd = -1;
	if (cli_read_config(config_file, &s->config))
		return 78;
	int code = ask_grant(s, config_file, address, &token);
	if (code)
		return code;
	bool is_in = connect_local(s) == 0 && log_in(s, buf_span(&token)) == 0 &&
	             imap_client_command(&s->client, SPAN("LIST (SPECIAL-USE) \"\" \"*\" RETURN (SPECIAL-USE)"), on_list, s) == 0 &&
	             imap_client_command(&s->client, SPAN("LIST \"\" \"*\""), on_list, s) == 0;
	explicit_bzero(token.ptr, token.cap);
	return is_in ? 0 : EXIT_NO_SERVER;
}

void account_session_close(struct account_session *s)
{
	if (s->client.fd >= 0 && !s->client.is_lost)
		imap_client_command(&s->client, SPAN("LOGOUT"), NULL, NULL);
	imap_client_close(&s->client);
	for (size_t n = 0; n < s->mailbox_count; n++) {
		free(s->mailboxes[n].name);
		free(s->mailboxes[n].attributes);
	}
	free(s->mailboxes);
	buf_free(&s->user);
	config_free(&s->config);
}
