/* `carteiro import`: reads the command's words, has the source bring everything, and tells what became of it.
 *
 * Exit status: 0 only if every message of the source is in the account; 1: some are not, each told with its reason; 75: broken off, to be
 * run again; others: it has not begun. */
#include "cli/import.h"

#include <stdio.h>
#include <string.h>

static int usage(void)
{
	fputs("carteiro import maildir ADDRESS FOLDER\n"
	      "carteiro import mbox ADDRESS FILE|FOLDER [MAILBOX]\n"
	      "carteiro import imap ADDRESS SERVER [--user NAME] [--password-file FILE] [--port NUMBER] [--starttls] [--insecure] [MAILBOX]...\n",
	      stderr);
	return EXIT_IMPORT_USAGE;
}

static int run_source(struct import *i)
{
	const struct cli *c = i->cli;
	if (strcmp(c->words[1], "maildir") == 0)
		return import_maildir(i, c->words[3]);
	if (strcmp(c->words[1], "imap") == 0)
		return import_imap(i, c->words + 3, c->count - 3);
	return import_mbox(i, c->words[3], c->count == 5 ? span_cstr(c->words[4]) : SPAN("INBOX"));
}

int cli_import(const struct cli *c)
{
	struct import i = {.cli = c};
	bool is_maildir = c->count == 4 && strcmp(c->words[1], "maildir") == 0;
	bool is_mbox = (c->count == 4 || c->count == 5) && strcmp(c->words[1], "mbox") == 0;
	bool is_imap = c->count >= 4 && strcmp(c->words[1], "imap") == 0;
	if (!is_maildir && !is_mbox && !is_imap)
		return usage();
	int code = import_open(&i, c->words[2]);
	if (code == 0) {
		code = run_source(&i);
		import_say(&i, "%llu brought, %llu there already, %llu not taken\n", (unsigned long long)i.total.brought,
		           (unsigned long long)i.total.known, (unsigned long long)i.total.failed);
		code = i.is_broken ? EXIT_BROKEN_OFF : code ? code : i.total.failed ? EXIT_NOT_ALL : 0;
	}
	import_close(&i);
	return code;
}
