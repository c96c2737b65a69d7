/* The queue: messages that go elsewhere, or to several accounts. A partition "q0" (a shard; there is one) with
 *   "r" id          the accept record: blob, envelope, and each recipient's state; the durable write behind 250
 *   "d" id, "e" id  the message's trace (store/trace.h)
 *   "g" blob        staged since: its pieces are swept at a start if it was never accepted
 *   "s" blob        several accounts may name it: deleted by the sweep when none does
 * Everything here happens in the loop's thread. The states are in memory too, so that what is due is known at once. */
#ifndef STORE_QUEUE_QUEUE_H
#define STORE_QUEUE_QUEUE_H

#include "store/directory/directory.h"
#include "store/mailbox/append.h"

struct queue;

/* Takes the settings that the queue keeps: at each reload. */
void queue_configure(struct store *s, const struct config *config);
/* Reads the queue and goes on with what is in it. */
struct queue *queue_open(struct store *s);
void queue_close(struct queue *q);

struct queue_message {
	struct id128 delivery;
	struct accepted *message; /* taken over */
	struct span reverse_path;
	uint16_t facts;           /* enum message_facts */
	uint8_t ret;              /* enum smtp_ret */
	uint8_t priority;         /* as in ipc/terms.h */
	uint64_t submitter;       /* the account that has logged in and sends it; 0: nobody has */
	uint32_t hold_s;          /* how long it waits before its first try (RFC 4865) */
	struct span envid;        /* as it was written (RFC 3461) */
};

/* Writes the accept record and calls done(context) when it is on the disk; then the message goes to its recipients. */
void queue_accept(struct store *s, const struct queue_message *q, const struct targets *targets, loop_fn *done, void *context);
/* Writes the trace of a message that is thrown away, so that it can be asked what became of it; calls done(context) when that is on the disk. */
void queue_discard(struct store *s, struct id128 delivery, struct span trace, struct span why, loop_fn *done, void *context);
/* Writes a message's blob, ahead of the batches of several accounts that will name it. */
void queue_share(struct store *s, struct accepted *m);
/* A blob that is there already may be named by several accounts from now on, and be swept when none does. From any thread. */
void queue_put_shared(struct batch *b, struct engine *e, struct id128 blob);
/* Notes in the batch that the blob's pieces are being staged. */
void queue_stage(struct batch *b, struct id128 blob);
/* They are named by an account now, or have been deleted. */
void queue_unstage(struct batch *b, struct id128 blob);
bool queue_has_delivery(struct store *s, struct id128 delivery);
bool queue_account_has(struct store *s, uint64_t account, struct id128 delivery);

/* Calls each(context, blob) for those blobs of messages in the queue that accounts may name too. In any thread. -1 if not all could be
 * read. */
int queue_walk_blobs(struct store *s, void (*each)(void *context, struct id128 blob), void *context);

/* ---- towards relay ---- */
void queue_relay_ready(struct store_peer *relay, uint32_t slots);
int queue_job_read(struct store_peer *relay, const struct msg_job_read *m);
int queue_job_result(struct store_peer *relay, const struct msg_job_result *m);
int queue_job_done(struct store_peer *relay, const struct msg_job_done *m);
void queue_relay_gone(struct store *s, peer_id relay);

/* ---- for commands ---- */
void queue_print(struct store *s, struct buf *out);
/* -1 if there is no such message. */
int queue_show(struct store *s, struct id128 id, struct buf *out);
/* Tries a message again now, or all of them (NULL). The number of messages. */
size_t queue_retry(struct store *s, const struct id128 *id);
/* A message, or all of them (NULL): waits until it is released, what relay has in its hands excepted; or is tried again now. The number of
 * messages. */
size_t queue_hold(struct store *s, const struct id128 *id);
size_t queue_release(struct store *s, const struct id128 *id);
int queue_remove(struct store *s, struct id128 id);
/* Releases, or removes, all that the account has sent. The number of messages. */
size_t queue_release_sent_by(struct store *s, uint64_t account);
size_t queue_remove_sent_by(struct store *s, uint64_t account);
size_t queue_count(const struct store *s);

#endif
