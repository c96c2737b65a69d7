/* Something for the loop's thread: frames for a peer, or a call. Workers and the committer make lists of them; the loop's
 * outbox (store/store.c) sends them out in their order. */
#ifndef STORE_PARCEL_H
#define STORE_PARCEL_H

#include "base/buf.h"
#include "base/loop.h"

/* A peer process as workers see it; valid as long as the store. 0: none. */
typedef uint32_t peer_id;

struct parcel {
	struct parcel *next;
	peer_id peer;
	struct buf frames;
	loop_fn *call;     /* instead of frames: called in the loop's thread */
	void *context;
	bool is_violation; /* cut the peer off instead */
};

struct parcel *parcel_new(peer_id peer);
/* fn(context), to be called in the loop's thread. */
struct parcel *parcel_to_call(loop_fn *fn, void *context);
void parcel_free(struct parcel *p);

struct parcel_list {
	struct parcel *first, *last;
};

void parcel_list_add(struct parcel_list *list, struct parcel *p);
/* Appends all of `from`, which is empty then. */
void parcel_list_move(struct parcel_list *to, struct parcel_list *from);

#endif
