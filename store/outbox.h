/* What the worker threads and the committer say: parcels, which the loop's thread sends out, or calls, in their order (store_outbox_add). */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "store/store.h"

/* With s->loop, before anything is said. */
void outbox_open(struct store *s);
/* For committer_new, with the store as its context. */
void outbox_say(void *context, struct parcel_list *said);

#endif
