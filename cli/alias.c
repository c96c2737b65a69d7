/* `carteiro alias`: the server's directory has the aliases; those of other servers are read from their files here. */
#include "base/arena.h"
#include "cli/cli.h"
#include "wire/alias_map.h"
#include "wire/program.h"

#include <errno.h>
#include <stdio.h>

enum { FILE_BYTES_MOST = 64 * 1024 * 1024, EXIT_USAGE = 64, EXIT_INPUT = 66, EXIT_UNAVAILABLE = 69, EXIT_CONFIG = 78 };

/* Names without a domain are of this machine's mail domain, as in aliases(5). */
static struct span complete(struct span name, const char *domain, struct arena *a)
{
	BUF_AUTO address = {0};
	if (span_chr(name, '@') >= 0 || program_is_target(name))
		return name;
	buf_printf(&address, "%.*s@%s", SPAN_ARG(name), domain);
	return arena_dup(a, buf_span(&address));
}

static int add(struct server *s, const struct alias_map_entry *e, const char *domain, struct arena *a)
{
	struct span *words = arena_alloc_array(a, e->count + 3, sizeof *words);
	words[0] = SPAN("alias");
	words[1] = SPAN("add");
	words[2] = complete(e->name, domain, a);
	for (size_t i = 0; i < e->count; i++)
		words[3 + i] = complete(e->targets[i], domain, a);
	return server_command(s, words, 3 + e->count);
}

static int import(const struct cli *c, const char *domain, const char *pipes)
{
	BUF_AUTO file = {0};
	if (cli_read_file(c->words[2], &file, FILE_BYTES_MOST)) {
		fprintf(stderr, "carteiro: cannot read %s: %s\n", c->words[2], strerror(errno));
		return EXIT_INPUT;
	}
	struct server *s = server_connect(c->config_file, true);
	if (!s)
		return EXIT_UNAVAILABLE;
	struct line_reader r = {.rest = buf_span(&file)};
	unsigned done = 0, failed = 0;
	for (int more = 1; more;) {
		ARENA_AUTO a = {0};
		struct alias_map_entry e;
		struct error why = {.text = "was not taken"};
		more = alias_map_next(&r, pipes, &a, &e, &why);
		if (more > 0 && add(s, &e, domain, &a) == 0) {
			done++;
		} else if (more) {
			failed++;
			fprintf(stderr, "carteiro: %s:%u: %.*s: %s\n", c->words[2], r.line, SPAN_ARG(e.name), why.text);
		}
	}
	server_close(s);
	printf("%u added, %u not\n", done, failed);
	return failed ? 1 : 0;
}

int cli_alias(const struct cli *c)
{
	struct config config;
	if (c->count < 2 || strcmp(c->words[1], "import") != 0)
		return cli_forward(c, true);
	if (c->count != 3 && c->count != 4) {
		fprintf(stderr, "carteiro alias import FILE [DOMAIN]\n");
		return EXIT_USAGE;
	}
	if (cli_read_config(c->config_file, &config))
		return EXIT_CONFIG;
	int code = import(c, c->count == 4 ? c->words[3] : config.origin, config.pipes);
	config_free(&config);
	return code;
}
