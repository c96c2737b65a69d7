/* Writing an account's mail as other servers read it: what the forms (export_maildir.c, export_mbox.c) share. export.c reads the mailboxes
 * from the running server; a form writes each. */
#ifndef CLI_EXPORT_H
#define CLI_EXPORT_H

#include "cli/account_session.h"
#include "wire/mbox.h"

#include <limits.h>

struct export_message {
	uint32_t uid;
	uint8_t flags;         /* enum imap_flag */
	uint64_t keywords;     /* bits of export->keywords */
	int64_t date_s;
	uint64_t size;         /* with CR LF */
	bool is_there;         /* it needs not be fetched */
};

enum { EXPORT_KEYWORDS_MOST = 64, EXIT_NOT_ALL_EXPORTED = 1, EXIT_NO_OUTPUT = 73, EXIT_EXPORT_BROKEN = 75 };

struct export {
	struct account_session session;
	int root;              /* the folder that is written to */
	/* of the mailbox at hand */
	struct span mailbox;
	uint32_t uidvalidity, uidnext;
	struct export_message *messages; /* by UID */
	size_t count, room;
	char *keywords[EXPORT_KEYWORDS_MOST];
	unsigned keyword_count;
	uint64_t written, there, failed, total_written, total_there, total_failed;
	bool is_broken;        /* the server has gone */
	/* of the form */
	struct {
		int folder, file;
		bool was_cr, has_first;
		uint64_t size;
		char **names;      /* of files, by the number of the message; NULL: not there */
		char name[PATH_MAX], hidden[PATH_MAX];
		struct mbox_writer writer;
	} at;
};

/* How a form writes. All: -1 after export_failed. */
struct export_form {
	/* Begins the mailbox: marks the messages that are there. 1: all of it is there, nothing follows. */
	int (*begin)(struct export *e);
	int (*message_begin)(struct export *e, const struct export_message *m);
	int (*message_bytes)(struct export *e, struct span bytes);
	int (*message_end)(struct export *e, const struct export_message *m);
	int (*end)(struct export *e);
	/* All mailboxes are written. */
	int (*finish)(struct export *e, const struct buf *subscriptions);
};

extern const struct export_form export_maildir, export_mbox;

/* NULL: there is none. */
struct export_message *export_find(struct export *e, uint32_t uid);
/* Tells what could not be written, and counts it. Always -1. */
int export_failed(struct export *e, struct span what, const char *why);
int export_write(int fd, struct span bytes);
/* Makes the folder and those above it, below e->root. */
int export_make_folder(struct export *e, const char *path);
/* Writes a whole file in its place. */
int export_file(struct export *e, int folder, const char *name, struct span bytes);

#endif
