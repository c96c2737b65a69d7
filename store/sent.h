/* What accounts have submitted lately: a client uploads the same bytes once more a moment later, by APPEND to "Sent" (RFC 6154 §2), and
 * they are kept once. The submitted message's blob lends its pieces to the appended one (store/blob.h).
 *
 * A blob that may lend is shared (store/queue/queue.h, "s"), so that the sweep alone deletes it; and that leaves alone what is twice as
 * old as what is remembered here. All of it is in memory, for the loop's thread: after a start the bytes are just kept twice. */
#ifndef STORE_SENT_H
#define STORE_SENT_H

#include "store/blob.h"

enum {
	SENT_MOST = 4096, /* messages that are remembered: the oldest make room */
	SENT_KEPT_MS = 30 * 60 * 1000,
};

struct sent_message {
	uint64_t account, received; /* received: bytes */
	unsigned char digest[BLOB_DIGEST_BYTES]; /* of what was received */
	struct id128 blob;
};

/* Start with `struct sent s = {0}`. */
struct sent {
	struct sent_message *messages; /* SENT_MOST places, as soon as there is one */
	size_t count;                  /* so many have come */
};

void sent_add(struct sent *s, const struct sent_message *m);
/* The newest blob with the bytes that m tells of, made lately. False if there is none. */
bool sent_find(const struct sent *s, const struct sent_message *m, struct id128 *blob);
void sent_free(struct sent *s);

#endif
