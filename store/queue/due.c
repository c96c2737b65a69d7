#include "store/queue/due.h"

#include "base/die.h"
#include "store/queue/message.h"

static void place(struct due_heap *h, size_t at, const struct due *d)
{
	h->list[at] = *d;
	if (d->message)
		d->message->due_at = at + 1;
}

static void move_up(struct due_heap *h, size_t at, const struct due *d)
{
	while (at && h->list[(at - 1) / 2].at_ms > d->at_ms) {
		place(h, at, &h->list[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(h, at, d);
}

static void move_down(struct due_heap *h, size_t at, const struct due *d)
{
	for (;;) {
		size_t child = at * 2 + 1;
		if (child + 1 < h->count && h->list[child + 1].at_ms < h->list[child].at_ms)
			child++;
		if (child >= h->count || h->list[child].at_ms >= d->at_ms)
			break;
		place(h, at, &h->list[child]);
		at = child;
	}
	place(h, at, d);
}

void due_put(struct due_heap *h, const struct due *d)
{
	if (h->count == h->room) {
		h->room = h->room ? h->room * 2 : 64;
		h->list = xrealloc_array(h->list, h->room, sizeof *h->list);
	}
	move_up(h, h->count++, d);
}

struct due due_take(struct due_heap *h, size_t at)
{
	struct due taken = h->list[at], last = h->list[--h->count];
	if (taken.message)
		taken.message->due_at = 0;
	if (at == h->count)
		return taken;
	if (at && h->list[(at - 1) / 2].at_ms > last.at_ms)
		move_up(h, at, &last);
	else
		move_down(h, at, &last);
	return taken;
}

void due_hurry(struct due_heap *h)
{
	for (size_t i = 0; i < h->count; i++) {
		h->list[i].at_ms = 0;
		h->list[i].is_hurried = true;
	}
}
