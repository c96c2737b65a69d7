/* `carteiro check message`: what the server would say of a stranger's message, and why. */
#include "base/loop.h"
#include "cli/cli.h"
#include "filter/fate.h"
#include "resolve/client.h"
#include "wire/header.h"

#include <errno.h>
#include <stdio.h>

enum { EXIT_USAGE = 64, EXIT_INPUT = 66, MESSAGE_BYTES_MOST = 256 * 1024 * 1024 };

struct question {
	const char *file, *client_ip, *helo, *mail_from;
};

static int usage(void)
{
	fprintf(stderr, "carteiro check message FILE --client-ip ADDRESS [--helo NAME] [--mail-from ADDRESS]\n");
	return EXIT_USAGE;
}

static int read_options(const struct cli *cli, struct question *q)
{
	for (int i = 2; i < cli->count; i++) {
		const char *word = cli->words[i];
		const char **to = strcmp(word, "--client-ip") == 0 ? &q->client_ip : strcmp(word, "--helo") == 0 ? &q->helo :
		                  strcmp(word, "--mail-from") == 0 ? &q->mail_from : NULL;
		if (to && ++i < cli->count)
			*to = cli->words[i];
		else if (!to && word[0] != '-' && !q->file)
			q->file = word;
		else
			return -1;
	}
	return q->file && q->client_ip ? 0 : -1;
}

/* Files of messages have lines that end in LF; on the wire they had CR LF, and signatures are of that. */
static void with_crlf(struct span file, struct buf *out)
{
	for (size_t i = 0; i < file.len; i++) {
		if (file.ptr[i] == '\n' && (i == 0 || file.ptr[i - 1] != '\r'))
			buf_add_char(out, '\r');
		buf_add_char(out, file.ptr[i]);
	}
}

static void stop(void *context)
{
	loop_stop(context);
}

static void print_chain(const struct authentication *a)
{
	const struct arc_result *r = authentication_arc(a);
	struct span trusted = authentication_overridden_by(a);
	if (r->outcome == AUTH_FAIL)
		printf("Its chain of seals (ARC) does not hold: %s.\n", r->reason);
	else if (r->outcome == AUTH_PASS)
		printf("Its chain of seals (ARC) holds; the last of %u is of %.*s.\n", authentication_chain(a)->count, SPAN_ARG(r->sealer));
	if (trusted.len)
		printf("Neither SPF nor DKIM vouch for its author, but %.*s does, which arc_trusted names.\n", SPAN_ARG(trusted));
}

static void print_fate(const struct authentication *a, const struct config *config)
{
	BUF_AUTO reply = {0}, obeyed = {0};
	struct config obeying = *config;
	obeying.sender_checks = SENDER_CHECKS_OBEY;
	enum fate fate = fate_of(a, config, &reply);
	switch (fate) {
	case FATE_TAKE: printf("It would be taken.\n"); break;
	case FATE_JUNK: printf("It would be filed into Junk: neither SPF nor DKIM vouch for its author, whose domain asks for that (DMARC).\n"); break;
	case FATE_LATER: case FATE_REFUSE:
		printf("It would be %s: %.*s\n", fate == FATE_LATER ? "put off" : "refused", SPAN_ARG(buf_span(&reply)));
		break;
	}
	print_chain(a);
	if (fate == FATE_TAKE && fate_of(a, &obeying, &obeyed) != FATE_TAKE)
		printf("But neither SPF nor DKIM vouch for its author, and that would tell if sender_checks were \"obey\".\n");
}

static void check(const struct question *q, struct span message, const struct config *config)
{
	struct loop *l = loop_new();
	struct dns_client *dns = lookup_client_open(l, config);
	BUF_AUTO results = {0};
	struct authentication_facts facts = {
		.dns_lists = span_cstr(config->dns_lists), .arc_trusted = span_cstr(config->arc_trusted),
		.client_address = span_cstr(q->client_ip), .helo = span_cstr(q->helo ? q->helo : "unknown"),
		.reverse_path = span_cstr(q->mail_from ? q->mail_from : ""), .hostname = config->hostname, .dns = dns, .loop = l};
	struct authentication *a = authentication_new(&facts);
	ssize_t blank = span_find(message, SPAN("\r\n\r\n"));
	size_t end = span_starts_with(message, SPAN("\r\n")) ? 2 : blank < 0 ? message.len : (size_t)blank + 4;
	authentication_header(a, span_slice(message, 0, end));
	authentication_body(a, span_skip(message, end));
	/* the answer comes in a turn of the loop, or has come before it begins */
	authentication_end(a, stop, l);
	loop_run(l);
	authentication_write(a, &results);
	for (struct span rest = buf_span(&results); rest.len;) {
		ssize_t line = span_find(rest, SPAN("\r\n"));
		printf("%.*s\n", (int)line, rest.ptr);
		rest = span_skip(rest, (size_t)line + 2);
	}
	print_fate(a, config);
	authentication_free(a);
	lookup_client_free(dns);
	loop_free(l);
}

int cli_check_message(const struct cli *cli, const struct config *config)
{
	struct question q = {0};
	BUF_AUTO file = {0}, message = {0};
	if (read_options(cli, &q))
		return usage();
	if (cli_read_file(q.file, &file, MESSAGE_BYTES_MOST)) {
		fprintf(stderr, "carteiro: cannot read %s: %s\n", q.file, strerror(errno));
		return EXIT_INPUT;
	}
	with_crlf(buf_span(&file), &message);
	check(&q, buf_span(&message), config);
	return 0;
}
