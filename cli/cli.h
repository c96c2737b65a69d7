/* The commands that a person types. Each returns the program's exit status and has told on stderr what is wrong. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"
#include "config/config.h"

struct cli {
	const char *config_file;
	const char **words; /* of the command, without options of the program */
	int count;
};

/* setup.c */
int cli_setup(const struct cli *c);
/* check.c */
int cli_check(const struct cli *c);
/* check_spf.c: `carteiro check spf` */
int cli_check_spf(const struct config *config);
/* check_message.c: `carteiro check message` */
int cli_check_message(const struct cli *cli, const struct config *config);
/* check_keys.c: prints what is wrong with certificate and key; how many faults there are. */
int cli_check_keys(const struct config *c);
/* check_tables.c: the same of the tables. */
int cli_check_tables(const struct config *c);
/* domain.c, dkim.c: what needs keys for DKIM made */
int cli_domain(const struct cli *c);
int cli_dkim(const struct cli *c);
/* sendmail.c: `carteiro sendmail` and what the program is under its other names; `carteiro drop`, which the server itself runs */
int cli_sendmail(const struct cli *c);
int cli_mailq(const struct cli *c);
int cli_drop(const struct cli *c);
/* backup.c, salvage.c */
int cli_backup(const struct cli *c);
int cli_salvage(const struct cli *c);
/* alias.c: what reads files of others */
int cli_alias(const struct cli *c);
/* user.c: what needs a password typed or hashed */
int cli_user(const struct cli *c);
/* A line from standard input, which a terminal does not show. -1: there is none, or it is too long. */
int cli_read_secret(const char *prompt, struct buf *out);
/* import.c: mail from elsewhere */
int cli_import(const struct cli *c);
/* export.c: mail for elsewhere */
int cli_export(const struct cli *c);
/* server.c */
struct server;
/* Connects to the server that runs with this configuration; if none does, starts one for the commands alone, which ends with
 * the connection. NULL with a message on stderr. */
struct server *server_connect(const char *config_file, bool may_start);
/* Carries one command out there, prints what it says, and returns its exit status. */
int server_command(struct server *s, const struct span *words, size_t count);
/* The same, and what it says is appended to *said. */
int server_ask(struct server *s, const struct span *words, size_t count, struct buf *said);
void server_close(struct server *s);
/* If a server runs: it reads its keys again. 0, or an exit status. */
int server_reload_keys(const char *config_file);
/* Sends the words of the command as they are. */
int cli_forward(const struct cli *c, bool may_start);

/* Reads and checks the configuration; prints every fault. */
int cli_read_config(const char *file, struct config *out);
/* Reads a small file whole. -1 with errno. */
int cli_read_file(const char *path, struct buf *out, size_t most);

#endif
