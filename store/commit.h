/* The committer: one thread that writes batches to the engine. While one sync runs, the next group collects; everything
 * that waits when it has finished shares the next sync. Nothing waits on purpose to make a group larger.
 *
 * A commit that fails ends the process: whether it is on the disk is unknown, so nothing may be answered, and master
 * starts a store that reads what is really there. */
#ifndef STORE_COMMIT_H
#define STORE_COMMIT_H

#include "store/batch.h"
#include "store/parcel.h"

struct committer;

/* One submitted batch. Allocated by the submitter with xmalloc'ed memory around it if it likes. An empty one writes nothing
 * and has its turn after those before it: for what must be said only then. */
struct commit {
	struct batch batch;
	struct parcel_list said;        /* leaves with what the whole group says, before `done` */
	void (*done)(struct commit *c); /* in the committer's thread; owns the commit */
	void *context;
	struct commit *next;
};

/* `say(context, list)` is called in the committer's thread, once a group. */
struct committer *committer_new(struct engine *e, void (*say)(void *context, struct parcel_list *said), void *context);
/* Writes what was submitted, then ends the thread. */
void committer_free(struct committer *c);
/* From any thread. Batches are applied in the order of submission. */
void committer_submit(struct committer *c, struct commit *commit);

struct committer_counts {
	uint64_t commits, groups, syncs;
};
struct committer_counts committer_counts(struct committer *c);

#endif
