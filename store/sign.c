#include "store/sign.h"

#include "base/die.h"

#include <stdlib.h>

struct signing {
	struct signing *next;
	uint64_t number;
	peer_id filter;
	sign_done_fn *done;
	void *context;
};

void sign_own(struct store *s, struct span domain, struct span message, sign_done_fn *done, void *context)
{
	struct store_peer *filter = store_peer(s, store_pick_filter(s));
	if (!filter) {
		done(context, SPAN(""), true);
		return;
	}
	struct signing *o = xcalloc(1, sizeof *o);
	*o = (struct signing){.next = s->signings, .number = ++s->last_signing, .filter = filter->id, .done = done, .context = context};
	s->signings = o;
	channel_send(filter->channel, own_ask, .id = o->number, .domain = domain, .message = message);
}

static void finish(struct signing **at, struct span fields, bool is_lost)
{
	struct signing *o = *at;
	*at = o->next;
	o->done(o->context, fields, is_lost);
	free(o);
}

void sign_answered(struct store_peer *filter, const struct msg_own_answer *m)
{
	struct signing **at = &filter->store->signings;
	while (*at && ((*at)->number != m->id || (*at)->filter != filter->id))
		at = &(*at)->next;
	if (*at)
		finish(at, m->fields, m->is_lost);
}

void sign_peer_gone(struct store *s, peer_id gone)
{
	struct signing **at = &s->signings;
	while (*at)
		if ((*at)->filter == gone) {
			finish(at, SPAN(""), true);
			at = &s->signings; /* what was called may have asked again */
		} else {
			at = &(*at)->next;
		}
}
