/* Bringing an account's mail from elsewhere: what the sources (import_maildir.c, import_mbox.c, import_imap.c) share. import.c reads the
 * command's words; import_target.c is the client of the running server that takes what the sources find.
 *
 * A source walks over its mailboxes: import_mailbox, import_known for the messages that it sees, import_add for each that has not come,
 * import_mailbox_end. Messages go in groups, each kept in one step. What is not taken is told at once, with its reason, and counted. */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "base/arena.h"
#include "cli/account_session.h"
#include "cli/cli.h"

enum {
	IMPORT_SOURCE_BYTES = 16,
	IMPORT_GROUP_MESSAGES = 100,
	IMPORT_GROUP_BYTES = 1024 * 1024, /* what a larger message is streamed alone */
	IMPORT_ASK_MOST = 1000,           /* sources in one question */
	EXIT_NOT_ALL = 1, EXIT_IMPORT_USAGE = 64, EXIT_NO_INPUT = 66, EXIT_BROKEN_OFF = 75,
};

/* Takes some bytes of a message. -1 to stop. */
typedef int import_sink_fn(void *context, struct span bytes);

struct import_message {
	unsigned char source[IMPORT_SOURCE_BYTES];
	uint32_t uid;            /* that it should keep; 0: none */
	struct span unique_id;   /* POP3's; empty: none */
	uint8_t flags;           /* enum imap_flag */
	struct span keywords;    /* with a SP before each */
	int64_t date_s;
	struct span label;       /* what a person calls it: a file, a number */
	/* Hands its bytes, with CR LF, to the sink, from the beginning; may be called again. -1 with *why if they cannot be read, or the
	 * sink's -1. */
	int (*read)(const struct import_message *m, import_sink_fn *sink, void *context, struct error *why);
	void *of;                /* whose it is: stays until the next import_flush */
	uint64_t offset, length;
};

struct import {
	const struct cli *cli;
	struct account_session session;
	struct buf mailbox;      /* the one that messages go into */
	bool keeps_uids;         /* into it */
	uint32_t uidvalidity;    /* if so */
	/* the group that is being filled, and the one that the server has */
	struct import_group {
		struct arena memory;
		struct import_message *messages[IMPORT_GROUP_MESSAGES];
		size_t count;
		struct buf bytes;
	} groups[2];
	unsigned filling;
	bool is_sent;            /* the other one */
	struct {
		uint64_t brought, known, failed;
	} mailbox_count_of, total;
	bool is_terminal;
	uint64_t seen, expected; /* of the mailbox, for the bar */
	int64_t shown_ms;
	bool is_broken;          /* the server has gone */
};

/* The account's session, its mailboxes. 0, or an exit status after a message. */
int import_open(struct import *i, const char *address);
void import_close(struct import *i);

/* Begins a mailbox, made if it is not there. A name that is a usual one for a special use (RFC 6154), or with `use` ("\\Sent") named as one,
 * is the account's mailbox of that use, whatever that is called. uidvalidity 0: UIDs are not kept. -1: it cannot be made (counted, told), or
 * the server has gone. */
int import_mailbox(struct import *i, struct span name, const char *use, uint32_t uidvalidity, uint64_t expected);
/* Ends it: everything is taken; its next UID is at least that, if UIDs are kept. */
void import_mailbox_end(struct import *i, uint32_t uidnext);
void import_subscribe(struct import *i, struct span name);
/* Gives somebody rights to a mailbox (RFC 4314) by their letters. 1: the server does not; -1: it has gone. */
int import_rights(struct import *i, struct span mailbox, struct span identifier, struct span letters);
/* Asks for a mailbox's list of rights: `each` gets the responses. As import_rights. */
int import_read_rights(struct import *i, struct span mailbox, void (*each)(void *context, struct span response), void *context);

/* The hash of where a message comes from. */
void import_source(const char *kind, struct span mailbox, struct span key, unsigned char out[IMPORT_SOURCE_BYTES]);
/* Which of them have come already; those are counted. -1: the server has gone. */
int import_known(struct import *i, unsigned char (*sources)[IMPORT_SOURCE_BYTES], size_t count, bool *known);
/* Everything but `of` and what it points to is copied. */
void import_add(struct import *i, const struct import_message *m);
/* Waits until everything that was added has been taken or refused. */
void import_flush(struct import *i);
/* A message, or a whole mailbox, that cannot be taken. */
void import_failed(struct import *i, struct span label, const char *why);
void import_progress(struct import *i);
/* A line about the mailbox, or a note, not counted. */
void import_say(struct import *i, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name that `name` goes by here, and whether it is of a special use. */
struct span import_target_name(const struct import *i, struct span name, const char *use);

/* ---- sources: 0 or an exit status; counts are in *i ---- */
int import_maildir(struct import *i, const char *path);
int import_mbox(struct import *i, const char *path, struct span name);
/* words: SERVER, options and mailboxes */
int import_imap(struct import *i, const char **words, int count);

/* LF without CR becomes CR LF as bytes go to a sink. */
struct import_lines {
	import_sink_fn *sink;
	void *context;
	bool was_cr;
};
int import_lines_write(struct import_lines *l, struct span bytes);

#endif
