/* An APPEND or REPLACE under way. Private to append.c (its steps, literals) and catenate.c (parts that URLs name). */
#ifndef EDGE_IMAP_APPEND_H
#define EDGE_IMAP_APPEND_H

#include "base/ids.h"
#include "edge/imap/session.h"
#include "ipc/words.h"
#include "wire/imap_append.h"
#include "wire/imap_fetch.h"

enum { IMAP_APPEND_MESSAGES_MOST = 1000 }; /* of one command: they are staged until its end */

/* A step of the chunk that was read. */
struct imap_append_pending {
	struct imap_append_step step;
	struct imap_append_pending *next;
};

struct imap_appending {
	struct imap_append_reader reader;
	struct imap_append_pending *first; /* what is still to do of the chunk */
	struct span mailbox;
	bool is_mailbox_known;
	bool has_literal;               /* the chunk ends in a literal that was announced and is not taken yet */
	bool is_binary;                 /* the one that is being read */
	uint32_t replaced_uid;          /* of REPLACE */
	bool is_import;                 /* a message has come before, and adds no UID, or has its own: they are kept in store's way for several */
	struct buf parked;              /* ids of messages that are whole and wait in store */
	/* a part that a URL names: catenate.c */
	struct span url;
	struct imap_url part;
	uint64_t offset, end;           /* of the message, still to be asked for; or of fields_bytes, still to be written */
	const struct imap_fetch_item *fields; /* of the header that is being asked for, these are wanted */
	struct buf fields_bytes;        /* that header, then the fields */
	bool has_fields;                /* they are at hand */
	bool is_blocked;                /* until the delivery has room */
};

/* Takes the next steps. */
void imap_append_go_on(struct imap_session *s);

/* catenate.c: adds what the URL names to the message, and goes on; or when there is room again. */
void imap_catenate_url(struct imap_session *s, struct span url);
void imap_catenate_go_on(struct imap_session *s);

#endif
