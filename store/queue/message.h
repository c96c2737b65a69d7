/* One message of the queue, as it is in memory and in its accept record.
 *
 * Times in memory are of the monotonic clock, so that whoever sets the wall clock, by hours or by years, neither holds mail
 * back nor ages it. In the record they are of the wall clock, which alone has a meaning after a restart, with what that was ahead of the
 * monotonic one, which counts until then. What is read from
 * there is believed as far as it can be true: no message comes from the future, and no try is further away than the
 * longest wait; if the clock was set ahead, everything is due at once, and older than it is. */
#ifndef STORE_QUEUE_MESSAGE_H
#define STORE_QUEUE_MESSAGE_H

#include "store/queue/queue.h"

enum recipient_state { RECIPIENT_WAITING, RECIPIENT_TRYING, RECIPIENT_DONE, RECIPIENT_FAILED };

/* What is still to be told to the sender of a recipient that is done (RFC 3461 §6). */
enum recipient_report { REPORT_NONE, REPORT_DELIVERED, REPORT_RELAYED, REPORT_EXPANDED };

/* What the last try came to. */
struct attempt {
	char status[16];        /* RFC 3463 */
	const char *text;       /* stands in words, behind the host */
	char words[];
};

/* Small: a queue may have millions. */
struct recipient {
	uint64_t account;       /* 0: elsewhere */
	int64_t next_ms;        /* of a waiting one, or when to tell the news of one that is over; 0: at once */
	char *address;
	char *orcpt;            /* as it was written; NULL: unsaid */
	char *via;              /* our domain whose alias sends it there (directory_forward_sender), or recipient_program; NULL: none */
	struct attempt *last;   /* NULL: none yet */
	uint32_t attempts;
	uint8_t state;          /* enum recipient_state */
	uint8_t notify;         /* bits of enum smtp_notify: what its RCPT asked for; 0: nothing was said */
	uint8_t report;         /* enum recipient_report */
	bool is_asking;         /* a table is asked where it goes: store/queue/route.h */
};

struct relay_job;

struct queued {
	struct queue *queue;
	struct id128 id, blob;
	uint64_t size, received; /* received: bytes in the blob's pieces */
	uint32_t return_path_bytes; /* of our Return-Path line, which does not leave this server (RFC 5321 §4.4) */
	uint16_t facts;          /* enum message_facts */
	bool is_shared;          /* accounts may name the blob */
	bool is_new;             /* its first record is being written: it cannot be had by commands yet */
	bool is_writing;         /* its record; what changes meanwhile is written after that */
	bool is_changed, is_over;
	bool is_released;        /* by command, while it was new: its record says still that it is held */
	bool is_removed;         /* by command: what is not delivered by now ends without a bounce */
	char *reverse_path;
	uint8_t ret;             /* enum smtp_ret */
	char *envid;             /* as it was written; NULL: unsaid */
	uint8_t priority;        /* as in ipc/terms.h */
	uint64_t submitter;      /* the account that sent it; 0: it came without a login */
	int64_t created_ms;      /* negative if that was before the machine has started */
	uint64_t hold_ms;        /* since then, until its first try (RFC 4865) */
	struct recipient *recipients;
	uint32_t recipient_count;
	size_t due_at;           /* place in queue.due, + 1; 0: not in it */
	unsigned jobs;           /* at relay or ready for it, or appends under way */
	struct accepted *message; /* until its first attempts have begun */
	struct buf events;       /* trace operations, for the next write of the record */
	struct relay_job *ended; /* with results that the next write of the record has */
};

#define QUEUE_PARTITION SPAN("q0")

struct queued *queued_new(struct queue *q, struct id128 id);
void queued_free(struct queued *m);
void queued_pack(const struct queued *m, struct buf *out);
/* No recipient will wait for longer than wait_most_ms, or than the message is to be held. -1 if it is no such record. */
int queued_unpack(struct queued *m, struct span value, int64_t wait_most_ms);
/* Of a record: its blob, and whether accounts may name that. -1 if it is no such record. */
int queued_unpack_blob(struct span value, struct id128 *blob, bool *is_shared);
/* Of a record: the account that sent it; 0: none, or it is no such record. */
uint64_t queued_unpack_submitter(struct span value);
/* All that wait are due now, or when its sender lets it go. */
void queued_hurry(struct queued *m);
/* How long it has waited to be delivered: not while its sender wanted it held. */
int64_t queued_age_ms(const struct queued *m);
/* The wall clock's time for one of the monotonic clock. */
int64_t queue_wall_ms(int64_t monotonic_ms);
void queue_key(struct buf *key, char letter, struct id128 id);
void recipient_set_last(struct recipient *r, const char *status, struct span text, struct span host);
/* Of its last try; empty if there was none. */
const char *recipient_status(const struct recipient *r);
const char *recipient_host(const struct recipient *r);
const char *recipient_text(const struct recipient *r);
/* "USER:COMMAND" of one for whom a program runs; empty: none. As via it has "|" in front, which no domain has. */
struct span recipient_program(const struct recipient *r);
char *recipient_make_program(struct span program);
/* There may be something to tell the sender of it. */
bool recipient_has_news(const struct recipient *r);
/* "example.org" of an address; lower case is not assumed. */
struct span recipient_domain(const struct recipient *r);

/* The message is on the disk and is known: counts and tries it. */
void queue_enter(struct queued *m);
/* Puts a message into the batch that is new still, and has become another since queue_put_new. */
void queue_rewrite(struct queued *m, struct batch *b);
/* Adds a new message to the batch: its blob, its accept record, its trace. */
struct queued *queue_put_new(struct store *s, const struct queue_message *q, const struct targets *targets, struct batch *b);
/* Tries whatever is due of the message. */
void queue_deliver_due(struct queued *m);
/* Something has changed: writes it, bounces what failed, ends what is over. */
void queue_settle(struct queued *m);

/* False while the directory cannot tell whose the sender's address is; *is_asked: a table is being asked. */
bool bounce_is_possible(struct store *s, const struct queued *m, bool *is_asked);
enum news { NEWS_FAILURE, NEWS_DELAY, NEWS_SUCCESS };

/* Makes the notification for all recipients that have failed, wait, or are done and to be reported, and puts it into the batch as
 * an accept record of its own (RFC 3464; never for a message that is a notification itself, nor for recipients whose sender
 * wants none). Returns the new message, to be entered when the batch is written; NULL: none. */
struct queued *bounce_make(struct store *s, const struct queued *m, enum news news, struct batch *b);

#endif
