/* `carteiro domain`: the server's directory has the domains; a new one gets its keys for DKIM here, as the files with keys are not the
 * server's to write. */
#include "cli/dkim.h"
#include "wire/address.h"

#include <stdio.h>

static int add_keys(const struct cli *cli, struct span domain)
{
	struct config c;
	if (cli_read_config(cli->config_file, &c))
		return 78;
	bool is_made = dkim_make(&c, domain) == 0;
	if (!is_made)
		fprintf(stderr, "carteiro: the domain is there, but its mail goes out without signatures: `carteiro dkim new %.*s` makes keys\n", SPAN_ARG(domain));
	if (is_made)
		printf("; DNS records to publish, beside MX, SPF and DMARC\n");
	int code = is_made ? dkim_print_records(&c, domain) : 0;
	config_free(&c);
	return code ? code : server_reload_keys(cli->config_file);
}

int cli_domain(const struct cli *cli)
{
	BUF_AUTO domain = {0};
	int code = cli_forward(cli, true);
	bool is_new = code == 0 && cli->count >= 3 && strcmp(cli->words[1], "add") == 0;
	if (!is_new || domain_canonical(span_cstr(cli->words[2]), &domain, NULL))
		return code;
	return add_keys(cli, buf_span(&domain));
}
