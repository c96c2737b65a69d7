/* An account as its worker holds it: its mailboxes, what it has submitted to the committer, and what waits for that.
 *
 * Every operation changes the state in memory and collects the changes for the disk in account->batch; account_settle at
 * the end of the operation submits the batch, and everything said about the account since then waits until it is on the
 * disk. So what is said is always true after a crash too. */
#ifndef STORE_MAILBOX_ACCOUNT_H
#define STORE_MAILBOX_ACCOUNT_H

#include "ipc/terms.h"
#include "store/blob.h"
#include "store/mailbox/index.h"
#include "store/worker.h"

enum {
	MAILBOX_NAME_BYTES_MOST = 1000,
	MAILBOXES_MOST = 10000,      /* of an account */
	MAILBOX_DEPTH_MOST = 50,
	ACCOUNTS_LOADED_MOST = 4000, /* of a worker, of those that nobody has open */
};

#define MAILBOX_OF_DAMAGED "Damaged messages" /* store/verify.h */

struct view;
struct indexing;

/* A message that is no longer there, for views that have not heard of it. */
struct expunged {
	uint64_t modseq;
	uint32_t uid;
};

struct mailbox {
	struct account *account;
	uint32_t id;
	char *name;               /* UTF-8, "/" between levels; "INBOX" in capitals */
	uint32_t uidvalidity, uidnext;
	uint64_t highestmodseq;
	uint64_t last_change_modseq; /* of the last change other than an appended message, or a later one */
	uint32_t recent_uid;      /* messages from here on are \Recent to the next who selects it */
	/* of the messages, so that nobody must look at their rows for it */
	uint32_t messages, unseen, deleted;
	uint64_t size, deleted_size;
	uint64_t log_from;        /* the change log has all that has gone since this MODSEQ (log.h) */
	uint64_t outline_modseq;  /* of the outline that is written (outline.h); 0: not known */
	uint32_t log_ranges;      /* and so many ranges of UIDs */
	uint8_t special_use;
	bool is_loaded, is_gone;
	bool is_record_stale;          /* the record on the disk lacks something that tail rows do not tell */
	char *keywords[KEYWORDS_MOST];
	unsigned keyword_count;
	struct index index;
	struct expunged *expunged;
	size_t expunged_count, expunged_room;
	struct view *views;
	struct indexing *indexing; /* indexer.h; NULL: nobody has asked for it yet */
	bool is_indexing_paused;   /* for want of a filter */
	struct acl_entry *acl;     /* who else may do what: acl.h */
	size_t acl_count;
	struct seen *seen;         /* what others than its owner have seen: seen.h */
	bool has_read_seen, has_lost_seen; /* lost: not all of it could be read */
	struct seen_change *seen_changes; /* the last ones that were one reader's alone: seen.h */
	unsigned seen_change_count;
};

struct account {
	struct worker *worker;
	struct account *newer, *older; /* w->accounts is the newest */
	uint64_t id;
	char partition[32];
	struct mailbox **mailboxes;
	size_t mailbox_count;
	uint32_t next_mailbox, last_uidvalidity;
	char **subscriptions;     /* names, in the order of bytes (subscription.c) */
	size_t subscription_count;
	uint64_t bytes, messages; /* of all mailboxes */
	uint64_t said_bytes, said_messages; /* to store/usage.h */
	bool has_said_usage;
	bool has_unique_ids;      /* messages may have UIDLs of their own: import.h */
	bool has_warned;          /* its owner knows that its quota nears its end */
	struct batch batch;
	uint64_t submitted;       /* number of the last commit */
	_Atomic uint64_t durable; /* of the last one that is on the disk; set by the committer */
	struct parcel_list said;  /* of the operation in hand: leaves when its commit is on the disk */
	struct map uses;          /* by blob: reference counts that may not be on the disk yet */
	size_t uses_bound;
	struct map recent_threads; /* threading.h */
	uint32_t last_removed;    /* so that entries of removed.h have numbers of their own */
	struct view *watchers;    /* who wants to hear of every change: NOTIFY */
	const struct view *acting; /* whose message is being worked on: it is not told of what it does itself */
	struct buf dropped_readers; /* u64: they have lost rights in the operation in hand (acl.h) */
	unsigned view_count;
	unsigned indexing_count;  /* questions and jobs of the indexer that are under way */
};

/* The account, loaded if need be (with its first mailboxes, if it is new). NULL with *why if its partition is damaged. */
struct account *account_get(struct worker *w, uint64_t id, struct error *why);
struct span account_partition(const struct account *a);
/* Drops the accounts that nobody uses when there are many. */
void account_evict(struct worker *w);

/* Says frames to a peer about this account; takes the frames and leaves *frames empty. */
void account_say(struct account *a, peer_id peer, struct buf *frames);
/* Calls fn(context) in the loop's thread when everything submitted so far is on the disk. */
void account_call_loop(struct account *a, loop_fn *fn, void *context);
/* Ends an operation: submits account->batch if there is anything in it. */
void account_settle(struct account *a);
/* Ends the operation, and runs the job when everything submitted so far is on the disk (now, if it is): for what reads the
 * engine. */
void account_when_durable(struct account *a, struct job *j);
/* Nothing of the account is only in memory. */
bool account_is_durable(const struct account *a);
/* Takes the account's state from memory and its data from the engine. */
void account_erase(struct account *a);

/* How many rows (and not whole accounts) of this account name the blob. */
void account_blob_added(struct account *a, struct id128 blob, bool is_shared);
/* A row of it is there, and its head names the lender (store/blob.h): the sweep leaves that alone until the last row has gone. */
void account_blob_borrows(struct account *a, struct id128 blob, struct id128 lender);
/* Other accounts may name it from now on: its last row here is no reason to delete it. False: they might before. *lender: its lender, or zero. */
bool account_blob_share(struct account *a, struct id128 blob, struct id128 *lender);
/* One row less; the blob is deleted with its last one, unless other accounts may name it. */
void account_blob_dropped(struct account *a, struct id128 blob);
/* Of a "b" row: whether the blob has a lender, and which one. */
bool account_use_lender(struct span value, struct id128 *lender);

/* The key of what filter found in a message (wire/message_cache.h): derived, can be thrown away and made anew. */
void account_cache_key(struct buf *key, struct id128 blob);

/* What the account keeps, read from the disk by whoever has not loaded it; nothing where it is damaged. */
void account_measure(struct engine *e, uint64_t id, uint64_t *bytes, uint64_t *messages);
/* Tells the table of all how much it keeps now, if that has changed: quota.c */
void account_say_usage(struct account *a);
/* Whether its quota, and its domain's, have room for so much more. */
bool account_has_room(struct account *a, uint64_t bytes, uint64_t messages);

/* ---- mailboxes ---- */

/* INBOX is INBOX in any case: RFC 3501 §5.1. */
struct span mailbox_canonical(struct span name);
struct mailbox *mailbox_find(const struct account *a, struct span name);
/* The one with that special use (RFC 6154); NULL if its user has deleted it. */
struct mailbox *mailbox_of_use(const struct account *a, enum special_use use);
/* With its index read. NULL with *why. */
struct mailbox *mailbox_load(struct mailbox *m, struct error *why);
/* A new mailbox; its name has been checked. */
struct mailbox *mailbox_add(struct account *a, struct span name, uint8_t special_use);
/* The same, with the levels above that are missing (list.c). */
struct mailbox *mailbox_make(struct account *a, struct span name, uint8_t special_use);
/* Its record, into account->batch. A message that is only appended needs none: what it changes in the record (UIDNEXT,
 * HIGHESTMODSEQ, counters) follows from its row in the tail, and mailbox_count_tail makes it up when the account is read. */
void mailbox_put(struct mailbox *m);
/* The same where only \Recent has changed, which is no promise worth a sync, in an operation that changes nothing else. */
void mailbox_put_recent(struct mailbox *m);
void mailbox_count_tail(struct mailbox *m, const struct row *row);
/* How many are \Recent to the next who selects it. Reads the index where some may have gone of those that would be. */
uint32_t mailbox_recent(struct mailbox *m);
/* Counts a row in (1) or out (-1): around every change of its flags. */
void mailbox_count(struct mailbox *m, const struct row *row, int sign);
/* A record as it was scanned from the engine. -1 with *why if it is damaged. */
int mailbox_read_record(struct account *a, struct span key, struct span value, struct error *why);
void mailbox_free(struct mailbox *m);
void account_put(struct account *a); /* the account's own record */
/* Reads it. 1, 0 if there is none, -1 with *why. */
int account_read_record(struct account *a, struct error *why);
/* Bits of the keywords, which are added to the mailbox as far as there is room. `words`: a list (ipc/words.h). -1 if it
 * is no such list, or a keyword that it must add is not there and may_add is false or there is no room. */
int mailbox_keywords(struct mailbox *m, struct span words, bool may_add, uint64_t *bits);
/* Keywords are bits of the mailbox that they were of, whose names are `words`: the bits that they get in this one, as far as there is room. */
uint64_t mailbox_translate_keywords(struct mailbox *m, const struct span *words, size_t count, uint64_t bits);
/* Appends the mailbox's keywords as a list of words. */
void mailbox_pack_keywords(const struct mailbox *m, struct buf *out);
/* The next MODSEQ; whatever gets it is a change that views hear of. */
uint64_t mailbox_next_modseq(struct mailbox *m);
/* Tells the views that there is something new (store/mailbox/view.c), and those who watch the whole account: bits of enum mailbox_change. */
void mailbox_notify(struct mailbox *m, unsigned changes);
/* Tells those who watch that mailboxes have changed: `name` and `other` as in the message mailbox_event. */
void account_tell_watchers(struct account *a, uint8_t kind, struct span name, struct span other);
/* Forgets the mailbox and deletes its messages; is_final: they cannot be brought back. */
void mailbox_erase(struct mailbox *m, bool is_final);
/* Adds a message (UID, MODSEQ and counters are set here) and returns its row. */
struct row *mailbox_append(struct mailbox *m, struct row *row);
/* Takes messages out; keep_blobs: they have gone elsewhere, and cannot be brought back (removed.h). */
void mailbox_remove(struct mailbox *m, struct span ranges, bool keep_blobs);

/* ---- subscriptions: subscription.c ---- */

/* The name's number among a->subscriptions; -1: it is not subscribed. */
ssize_t account_subscription(const struct account *a, struct span name);
/* The caller has looked whether there may be one more. */
void account_subscribe(struct account *a, struct span name);
void account_unsubscribe(struct account *a, struct span name);
/* A row as it was scanned from the engine, in order. -1 with *why if it is damaged. */
int account_read_subscription(struct account *a, struct span key, struct span value, struct error *why);
void account_forget_subscriptions(struct account *a); /* in memory only */

#endif
