/* Another server's IMAP as a source: import_imap_open.c connects, proves who the server is and logs in; import_imap.c walks over mailboxes. */
#ifndef CLI_IMPORT_IMAP_H
#define CLI_IMPORT_IMAP_H

#include "cli/import.h"

enum { IMPORT_MAILBOXES_MOST = 10000 };

struct imap_source {
	const char *host, *user, *password_file;
	const char *port;        /* NULL: 993, with STARTTLS 143 */
	bool is_starttls, is_insecure;
	const char **mailboxes;  /* those that are wanted, as they are called here; none: all */
	int mailbox_count;
	struct imap_client client;
	struct buf capabilities; /* with a SP before and behind each */
};

/* False after a message. */
bool imap_source_options(struct imap_source *s, const char **words, int count, const char *address);
/* 0, or an exit status after a message. */
int imap_source_open(struct imap_source *s, const char *authorities);
/* Gives others the rights to a mailbox that they have there: import_acl.c. `raw` is its name there, `name` what it is called here. */
void import_acl(struct import *i, struct imap_source *s, struct span raw, struct span name);
bool imap_source_can(const struct imap_source *s, const char *capability);

#endif
