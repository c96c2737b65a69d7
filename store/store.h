/* store: the only process that owns mail data. This is what its parts share; store/store.c is where to read first. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/map.h"
#include "base/rate.h"
#include "ipc/child.h"
#include "ipc/terms.h"
#include "store/commit.h"
#include "store/worker.h"

enum { STORE_PEERS_MOST = 96, WORKERS_MOST = 16 };

enum directory_secret {
	DIRECTORY_SECRET_SENDERS, /* of rewritten senders: auth/srs.h */
	DIRECTORY_SECRET_SALTS,   /* of SCRAM's salts for accounts that are not there */
	DIRECTORY_SECRETS,
};
enum { DIRECTORY_SECRET_BYTES = 32 };

struct store_peer {
	struct store *store;
	enum role role;
	unsigned index;
	peer_id id;              /* of this incarnation; 0: a free place */
	struct channel *channel;
	uint32_t slots;          /* of a relay: messages that it has room for */
};

struct policy_counts {
	size_t count, bytes;
};

/* The file in the store's folder that says when it was taken out of a backup, in milliseconds since 1970 (cli/backup_restore.c). */
#define STORE_RESTORED "restored"

struct store {
	struct child *self;
	struct loop *loop;
	struct engine *engine;
	struct committer *committer;
	struct worker *workers[WORKERS_MOST];
	unsigned worker_count;
	struct store_peer peers[STORE_PEERS_MOST];
	peer_id last_peer;
	_Atomic peer_id filters[STORE_PEERS_MOST]; /* by index; what workers may ask */
	_Atomic unsigned filter_turn;
	struct map sessions;     /* store/session.h */
	struct map credential_changes; /* store/session.h; how many, by account */
	struct timer *session_expiry; /* store/session.c */
	int64_t session_expiry_s;     /* when it is due; 0: it is not set */
	struct map deliveries;   /* store/deliver.h, by id128_hash */
	struct queue *queue;     /* store/queue/queue.h */
	struct outbox *outbox;
	struct waker *outbox_waker;
	struct directory_cache *directory_cache; /* store/directory/directory.c */
	struct store_tables *tables; /* store/directory/tables.c */
	struct routes *routes;   /* store/directory/route.c; NULL: to be read */
	struct signing *signings; /* store/sign.h */
	uint64_t last_signing;
	struct map grants;       /* store/command_grant.c */
	uint64_t last_grant;
	struct reports *reports; /* store/report/report.h; NULL until it is opened */
	struct policy_counts policies; /* store/directory/policy.h */
	uint64_t next_account;   /* 0: not read yet */
	struct rates rates;      /* of what accounts send */
	struct map habits;       /* store/habit.c, by account */
	struct usages *usages;   /* store/usage.h */
	unsigned char secrets[DIRECTORY_SECRETS][DIRECTORY_SECRET_BYTES]; /* store/directory/secrets.h */
	bool has_secret[DIRECTORY_SECRETS]; /* has been read */
	size_t scram_missing;    /* accounts without keys for SCRAM: store/scram.h */
	bool has_scram_missing;  /* they have been counted */
	struct command_run *command, *commands_waiting; /* store/command.c: one after the other */
	struct timer *sweep;     /* store/sweep.h */
	struct spared *spared;
	struct timer *housekeeping; /* store/housekeeping.h */
	_Atomic uint64_t undelete_grace_s; /* store/mailbox/removed.h; workers read it */
	uint64_t restored_ms; /* when this store was taken out of a backup; 0: it was not. Set once, as are the next ones */
	char *checkpoint;     /* the folder of store/command_backup.c */
	struct worker *sweeper, *searcher; /* threads for what reads the whole store; they own no account */
	_Atomic unsigned background;       /* jobs that these two have */
	uint64_t accepted_count, refused_count;
	uint64_t orphan_verdicts; /* that came before their delivery */
};

/* The process; `control` is its channel to master. */
int store_main(unsigned index, int control);

/* From any thread. */
peer_id store_pick_filter(struct store *s);
/* Takes the list over. */
void store_outbox_add(struct store *s, struct parcel_list *said);

/* In the loop's thread. NULL if that incarnation has gone. */
struct store_peer *store_peer(struct store *s, peer_id id);
struct store_peer *store_peer_by_role(struct store *s, enum role role, unsigned index);
struct worker *store_worker_of(struct store *s, uint64_t account);
/* Writes a batch of a partition that the loop owns (the directory, the queue) and calls done(context) in the loop's thread
 * when it is on the disk. Takes the batch's memory over. done may be NULL. */
void store_commit(struct store *s, struct batch *b, loop_fn *done, void *context);

#endif
