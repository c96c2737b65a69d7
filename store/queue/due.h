/* When each message is due: a heap, the earliest first. Most of a large queue is asleep here, as an id and a time (store/queue/asleep.h). */
#ifndef STORE_QUEUE_DUE_H
#define STORE_QUEUE_DUE_H

#include "base/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queued;

struct due {
	int64_t at_ms;           /* monotonic */
	struct id128 id;
	struct queued *message;  /* NULL: it is on the disk alone. One that is in memory knows its place (queued.due_at) */
	bool is_hurried;         /* all its recipients are due, whatever its record says: asked for by command */
};

struct due_heap {
	struct due *list;
	size_t count, room;
};

void due_put(struct due_heap *h, const struct due *d);
/* Takes out what stands at this place: 0 is the earliest. */
struct due due_take(struct due_heap *h, size_t place);
/* All are due now. Those in memory are left to the caller's care but for their time. */
void due_hurry(struct due_heap *h);

#endif
