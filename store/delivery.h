/* One delivery in progress, between the files that move it along: deliver.c (staged, judged, given up) and deliver_write.c
 * (written). Everyone else uses store/deliver.h. */
#ifndef STORE_DELIVERY_H
#define STORE_DELIVERY_H

#include "store/deliver.h"
#include "store/directory/directory.h"
#include "store/mailbox/append.h"

#include <openssl/evp.h>

struct delivery {
	struct store *store;
	struct id128 id;
	struct id128 blob;       /* of our own making: an id that an edge names again overwrites nothing */
	peer_id edge;
	uint64_t token, session, account; /* account: of the session; of an APPEND, whose mailbox it is for */
	uint64_t reader;         /* as in struct append, as is the next */
	bool is_near;
	uint8_t kind, facts, filter, flags, ret, priority;
	uint32_t hold_s;
	struct buf reverse_path, client, mailbox, keywords, envid;
	uint64_t internaldate_ms;
	uint32_t uid;            /* of an import (store/mailbox/append.h), as the next */
	struct buf unique_id;
	bool has_source;
	unsigned char source[SOURCE_BYTES];
	struct arena recipients_memory;
	struct given_recipient *recipients;
	size_t recipient_count, recipient_room;
	uint64_t *recipient_accounts; /* of LMTP: whom each one is, 0 for nobody */
	struct buf block;        /* bytes of the piece that is being filled */
	uint32_t blocks_staged;
	uint64_t received;
	EVP_MD_CTX *sha256;
	unsigned char digest[32];
	bool has_begun, has_end, has_verdict, is_sent_on;
	bool is_parked, has_parked; /* of an APPEND: is kept when append_ask names it; waits for that */
	int64_t made_ms;         /* of one that only a verdict is known of yet */
	unsigned writing;        /* staged pieces whose write is under way */
	unsigned waiting;        /* writes whose outcome is still to come, once is_sent_on */
	/* of the verdict */
	uint8_t verdict;
	bool is_junk, is_held, has_sender;
	struct buf sender, rcpt_added, rcpt_removed; /* of the milters */
	bool is_for_account;     /* somebody here gets it */
	bool is_changed;         /* they added or took out recipients */
	struct buf tls_report;   /* the sums of one that it is; empty: it is none */
	bool has_changed_envelope; /* that has been done */
	bool is_asking;          /* a table is asked for a recipient or an author */
	struct table_look look;
	struct buf text, prefix, cuts, authors, message_id, thread_ids, cache;
	unsigned char judged_digest[32];
	uint64_t judged_size;
	uint32_t header_bytes;
	bool has_8bit, is_tls_optional;
};

/* Gives the delivery up: what it staged is deleted, unless it was sent on. The memory goes with the last of its writes. */
void deliver_free(struct delivery *d);

/* One line of log: what became of the message. */
void deliver_log(const struct delivery *d, uint32_t recipient, enum delivery_outcome outcome);

/* Tells the edge, if it is still there, the outcome for one recipient, by its number, or DELIVERY_ALL_RECIPIENTS. */
void deliver_say(struct delivery *d, uint32_t recipient, enum delivery_outcome outcome, struct span text, uint32_t uidvalidity, uint32_t uid);

/* Counts, logs and tells one outcome for all recipients, and frees the delivery. */
void deliver_answer(struct delivery *d, enum delivery_outcome outcome, struct span text);

/* Answers as if it had been written, and keeps no more of it than its trace. */
void deliver_discard(struct delivery *d);

/* A table has to answer before it can go on: deliver_write, or what comes before it, begins again then. */
void deliver_wait_for_table(struct delivery *d);

/* The message as it will be kept. NULL if filter's cuts make no sense. */
struct accepted *deliver_accept(struct delivery *d);
/* What puts it into that account's mailbox. */
struct append *deliver_append(struct delivery *d, struct accepted *m, uint64_t account,
                              void (*done)(void *context, const struct append_result *result), void *context);
/* It has been written to an account, or could not be: what was staged belongs to that, or goes with the delivery. */
void deliver_written(struct delivery *d, enum delivery_outcome outcome);

/* The parked delivery of that edge and session; NULL if there is none. */
struct delivery *deliver_parked(struct store_peer *edge, uint64_t session, struct id128 id);

/* Writes a delivery whose bytes and verdict are here, and answers it, now or when the disk has it. `d` may be gone when it
 * returns. */
void deliver_write(struct delivery *d);

#endif
