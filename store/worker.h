/* Worker threads with account affinity: an account's operations run in order, on one worker, and nobody else touches its
 * state; so there is no lock on it.
 *
 * What a worker says to other processes is collected per turn and handed to the loop's thread. What it says about an
 * account waits until everything that the account has submitted by then is on the disk: nobody ever sees a state that a
 * crash could take back. */
#ifndef STORE_WORKER_H
#define STORE_WORKER_H

#include "base/map.h"
#include "store/commit.h"

struct store;
struct worker;
struct account;

struct job {
	void (*run)(struct worker *w, struct job *j); /* in the worker's thread; owns the job */
	struct job *next;
};

struct worker {
	struct store *store;
	struct engine *engine;
	struct committer *committer;
	unsigned index;
	struct account *accounts;     /* loaded ones, by last use */
	struct map loaded;            /* the same by id */
	struct map views;             /* by session */
	uint64_t last_parse;
	struct map parses;            /* by job: what filter works on for this worker */
	bool gathers_words;           /* for one of its mailboxes: store/mailbox/words.h */
	struct worker_thread *thread;
};

struct worker *worker_new(struct store *s, unsigned index);
/* Finishes what is queued, then ends the thread. `w` stays: the committer still posts to it what it has written. */
void worker_stop(struct worker *w);
/* From any thread. */
void worker_post(struct worker *w, struct job *j);
/* The same for the answer to what the worker has asked itself: no sign that anybody wants something of it. */
void worker_post_answer(struct worker *w, struct job *j);
/* The same for what can wait: it is run, one job a turn, when there is nothing else to do and nothing new has come for a moment. */
void worker_post_idle(struct worker *w, struct job *j);

/* To be called in the worker's thread: hands frames to the loop, at the end of this turn at the latest. What concerns an
 * account goes by account_say (store/mailbox/account.h), which keeps it back until it is true on the disk. */
void worker_say(struct worker *w, struct parcel *p);
/* What was said in this turn leaves now: before anything that another thread may say of the same account. */
void worker_hand_over(struct worker *w);

#endif
