/* Putting an accepted message into one account's mailbox. */
#ifndef STORE_MAILBOX_APPEND_H
#define STORE_MAILBOX_APPEND_H

#include "store/mailbox/account.h"

enum { SOURCE_BYTES = 16 };

/* What became of a message that filter has judged, ready to be written. Shared by the accounts that it goes to. */
struct accepted {
	unsigned users;         /* accounts that still work on it; atomic */
	struct id128 delivery, blob;
	bool is_shared;         /* the blob is written already, and several accounts name it */
	bool is_junk;           /* it goes to Junk where no mailbox is named */
	struct buf head_memory; /* holds prefix and whole */
	struct blob_head head;
	uint32_t size, header_bytes;
	struct buf thread_ids;  /* store/mailbox/threading.h; empty: not known */
	struct buf cache;
	struct buf trace;       /* the delivery record (store/trace.h) */
};

struct accepted *accepted_new(struct id128 delivery);
void accepted_release(struct accepted *m);

/* Called in the loop's thread when it is on the disk. */
struct append_result {
	enum delivery_outcome outcome;
	uint32_t uidvalidity, uid;
};

struct append {
	struct accepted *message;
	uint64_t account;
	uint64_t reader;        /* of an APPEND into somebody else's mailbox: as in struct view_place, as is the next */
	bool is_near;
	struct buf mailbox;     /* its name; INBOX where empty or gone, but for APPEND */
	bool is_append;         /* a missing mailbox is a fault */
	bool is_repeated;       /* the account may have it: a fan-out that a crash broke off */
	uint8_t flags;
	struct buf keywords;    /* a list of words */
	uint64_t internaldate_ms;
	/* of an import (mailbox/import.c): */
	uint32_t uid;           /* it gets this one if that is at least UIDNEXT; 0: the next */
	struct buf unique_id;   /* of POP3; empty: the usual one */
	bool has_source;        /* it has a source, which is kept with it: if it has come before, the result is DELIVERY_DISCARDED */
	bool is_known;          /* it has come before */
	unsigned char source[SOURCE_BYTES];
	void (*done)(void *context, const struct append_result *result);
	void *context;
	/* of several: the others, which go into the same mailbox in the same batch, or none of them does */
	struct append *next;
	/* of the first: what goes from the mailbox that this view has open, in the same batch; 0: nothing */
	uint32_t replaced_uid;
	uint64_t view;
	struct append_result result;
};

/* Posts it and those behind it to the account's worker; takes *a (xmalloc'ed) over. A repeated delivery that the account has already is not made
 * twice: it is answered as if it had been. */
void append_post(struct worker *w, struct append *a);
/* Gives them up: they are told DELIVERY_LATER at once. */
void append_drop(struct append *a);

#endif
