/* Making parcels and their lists. */
#include "store/parcel.h"

#include "base/die.h"

#include <stdlib.h>

struct parcel *parcel_new(peer_id peer)
{
	struct parcel *p = xcalloc(1, sizeof *p);
	p->peer = peer;
	return p;
}

struct parcel *parcel_to_call(loop_fn *fn, void *context)
{
	struct parcel *p = parcel_new(0);
	p->call = fn;
	p->context = context;
	return p;
}

void parcel_free(struct parcel *p)
{
	if (!p)
		return;
	buf_free(&p->frames);
	free(p);
}

void parcel_list_add(struct parcel_list *list, struct parcel *p)
{
	p->next = NULL;
	if (list->last)
		list->last->next = p;
	else
		list->first = p;
	list->last = p;
}

void parcel_list_move(struct parcel_list *to, struct parcel_list *from)
{
	if (!from->first)
		return;
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	*from = (struct parcel_list){0};
}
