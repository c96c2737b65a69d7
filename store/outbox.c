/* From the threads to the loop: see outbox.h. */
#include "store/outbox.h"

#include "base/die.h"

#include <pthread.h>

struct outbox {
	pthread_mutex_t lock;
	struct parcel_list said;
};

void store_outbox_add(struct store *s, struct parcel_list *said)
{
	pthread_mutex_lock(&s->outbox->lock);
	bool was_empty = !s->outbox->said.first;
	parcel_list_move(&s->outbox->said, said);
	pthread_mutex_unlock(&s->outbox->lock);
	if (was_empty)
		waker_wake(s->outbox_waker);
}

void outbox_say(void *context, struct parcel_list *said)
{
	store_outbox_add(context, said);
}

static void on_outbox(void *context)
{
	struct store *s = context;
	pthread_mutex_lock(&s->outbox->lock);
	struct parcel *p = s->outbox->said.first;
	s->outbox->said = (struct parcel_list){0};
	pthread_mutex_unlock(&s->outbox->lock);
	while (p) {
		struct parcel *next = p->next;
		struct store_peer *peer = store_peer(s, p->peer);
		if (p->call)
			p->call(p->context);
		else if (peer && p->is_violation)
			channel_violation(peer->channel, "a message to an account");
		else if (peer)
			buf_add(channel_out(peer->channel), buf_span(&p->frames));
		parcel_free(p);
		p = next;
	}
}

void outbox_open(struct store *s)
{
	s->outbox = xcalloc(1, sizeof *s->outbox);
	*s->outbox = (struct outbox){.lock = PTHREAD_MUTEX_INITIALIZER};
	s->outbox_waker = waker_new(s->loop, on_outbox, s);
}
