/* The index of a mailbox: one row a message, in memory while the mailbox is in use, and on the disk as
 *   cold segments  "c" mailbox segment   what never changes (UID, dates, size, blob), up to 256 messages
 *   hot segments   "h" mailbox segment   flags, keywords, MODSEQ of the same messages
 *   the tail       "t" mailbox uid       the newest messages, whole rows, folded into segments when there are 16:
 *                                        so a delivery writes one row and not a segment
 * A segment holds the UIDs segment*256 ... segment*256+255. Every change is written through in the batch of the operation
 * that makes it; every value starts with a version. */
#ifndef STORE_MAILBOX_INDEX_H
#define STORE_MAILBOX_INDEX_H

#include "base/ids.h"
#include "base/pack.h"
#include "store/batch.h"

enum { SEGMENT_ROWS = 256, TAIL_ROWS_MOST = 16 };

struct row {
	uint32_t uid;
	uint32_t size;         /* octets of the message */
	uint64_t internaldate_ms;
	uint64_t saved_ms;
	uint64_t modseq;
	uint64_t keywords;     /* a bit each; names in the mailbox record */
	struct id128 blob;
	uint64_t thread;       /* which messages belong together (RFC 8474 §5.2); 0: not known */
	uint32_t header_bytes; /* of the root header, with its blank line; 0: not known */
	uint8_t flags;
};

struct index {
	struct row *rows;      /* by UID */
	size_t count, room;
	uint32_t tail_first;   /* rows of this UID and above are in the tail */
	struct buf dirty;      /* segments to be written, u32 each */
};

/* A row of the tail as it was scanned from the engine: its mailbox and the row. -1 if it is damaged. */
int index_read_tail(struct span key, struct span value, uint32_t *mailbox, struct row *row);
/* Reads the index of a mailbox. -1 with *why. */
int index_load(struct index *x, struct engine *e, struct span partition, uint32_t mailbox, uint32_t tail_first, struct error *why);
/* Reads one segment of those into an empty index. 0; 1 where `hot` is no good: flags, keywords and MODSEQs are missing; -1 where `cold` is. */
int index_read_segment(struct index *x, uint32_t segment, struct span cold, struct span hot);
void index_free(struct index *x);

/* The position of the first row with a UID of at least `uid`. */
size_t index_lower(const struct index *x, uint32_t uid);
struct row *index_find(struct index *x, uint32_t uid);

/* Adds a row with the highest UID and writes it to the batch; folds the tail when it is full (x->tail_first changes, and
 * with it the mailbox record). */
void index_append(struct index *x, const struct row *row, struct batch *b, struct span partition, uint32_t mailbox);
/* To be called for each row whose flags, keywords or MODSEQ have changed, then index_flush once. */
void index_changed(struct index *x, const struct row *row, struct batch *b, struct span partition, uint32_t mailbox);
void index_flush(struct index *x, struct batch *b, struct span partition, uint32_t mailbox);
/* Takes out the rows whose UIDs are in `ranges` (ipc/words.h), with a batch for the disk. */
void index_remove(struct index *x, struct span ranges, struct batch *b, struct span partition, uint32_t mailbox);

/* A row as a value of others: appends it; takes it off the front. */
void index_pack_row(struct buf *out, const struct row *row);
void index_unpack_row(struct unpacker *u, struct row *row);

/* Keys: a letter, the mailbox, and a number or whatever the caller appends, so that they sort (base/pack.h, pack_sorted). */
void index_key_begin(struct buf *key, char letter, uint32_t mailbox);
void index_key(struct buf *key, char letter, uint32_t mailbox, uint32_t number);

#endif
