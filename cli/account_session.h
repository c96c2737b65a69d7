/* A session of an administrator's command as an account, at the running server: a grant by the control socket (vault/grant.h), and IMAP on the
 * socket run_dir/imap. */
#ifndef CLI_ACCOUNT_SESSION_H
#define CLI_ACCOUNT_SESSION_H

#include "cli/cli.h"
#include "cli/imap_client.h"

enum { EXIT_NO_SERVER = 69 };

struct account_mailbox {
	char *name;
	char *attributes;        /* of LIST, with a SP before and behind each */
};

struct account_session {
	struct config config;
	struct imap_client client; /* UTF8=ACCEPT is on */
	struct buf user;
	struct account_mailbox *mailboxes;
	size_t mailbox_count;
};

/* 0, or an exit status after a message. */
int account_session_open(struct account_session *s, const char *config_file, const char *address);
void account_session_close(struct account_session *s);
/* One more that is there. */
void account_session_add(struct account_session *s, struct span name, struct span attributes);

#endif
