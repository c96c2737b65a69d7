/* What became of a message, kept beside it for trace_lifetime: the delivery record under "d" and its id (which also shows
 * that a delivery was made), and for mail that goes elsewhere an event under "e", its id and the time for each attempt. */
#ifndef STORE_TRACE_H
#define STORE_TRACE_H

#include "store/store.h"

struct trace_record {
	int64_t time_ms;
	uint8_t kind;         /* enum delivery_kind */
	uint64_t size;
	struct span client, reverse_path, recipients, message_id;
	struct span remark;   /* of filter; mostly empty */
};

/* "smtp", "lmtp", ... in records and in the log. */
const char *delivery_kind_word(enum delivery_kind kind);
void trace_pack(struct buf *out, const struct trace_record *t);
int trace_unpack(struct span value, struct trace_record *t);
void trace_event(struct batch *b, struct span partition, struct id128 delivery, struct span text);

/* Appends as text all that is known about an id, an address or a message-id, oldest first. -1 with *why. Reads the trace
 * records of every account: not in the loop's thread. */
int trace_find(struct store *s, struct span what, struct buf *out, struct error *why);
/* Deletes what is from before `oldest_ms`; in a batch for each partition. Not in the loop's thread. */
void trace_sweep(struct store *s, uint64_t oldest_ms);

#endif
