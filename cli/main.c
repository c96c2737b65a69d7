/* main(): becomes a process of the server or a command. */
#include "cli/cli.h"
#include "edge/edge.h"
#include "filter/filter.h"
#include "ipc/roles.h"
#include "master/master.h"
#include "milter/milter.h"
#include "pipe/pipe.h"
#include "relay/relay.h"
#include "resolve/resolve.h"
#include "store/store.h"
#include "vault/vault.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONTROL_FD = 3, EXIT_USAGE = 64 };

static const char default_config[] = "/etc/carteiro/carteiro.conf";

static const char help[] =
	"carteiro: a mail server\n"
	"\n"
	"  carteiro setup DOMAIN [--hostname NAME] [--user NAME] [--data FOLDER] [--run FOLDER]\n"
	"                                   write a configuration, keys and a first account; print the DNS records to publish\n"
	"  carteiro check                   tell what is wrong in the configuration\n"
	"  carteiro check message FILE --client-ip ADDRESS [--helo NAME] [--mail-from ADDRESS]   what the server would say of it\n"
	"  carteiro check spf               lines of address, HELO and MAIL FROM, with tabs between: what SPF says of each\n"
	"  carteiro run                     serve, until SIGTERM; SIGHUP reloads\n"
	"  carteiro status | reload | stop\n"
	"\n"
	"  carteiro user add ADDRESS        asks for the password, or reads it from standard input\n"
	"  carteiro user passwd ADDRESS\n"
	"  carteiro user import FILE        lines of address:hash, as passwd(5) or Dovecot's passwd-file have them\n"
	"  carteiro user list [without-scram] | show ADDRESS | remove ADDRESS\n"
	"  carteiro user set ADDRESS language en|pt | set ADDRESS master|shared yes|no\n"
	"  carteiro user app ADDRESS add NAME [protocols imap,pop3,smtp,jmap] [expires 90d|DAY]   a password for one program\n"
	"  carteiro user app ADDRESS list | remove NAME\n"
	"  carteiro user held               who sends unlike himself, so that it waits; then one of:\n"
	"  carteiro user release ADDRESS | revoke ADDRESS | purge ADDRESS   it goes on; the password ends; it is thrown away\n"
	"  carteiro domain add DOMAIN [NEXT-HOP]   with it, mail for the domain is taken and goes there: mail.example.net, [10.0.0.5]:25\n"
	"  carteiro domain list | remove DOMAIN\n"
	"  carteiro route add DOMAIN|.DOMAIN|from:DOMAIN|* NEXT-HOP|mx [tls=never|must|verified]   where mail for elsewhere goes\n"
	"  carteiro route list | remove DOMAIN|.DOMAIN|from:DOMAIN|*\n"
	"  carteiro route show ADDRESS      where mail for it goes when it leaves, and by which table\n"
	"  carteiro dkim list | records [DOMAIN] | new DOMAIN | activate DOMAIN | remove DOMAIN\n"
	"  carteiro alias add ADDRESS TARGET... | list | remove ADDRESS\n"
	"  carteiro alias show ADDRESS      where an address leads, and by which of the directory and the tables\n"
	"  carteiro alias import FILE [DOMAIN]   lines as aliases(5) and Postfix's virtual(5) have them\n"
	"  carteiro sendmail [OPTION]... [ADDRESS]...   send a message from standard input, as sendmail(8) does\n"
	"  carteiro import maildir ADDRESS FOLDER   mail of Dovecot and Courier, with its UIDs; a second time, what is new\n"
	"  carteiro import mbox ADDRESS FILE|FOLDER [MAILBOX]   files as Dovecot, UW imapd and mutt write them\n"
	"  carteiro import imap ADDRESS SERVER [--user NAME] [--password-file FILE] [--port NUMBER] [--starttls] [--insecure] [MAILBOX]...\n"
	"  carteiro export maildir|mbox ADDRESS FOLDER [MAILBOX]   mail as Dovecot reads it; a second time, what is new\n"
	"  carteiro acl set ADDRESS MAILBOX|* WHO|anyone RIGHTS   who may use his mailboxes; letters of RFC 4314: lrswipkxtea\n"
	"  carteiro acl remove ADDRESS MAILBOX|* WHO | list ADDRESS\n"
	"  carteiro quota set ADDRESS|DOMAIN|*@DOMAIN SIZE|none [MESSAGES] | unset TARGET | show TARGET | list\n"
	"  carteiro expire set ADDRESS|*@DOMAIN MAILBOX AFTER|never | unset TARGET MAILBOX | list | run\n"
	"  carteiro restore list ADDRESS | ADDRESS ID|MAILBOX|all [SINCE]\n"
	"  carteiro backup DIR              copy all that the server keeps to DIR while it runs; what DIR has is not copied again\n"
	"  carteiro backup list DIR | verify DIR | prune DIR --keep N\n"
	"  carteiro backup restore DIR [--at TIME]   all of it, into an empty data_dir, the server stopped\n"
	"  carteiro backup extract DIR [--at TIME] ADDRESS [MAILBOX [UID]] TO   a user's mail, as a Maildir\n"
	"  carteiro salvage DATA_DIR TO     every whole message of a damaged store, as Maildirs, the server stopped\n"
	"  carteiro verify [--repair] [ADDRESS]\n"
	"  carteiro queue list | show ID | retry ID|all | hold ID|all | release ID|all | remove ID\n"
	"  carteiro trace ID|ADDRESS|MESSAGE-ID   what became of a message\n"
	"  carteiro report tls [send]       what others report of TLS to us, and what we count for them; send: tell them now\n"
	"  carteiro settings [man]          the documentation of carteiro.conf\n"
	"\n"
	"  -c FILE   another configuration than /etc/carteiro/carteiro.conf\n";

static int process_main(const char *name, const char *index_text)
{
	unsigned index = (unsigned)strtoul(index_text, NULL, 10);
	switch (role_of_name(span_cstr(name))) {
	case ROLE_VAULT: return vault_main(index, CONTROL_FD);
	case ROLE_RESOLVE: return resolve_main(index, CONTROL_FD);
	case ROLE_STORE: return store_main(index, CONTROL_FD);
	case ROLE_FILTER: return filter_main(index, CONTROL_FD);
	case ROLE_RELAY: return relay_main(index, CONTROL_FD);
	case ROLE_MILTER: return milter_main(index, CONTROL_FD);
	case ROLE_PIPE: return pipe_main(index, CONTROL_FD);
	case ROLE_EDGE_MX: return edge_mx_main(index, CONTROL_FD);
	case ROLE_EDGE_USER: return edge_user_main(index, CONTROL_FD);
	case ROLE_MASTER: case ROLES: break;
	}
	return EXIT_USAGE;
}

static int run(const struct cli *c)
{
	struct master_options options = {.config_file = c->config_file};
	return master_run(&options);
}

static int settings(const struct cli *c)
{
	BUF_AUTO text = {0};
	if (c->count > 1 && strcmp(c->words[1], "man") == 0)
		config_print_man(&text);
	else
		config_print_markdown(&text);
	return fwrite(text.ptr, 1, text.len, stdout) == text.len ? 0 : 1;
}

static int forward(const struct cli *c)
{
	return cli_forward(c, true);
}

static int forward_to_running(const struct cli *c)
{
	return cli_forward(c, false);
}

static const struct {
	const char *name;
	int (*run)(const struct cli *c);
} commands[] = {
	{"run", run}, {"setup", cli_setup}, {"check", cli_check}, {"user", cli_user}, {"settings", settings},
	{"status", forward_to_running}, {"reload", forward_to_running}, {"stop", forward_to_running},
	{"drop", cli_drop}, {"import", cli_import}, {"export", cli_export}, {"domain", cli_domain}, {"dkim", cli_dkim}, {"alias", cli_alias}, {"backup", cli_backup}, {"salvage", cli_salvage}, {"queue", forward}, {"acl", forward}, {"quota", forward}, {"expire", forward}, {"verify", forward_to_running}, {"restore", forward_to_running}, {"route", forward}, {"trace", forward}, {"report", forward},
};

/* Under its other names the program is what programs have always called. The words are sendmail's own then, options and all. */
static int as_sendmail(struct cli *c, const char *name, int *code)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	if (strcmp(base, "sendmail") == 0)
		*code = cli_sendmail(c);
	else if (strcmp(base, "mailq") == 0)
		*code = cli_mailq(c);
	else if (strcmp(base, "newaliases") == 0)
		*code = 0; /* aliases are in the directory, and work at once */
	else
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct cli c = {.config_file = default_config};
	int at = 1, code;
	c.words = (const char **)argv + 1;
	c.count = argc - 1;
	if (as_sendmail(&c, argv[0], &code) == 0)
		return code;
	if (argc == 4 && strcmp(argv[1], "--process") == 0)
		return process_main(argv[2], argv[3]);
	if (argc > 2 && strcmp(argv[at], "-c") == 0) {
		c.config_file = argv[2];
		at = 3;
	}
	c.words = (const char **)argv + at;
	c.count = argc - at;
	if (c.count > 0 && strcmp(c.words[0], "sendmail") == 0) {
		c.words++;
		c.count--;
		return cli_sendmail(&c);
	}
	for (size_t i = 0; c.count > 0 && i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(c.words[0], commands[i].name) == 0)
			return commands[i].run(&c);
	bool is_help = c.count > 0 && (strcmp(c.words[0], "help") == 0 || strcmp(c.words[0], "--help") == 0);
	fputs(help, is_help ? stdout : stderr);
	return is_help ? 0 : EXIT_USAGE;
}
