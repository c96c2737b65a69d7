/* sendmail, mailq and newaliases: what programs have called since 1983 to send mail. The program is the same one under another name.
 *
 * What is not named here is let pass: Postfix and others do the same, and programs give options that once meant something. */
#include "cli/handover.h"

#include "cli/cli.h"
#include "wire/address.h"
#include "wire/address_list.h"
#include "wire/header.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, EXIT_DATA = 65, EXIT_CONFIG = 78, HEADER_RECIPIENTS_MOST = 1000 };

enum mode { SEND, SPEAK_SMTP, SHOW_QUEUE, NOTHING };

struct sendmail {
	const struct cli *cli;
	struct config config;
	struct handover h;
	enum mode mode;
	bool reads_recipients;  /* -t */
	bool dot_is_text;       /* -i */
	bool has_sender;
	const char *full_name;  /* -F */
};

/* "-f ana" and "-fana" are one. */
static const char *value_of(const struct sendmail *s, int *at)
{
	const char *word = s->cli->words[*at];
	if (word[2])
		return word + 2;
	return *at + 1 < s->cli->count ? s->cli->words[++*at] : "";
}

static struct span without_brackets(struct span s)
{
	s = span_trim(s);
	return span_starts_with(s, SPAN("<")) && span_ends_with(s, SPAN(">")) ? span_slice(s, 1, s.len - 2) : s;
}

/* An address without a domain is one of the origin. */
static void qualify(const struct sendmail *s, struct span address, struct buf *out)
{
	buf_add(out, address);
	if (!address.len || span_chr(address, '@') >= 0)
		return;
	buf_add_char(out, '@');
	buf_add_cstr(out, s->config.origin);
}

static void add_recipient(struct sendmail *s, struct span address)
{
	BUF_AUTO whole = {0};
	qualify(s, without_brackets(address), &whole);
	handover_add(&s->h, buf_span(&whole));
}

static void set_sender(struct sendmail *s, struct span address)
{
	buf_clear(&s->h.sender);
	qualify(s, without_brackets(address), &s->h.sender);
	s->has_sender = true;
}

static void read_o_option(struct sendmail *s, const char *value)
{
	if (strcmp(value, "i") == 0)
		s->dot_is_text = true;
}

static void read_option(struct sendmail *s, int *at)
{
	const char *word = s->cli->words[*at];
	switch (word[1]) {
	case 't': s->reads_recipients = true; break;
	case 'i': s->dot_is_text = true; break;
	case 'o': read_o_option(s, value_of(s, at)); break;
	case 'f': case 'r': set_sender(s, span_cstr(value_of(s, at))); break;
	case 'F': s->full_name = value_of(s, at); break;
	case 'N': buf_clear(&s->h.notify); buf_printf(&s->h.notify, " NOTIFY=%s", value_of(s, at)); break;
	case 'R': buf_printf(&s->h.options, " RET=%s", value_of(s, at)); break;
	case 'V': buf_printf(&s->h.options, " ENVID=%s", value_of(s, at)); break;
	case 'B': case 'C': case 'h': case 'L': case 'O': case 'p': case 'q': case 'X': value_of(s, at); break;
	case 'b':
		s->mode = word[2] == 's' ? SPEAK_SMTP : word[2] == 'p' ? SHOW_QUEUE : word[2] == 'i' ? NOTHING : s->mode;
		break;
	default: break;
	}
}

/* The addresses of a list, until there are `most` recipients. */
static void add_list(struct sendmail *s, struct span list, size_t most)
{
	struct address_list_reader r = {.rest = list};
	struct address_list_entry e;
	while (s->h.count < most && address_list_next(&r, &e)) {
		BUF_AUTO address = {0};
		if (e.kind != ADDRESS_LIST_MAILBOX)
			continue;
		buf_add(&address, e.mailbox);
		if (e.domain.len) {
			buf_add_char(&address, '@');
			buf_add(&address, e.domain);
		}
		add_recipient(s, buf_span(&address));
	}
	address_list_reader_free(&r);
}

static void read_options(struct sendmail *s)
{
	int at = 0;
	for (; at < s->cli->count && s->cli->words[at][0] == '-'; at++) {
		if (strcmp(s->cli->words[at], "--") == 0) {
			at++;
			break;
		}
		if (strcmp(s->cli->words[at], "-q") == 0) { /* "try the queue now": it is tried by itself */
			s->mode = NOTHING;
			continue;
		}
		read_option(s, &at);
	}
	for (; at < s->cli->count; at++)
		add_list(s, span_cstr(s->cli->words[at]), HANDOVER_RECIPIENTS_MOST); /* several in one word, with commas between, as mailx gives them */
}

/* ---- the message ---- */

/* Lines end in LF here, as on every Unix; one that ends in CR LF already stays. A "." alone ends the message, unless -i. */
static int read_message(struct sendmail *s)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int code = 0;
	while (!code && (n = getline(&line, &room, stdin)) > 0) {
		struct span text = span_of(line, (size_t)n);
		if (span_ends_with(text, SPAN("\n")))
			text.len--;
		if (span_ends_with(text, SPAN("\r")))
			text.len--;
		if (!s->dot_is_text && span_equal(text, SPAN(".")))
			break;
		buf_add(&s->h.message, text);
		buf_add(&s->h.message, SPAN("\r\n"));
		if (s->h.message.len > s->config.message_size_limit_bytes) {
			fprintf(stderr, "sendmail: the message is larger than message_size_limit\n");
			code = EXIT_DATA;
		}
	}
	free(line);
	return code;
}

static void take_recipients(struct sendmail *s, struct span value)
{
	BUF_AUTO unfolded = {0};
	header_unfold(value, &unfolded);
	add_list(s, buf_span(&unfolded), HEADER_RECIPIENTS_MOST);
}

/* -t: To, Cc and Bcc, or their Resent- forms where there are any. The server takes Bcc out. */
static void read_recipients(struct sendmail *s)
{
	static const struct span names[] = {SPAN("To"), SPAN("Cc"), SPAN("Bcc")}, resent[] = {SPAN("Resent-To"), SPAN("Resent-Cc"), SPAN("Resent-Bcc")};
	struct header_field field;
	bool is_resent = header_find(buf_span(&s->h.message), SPAN("Resent-To"), &field) || header_find(buf_span(&s->h.message), SPAN("Resent-Cc"), &field) ||
	                 header_find(buf_span(&s->h.message), SPAN("Resent-Bcc"), &field);
	struct header_reader r = {.header = buf_span(&s->h.message)};
	while (header_next(&r, &field))
		for (size_t i = 0; i < 3; i++)
			if (span_equal_nocase(field.name, is_resent ? resent[i] : names[i]))
				take_recipients(s, field.value);
}

/* A message that begins with text has no header: everything is its body. */
static bool has_header(struct span message)
{
	struct header_reader r = {.header = message};
	struct header_field field;
	return header_next(&r, &field) && field.name.len > 0;
}

static void add_missing(struct sendmail *s)
{
	struct buf front = {0};
	struct header_field field;
	struct span message = buf_span(&s->h.message);
	bool is_bare = !has_header(message);
	if (is_bare || !header_find(message, SPAN("From"), &field)) {
		buf_add_cstr(&front, "From: ");
		if (s->full_name) {
			buf_add_char(&front, '"');
			for (const char *c = s->full_name; *c; c++)
				if (*c >= ' ' && *c != '"' && *c != '\\' && *c != 0x7f)
					buf_add_char(&front, *c);
			buf_add_cstr(&front, "\" ");
		}
		buf_printf(&front, "<%.*s>\r\n", SPAN_ARG(buf_span(&s->h.sender)));
	}
	if (is_bare && message.len && !span_starts_with(message, SPAN("\r\n")))
		buf_add(&front, SPAN("\r\n"));
	buf_add(&front, message);
	buf_free(&s->h.message);
	s->h.message = front;
}

static int send_input(struct sendmail *s)
{
	const struct passwd *user = getpwuid(getuid());
	if (!s->has_sender)
		set_sender(s, span_cstr(user ? user->pw_name : "nobody"));
	int code = read_message(s);
	if (code)
		return code;
	if (s->reads_recipients)
		read_recipients(s);
	if (!s->h.count) {
		fprintf(stderr, "sendmail: no recipients: name them, or use -t\n");
		return EXIT_USAGE;
	}
	add_missing(s);
	code = handover_send(&s->config, &s->h);
	return code == EXIT_LATER ? handover_drop(&s->config, &s->h) : code;
}

/* ---- -bs ---- */

static bool copy(int from, int to)
{
	char bytes[65536];
	ssize_t n = read(from, bytes, sizeof bytes), done = 0, w = 1;
	for (; n > 0 && done < n && w > 0; done += w > 0 ? w : 0)
		w = write(to, bytes + done, (size_t)(n - done));
	return n > 0 && w > 0;
}

/* SMTP on standard input and output, as git send-email and mutt may speak it: to the server itself. */
static int speak_smtp(const struct sendmail *s)
{
	int fd = handover_connect(&s->config);
	struct pollfd at[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	if (fd < 0) {
		printf("421 4.3.2 The server is not running\r\n");
		return EXIT_LATER;
	}
	while (poll(at, 2, -1) > 0) {
		if (at[0].revents && !copy(STDIN_FILENO, fd)) {
			shutdown(fd, SHUT_WR);
			at[0].fd = -1;
		}
		if (at[1].revents && !copy(fd, STDOUT_FILENO))
			break;
	}
	close(fd);
	return 0;
}

int cli_sendmail(const struct cli *c)
{
	struct sendmail s = {.cli = c};
	if (cli_read_config(c->config_file, &s.config))
		return EXIT_CONFIG;
	int code = 0;
	read_options(&s);
	switch (s.mode) {
	case SEND: code = send_input(&s); break;
	case SPEAK_SMTP: code = speak_smtp(&s); break;
	case SHOW_QUEUE: code = cli_mailq(c); break;
	case NOTHING: break; /* newaliases: aliases are in the directory, and work at once */
	}
	handover_free(&s.h);
	config_free(&s.config);
	return code;
}

int cli_mailq(const struct cli *c)
{
	struct cli list = {.config_file = c->config_file, .words = (const char *[]){"queue", "list"}, .count = 2};
	return cli_forward(&list, false);
}

int cli_drop(const struct cli *c)
{
	struct config config;
	if (cli_read_config(c->config_file, &config))
		return EXIT_CONFIG;
	int code = handover_empty_drop(&config);
	config_free(&config);
	return code;
}
